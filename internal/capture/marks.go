package capture

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file: the memory in which a store leaves to the next one how far it has come. It is a memfd that somebody else holds
// too, mapped by every store in turn: what a killed process has stored in it is there, in the order of its atomic stores.

// maxSlots is how many names can have a mark at once. Memory is taken for those that do.
const maxSlots = 1 << 15

// marksMagic names the layout: another one is not read.
const marksMagic = 0x73746179_6d6b_0001

// A marksHead is the first slot.
type marksHead struct {
	magic uint64
	size  uint64        // of a slot
	used  atomic.Uint64 // slots that were ever taken, this one included
}

const slotSize = int(unsafe.Sizeof(slot{}))

// A slotKey stands for a name; no name at all is a free slot.
type slotKey [16]byte

func keyOf(name string) slotKey {
	sum := sha256.Sum256([]byte(name))
	return slotKey(sum[:])
}

// A table is the slots of a store.
type table struct {
	mem []byte
	fd  int // of mem; -1: it has none

	mu   sync.Mutex // leaf; guards what follows
	left map[slotKey]int
	free []int
}

// LegacyFiles is how many files are a legacy.
const LegacyFiles = 1 + scratchPipes

// scratchPipes is how many streams can copy at the same moment; the others wait for some µs.
const scratchPipes = 4

// NewLegacy makes what Options.Legacy asks for, all close-on-exec: memory that cannot shrink, and pipes. marks, which it takes
// over if there is no error, is a file in memory that nobody else can write to, and an empty one or the first file of an
// earlier legacy: what that says of pieces is true also where its pipes are lost, but for those that were being taken out of
// the pipe. nil: memory without a name.
func NewLegacy(marks *os.File) ([]*os.File, error) {
	made := marks == nil
	if made {
		fd, err := unix.MemfdCreate("stay-marks", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			return nil, fmt.Errorf("make marks of logs: %w", err)
		}
		marks = os.NewFile(uintptr(fd), "marks")
	}
	files := []*os.File{marks}
	err := enlarge(marks, made)
	for len(files) < LegacyFiles && err == nil {
		var fd int
		if fd, err = newScratch(); err == nil {
			files = append(files, os.NewFile(uintptr(fd), "scratch pipe"))
		}
	}
	if err == nil {
		return files, nil
	}
	if !made {
		files = files[1:]
	}
	for _, f := range files {
		f.Close()
	}
	return nil, fmt.Errorf("make marks of logs: %w", err)
}

// enlarge gives marks the size that a table has, and the memory for its head.
func enlarge(marks *os.File, seal bool) error {
	raw, err := marks.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		var st syscall.Stat_t
		if err = syscall.Fstat(int(fd), &st); err == nil && st.Size < int64(maxSlots*slotSize) {
			err = unix.Ftruncate(int(fd), int64(maxSlots*slotSize))
		}
		if err == nil {
			err = unix.Fallocate(int(fd), 0, 0, int64(slotSize))
		}
		if err == nil && seal {
			_, err = unix.FcntlInt(fd, unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
		}
	})
	return errors.Join(err, cerr)
}

// noLegacy is inheritance where there is none, and nothing will be left.
func noLegacy() (*table, *scratches, error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	for range scratchPipes {
		fd, err := newScratch()
		if err != nil {
			return nil, nil, err
		}
		fds = append(fds, fd)
	}
	pipes, err := openScratches(fds)
	if err != nil {
		return nil, nil, err
	}
	mem, err := unix.Mmap(-1, 0, maxSlots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		pipes.close()
		return nil, nil, fmt.Errorf("make marks of logs: %w", err)
	}
	t := &table{mem: mem, fd: -1, left: map[slotKey]int{}}
	t.inherit(nil, 0)
	return t, pipes, nil
}

// inheritance opens what NewLegacy made. now is the wall time, in µs.
func inheritance(files []*os.File, now int64) (*table, *scratches, error) {
	if len(files) == 0 {
		return noLegacy()
	}
	if len(files) != LegacyFiles {
		return nil, nil, fmt.Errorf("internal error: open logs: a legacy has %d files, not %d", LegacyFiles, len(files))
	}
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds[i] = int(fd) })
		}
		if err != nil {
			return nil, nil, fmt.Errorf("open logs: %w", err)
		}
	}
	pipes, err := openScratches(fds[1:])
	if err != nil {
		return nil, nil, err
	}
	t, err := openTable(fds[0])
	if err != nil {
		pipes.close()
		return nil, nil, err
	}
	held := map[uint64]int{}
	pipes.each(func(p scratch) { held[p.ino] = p.holds() })
	t.inherit(held, now)
	pipes.each(pipes.empty)
	runtime.KeepAlive(files)
	return t, pipes, nil
}

// openTable maps the memory of a legacy.
func openTable(fd int) (*table, error) {
	t := &table{fd: -1, left: map[slotKey]int{}}
	var st syscall.Stat_t
	err := syscall.Fstat(fd, &st)
	if err == nil && st.Size < int64(maxSlots*slotSize) {
		err = errShort
	}
	if err == nil {
		t.mem, err = unix.Mmap(fd, 0, maxSlots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err == nil {
		if t.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			_ = unix.Munmap(t.mem)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open marks of logs: %w", err)
	}
	return t, nil
}

// inherit lists what the store before left, and finds out how far it came. Memory of another layout is begun anew.
func (t *table) inherit(pipes map[uint64]int, now int64) {
	head := t.head()
	if head.magic != marksMagic || head.size != uint64(slotSize) || head.used.Load() > maxSlots {
		head.used.Store(1)
		head.magic, head.size = marksMagic, uint64(slotSize)
	}
	for i := 1; i < int(head.used.Load()); i++ {
		if key := t.slot(i).key; key != (slotKey{}) {
			t.left[key] = i
			t.slot(i).checked().resolve(pipes, now)
		} else {
			t.free = append(t.free, i)
		}
	}
}

func (t *table) head() *marksHead { return (*marksHead)(unsafe.Pointer(&t.mem[0])) }

func (t *table) slot(i int) *slot { return (*slot)(unsafe.Pointer(&t.mem[i*slotSize])) }

// claim returns the slot of a name, with what the store before left in it. Where there is no room it is one that only this
// store knows.
func (t *table) claim(name string) *slot {
	key := keyOf(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.left[key]; ok {
		delete(t.left, key)
		return t.slot(i)
	}
	i := t.take()
	if i == 0 {
		return &slot{}
	}
	s := t.slot(i)
	s.phase.Store(uint32(settled))
	s.clear()
	s.key, s.index = key, uint32(i)
	return s
}

// take finds a slot that nobody needs; 0 is none. Those of names that no longer are go last.
func (t *table) take() int {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	used := t.head().used.Load()
	if used < maxSlots && t.reserve(int(used)) {
		t.slot(int(used)).key = slotKey{}
		t.head().used.Store(used + 1)
		return int(used)
	}
	for key, i := range t.left {
		delete(t.left, key)
		return i
	}
	return 0
}

// reserve sees to it that there is memory for a slot: to write where a file system has none left is SIGBUS.
func (t *table) reserve(i int) bool {
	return t.fd < 0 || unix.Fallocate(t.fd, 0, int64(i*slotSize), int64(slotSize)) == nil
}

// release gives a slot back. One that was not needed is left for who comes next.
func (t *table) release(s *slot, needed bool) {
	if s.index == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := int(s.index)
	if !needed {
		t.left[s.key] = i
		return
	}
	s.key = slotKey{}
	t.free = append(t.free, i)
}

// close gives the mapping back. No slot may be in use.
func (t *table) close() {
	_ = unix.Munmap(t.mem)
	t.mem = nil
	if t.fd >= 0 {
		syscall.Close(t.fd)
		t.fd = -1
	}
}
