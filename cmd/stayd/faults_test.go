package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// faultsVariable names the file through which a test tells engines when to die.
const faultsVariable = "STAYD_TEST_FAULTS"

// A faults is the plan and the protocol of one run, in a page that the test and all its engines share, because an engine
// that has killed itself can tell nobody: how many points were passed by all engines together, at which of them to die,
// and what those points were.
type faults []byte

const (
	faultsSize = 1 << 12
	maxKills   = 40
	planAt     = 16
	labelsAt   = 512
	labelSize  = 64
)

// newFaults makes a plan file: die at each of the points, counted from 1.
func newFaults(t testing.TB, file string, points []int) faults {
	t.Helper()
	if err := os.WriteFile(file, make([]byte, faultsSize), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := mapFaults(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range points {
		binary.LittleEndian.PutUint64(f[planAt+8*(i+1):], uint64(p))
	}
	binary.LittleEndian.PutUint64(f[planAt:], uint64(len(points)))
	return f
}

func mapFaults(file string) (faults, error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unix.Mmap(int(f.Fd()), 0, faultsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (f faults) word(i int) *uint64 { return (*uint64)(unsafe.Pointer(&f[8*i])) }

// passed is how many points all engines have passed.
func (f faults) passed() int { return int(atomic.LoadUint64(f.word(0))) }

// killed are the points at which engines died, with what they were about to do or had done.
func (f faults) killed() []string {
	var list []string
	for i := range int(atomic.LoadUint64(f.word(1))) {
		label := f[labelsAt+i*labelSize:][:labelSize]
		n := slices.Index(label, 0)
		list = append(list, string(label[:max(n, 0)]))
	}
	return list
}

func (f faults) plan() []int {
	points := make([]int, min(binary.LittleEndian.Uint64(f[planAt:]), maxKills))
	for i := range points {
		points[i] = int(binary.LittleEndian.Uint64(f[planAt+8*(i+1):]))
	}
	return points
}

// faultsFrom is the engine's side.
func faultsFrom(file string) func(at string) {
	f, err := mapFaults(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return nil
	}
	plan := f.plan()
	var mu sync.Mutex // held for good by whoever dies: an engine passes no other point in its last moment, and dies at one
	return func(at string) {
		mu.Lock()
		n := int(atomic.AddUint64(f.word(0), 1))
		if !slices.Contains(plan, n) {
			mu.Unlock()
			return
		}
		i := int(atomic.AddUint64(f.word(1), 1)) - 1
		copy(f[labelsAt+i*labelSize:][:labelSize-1], fmt.Sprintf("%d %s", n, at))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (f faults) close() { _ = unix.Munmap(f) }
