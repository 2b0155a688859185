package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// This file: what a machine refuses, and what clients do to a daemon.

func init() {
	injections = append(injections,
		injection{name: "few-files", weight: 3, run: fewFiles},
		injection{name: "no-processes", weight: 3, nobody: true, run: noProcesses},
		injection{name: "full-disk", weight: 3, inside: true, run: fullDisk},
		injection{name: "noise", weight: 2, run: noise},
		injection{name: "crowd", weight: 2, run: crowd},
		injection{name: "upgrade", weight: 2, run: upgrade},
	)
}

// limit sets the soft limit of one of the daemon's own processes for a while. Who was made meanwhile has inherited it, so
// that in the end all get the hard limit as their soft one, which is what both have from their start.
func (r *run) limit(ctx context.Context, dice *rand.Rand, resource int, soft func(pid int) uint64) string {
	pids := r.pids(both)
	if len(pids) == 0 {
		return ""
	}
	pid := pids[dice.IntN(len(pids))]
	var was unix.Rlimit
	if unix.Prlimit(pid, resource, nil, &was) != nil {
		return ""
	}
	low := unix.Rlimit{Cur: soft(pid), Max: was.Max}
	if err := unix.Prlimit(pid, resource, &low, nil); err != nil {
		return ""
	}
	long := time.Duration(dice.Int64N(int64(time.Second)))
	pause(ctx, long)
	for _, pid := range r.pids(both) {
		if unix.Prlimit(pid, resource, nil, &was) == nil && was.Cur != was.Max {
			_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: was.Max, Max: was.Max}, nil)
		}
	}
	return fmt.Sprintf("%d: %d for %v", pid, low.Cur, long.Round(time.Millisecond))
}

// fewFiles leaves a process no descriptor, or a few, beyond those it has.
func fewFiles(r *run, ctx context.Context, dice *rand.Rand) string {
	defer r.notWritable(time.Now())
	return r.limit(ctx, dice, unix.RLIMIT_NOFILE, func(pid int) uint64 {
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		return uint64(len(fds) + dice.IntN(4))
	})
}

// noProcesses has fork(2) fail: the user has more processes than one.
func noProcesses(r *run, ctx context.Context, dice *rand.Rand) string {
	return r.limit(ctx, dice, unix.RLIMIT_NPROC, func(int) uint64 { return 1 })
}

// fullDisk takes all that is left of the file system of the logs.
func fullDisk(r *run, ctx context.Context, dice *rand.Rand) string {
	path := filepath.Join(r.daemon.logDir(), ".filler")
	f, err := os.Create(path)
	if err != nil {
		return ""
	}
	defer os.Remove(path)
	defer f.Close()
	defer r.notWritable(time.Now())
	size := int64(0)
	for step := int64(16 << 20); step >= 4096; {
		if unix.Fallocate(int(f.Fd()), 0, size, step) != nil {
			step /= 2
			continue
		}
		size += step
	}
	long := time.Duration(dice.Int64N(int64(2 * time.Second)))
	pause(ctx, long)
	return fmt.Sprintf("%d MB for %v", size>>20, long.Round(time.Millisecond))
}

// noise is connections that say nothing, or nothing that makes sense, and stay.
func noise(r *run, ctx context.Context, dice *rand.Rand) string {
	n := 1 + dice.IntN(40)
	for range n {
		c, err := net.DialTimeout("unix", r.daemon.client.Socket(), time.Second)
		if err != nil {
			continue
		}
		defer c.Close()
		text := make([]byte, dice.IntN(4096))
		for i := range text {
			text[i] = byte(dice.IntN(256))
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(text)
	}
	pause(ctx, time.Duration(dice.Int64N(int64(time.Second))))
	return fmt.Sprintf("%d connections", n)
}

// crowd is many who ask at once.
func crowd(r *run, ctx context.Context, dice *rand.Rand) string {
	n := 20 + dice.IntN(100)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			ask, cancel := context.WithTimeout(ctx, answerBound)
			defer cancel()
			_, _ = r.daemon.client.Status(ask, "")
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d clients", n)
}

// upgrade has the daemon go on with a copy of its program.
func upgrade(r *run, ctx context.Context, dice *rand.Rand) string {
	dir := filepath.Join(r.dir, fmt.Sprintf("next-%d", dice.IntN(2)))
	next := filepath.Join(dir, "stayd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return ""
	}
	if _, err := os.Stat(next); err != nil {
		if out, err := exec.Command("cp", filepath.Join(r.binaries, "stayd"), next).CombinedOutput(); err != nil {
			r.note("copy stayd: %v %s", err, out)
			return ""
		}
	}
	ask, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	out, code := r.daemon.stay(ask, "upgrade", next)
	return fmt.Sprintf("exit code %d: %.200q", code, out)
}
