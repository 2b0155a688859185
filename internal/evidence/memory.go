package evidence

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"example.com/stay/api"
)

// locked is held by the one goroutine that reads what needs the memory lock of a process.
var locked = make(chan struct{}, 1)

// A footprint is what is read under the memory lock of a process.
type footprint struct {
	pss, swap int64
	command   []string
}

// memory sees the memory of a process, and its arguments.
func (t *taker) memory(s *api.Seen) {
	if statm, err := readSmall(procFile(s.Pid, "statm")); err == nil {
		if f := strings.Fields(statm); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			s.RSS = pages * int64(os.Getpagesize())
		}
	}
	if asleep(s.Pid) {
		t.note("arguments and shared memory of a process in state D: reading them could hang")
		return
	}
	select {
	case locked <- struct{}{}:
	default:
		t.note("arguments and shared memory: an earlier reading of another process hangs")
		return
	}
	done := make(chan footprint, 1)
	pid := s.Pid
	go func() {
		defer func() { <-locked }()
		done <- underLock(pid)
	}()
	select {
	case f := <-done:
		s.PSS, s.Swap, s.Command = f.pss, f.swap, f.command
	case <-t.ctx.Done():
		t.note("arguments and shared memory: reading them takes too long")
	}
}

// maxAsked bounds how many threads are asked for their state. Of who has more, one may hold the lock unseen.
const maxAsked = 4096

// asleep says whether a thread of a process sleeps uninterruptibly, as who holds the memory lock for long does; or whether
// that cannot be known.
func asleep(pid int) bool {
	tids := numbers(procFile(pid, "task"), maxAsked)
	return len(tids) >= maxAsked || slices.ContainsFunc(tids, func(tid int) bool {
		st, ok := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
		return ok && st.state == 'D'
	})
}

// maxArgs bounds how many arguments are kept.
const maxArgs = 64

func underLock(pid int) (f footprint) {
	if line, err := readSmall(procFile(pid, "cmdline")); err == nil && line != "" {
		for arg := range strings.SplitSeq(strings.TrimSuffix(line, "\x00"), "\x00") {
			if len(f.command) == maxArgs {
				break
			}
			f.command = append(f.command, printable(arg[:min(len(arg), 256)]))
		}
	}
	rollup, err := readSmall(procFile(pid, "smaps_rollup"))
	if err != nil {
		return f
	}
	for line := range strings.Lines(rollup) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(w[1], 10, 64)
		switch w[0] {
		case "Pss:":
			f.pss = kib << 10
		case "Swap:":
			f.swap = kib << 10
		}
	}
	return f
}
