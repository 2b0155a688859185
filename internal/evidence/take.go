package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// What is kept of a tree.
const (
	maxProcesses = 32
	maxThreads   = 64 // of a process
	maxFiles     = 64 // of a process
	maxStack     = 24 // functions of a thread
	maxListed    = 1 << 16
)

// A Request says what to look at.
type Request struct {
	Main  int          // main process of the instance
	Start uint64       // its start time, proc_pid_stat(5); 0: not known
	Late  []LateThread // are shown first
}

// A LateThread is a thread that stands for a late pulse.
type LateThread struct {
	Tid   int
	Pulse string
}

// maxTakers bounds how many trees are looked at at the same time, by readings that hang too: then the next waits.
const maxTakers = 8

var takers = make(chan struct{}, maxTakers)

// Take sees the processes of an instance, until ctx ends: then it returns what there is, also while a reading hangs.
func Take(ctx context.Context, r Request) *api.Evidence {
	begin := time.Now()
	t := newTaker(ctx)
	for _, l := range r.Late {
		t.late[l.Tid] = l.Pulse
	}
	select {
	case takers <- struct{}{}:
		done := make(chan struct{})
		go func() {
			defer func() { <-takers; close(done) }()
			t.run(r)
		}()
		select {
		case <-done:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	out := t.result()
	out.TookMS = float64(time.Since(begin).Microseconds()) / 1000
	return out
}

// A taker takes evidence once. Its goroutine owns all but what the lock guards.
type taker struct {
	ctx     context.Context
	late    map[int]string
	waited  map[int][]int                // by process: the descriptors that its threads are in a call on
	sockets map[string]map[string]string // by network namespace, by inode

	mu      sync.Mutex // a leaf
	out     api.Evidence
	missing map[string]bool
}

func newTaker(ctx context.Context) *taker {
	return &taker{ctx: ctx, late: map[int]string{}, waited: map[int][]int{}, sockets: map[string]map[string]string{}, missing: map[string]bool{}}
}

// result is what there is so far.
func (t *taker) result() *api.Evidence {
	t.over()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.out
	out.Missing, out.Processes = slices.Clone(out.Missing), slices.Clone(out.Processes)
	return &out
}

func procFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

func (t *taker) run(r Request) {
	t.machine(r.Main)
	if st, ok := readStat(procFile(r.Main, "stat")); !ok || r.Start != 0 && st.start != r.Start {
		t.note("the main process: it has gone")
		return
	}
	pids := t.lateFirst(members(r.Main))
	if len(pids) > maxProcesses {
		t.note(fmt.Sprintf("%d more processes", len(pids)-maxProcesses))
		pids = pids[:maxProcesses]
	}
	t.tree(pids)
}

// lateFirst puts those whose threads stand for late pulses right after the main process.
func (t *taker) lateFirst(pids []int) []int {
	owner := map[int]bool{}
	for tid := range t.late {
		owner[field(procFile(tid, "status"), "Tgid:")] = true
	}
	slices.SortStableFunc(pids[1:], func(a, b int) int {
		switch {
		case owner[a] == owner[b]:
			return 0
		case owner[a]:
			return -1
		}
		return 1
	})
	return pids
}

// tree sees what each process is doing, then what it has open, then, where that is safe, its memory: what passes soonest
// comes first, and what can hang last.
func (t *taker) tree(pids []int) {
	var list []api.Seen
	for _, pid := range pids {
		if t.over() {
			return
		}
		if s, ok := t.process(pid); ok {
			list = append(list, s)
			t.mu.Lock()
			t.out.Processes = append(t.out.Processes, s)
			t.mu.Unlock()
		}
	}
	for _, stage := range []func(*api.Seen){t.files, t.memory} {
		for i := range list {
			if t.over() {
				return
			}
			stage(&list[i])
			t.mu.Lock()
			t.out.Processes[i] = list[i]
			t.mu.Unlock()
		}
	}
}

// over says whether the time is.
func (t *taker) over() bool {
	if t.ctx.Err() == nil {
		return false
	}
	t.note("the rest: there was no more time")
	return true
}

// miss notes what could not be read. Who has vanished is missed by nobody.
func (t *taker) miss(what string, err error) {
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH):
		return
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		err = errors.New("permission denied (only root may read them)")
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("permission denied")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	t.note(what + ": " + printable(err.Error()))
}

// maxMissing bounds how many things are missed.
const maxMissing = 64

// note notes what is missing, once.
func (t *taker) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.missing[text] && len(t.missing) < maxMissing {
		t.missing[text] = true
		t.out.Missing = append(t.out.Missing, text)
	}
}

// process sees what one process is doing.
func (t *taker) process(pid int) (api.Seen, bool) {
	st, ok := readStat(procFile(pid, "stat"))
	if !ok {
		return api.Seen{}, false
	}
	s := api.Seen{Pid: pid, Parent: st.parent, Comm: st.comm, State: string(st.state), Count: st.threads, Open: -1}
	tids := numbers(procFile(pid, "task"), maxListed)
	slices.SortStableFunc(tids, func(a, b int) int { return t.rank(a) - t.rank(b) })
	for _, tid := range tids[:min(len(tids), maxThreads)] {
		if t.ctx.Err() != nil {
			break
		}
		if th, ok := t.thread(pid, tid); ok {
			s.Threads = append(s.Threads, th)
		}
	}
	return s, true
}

// rank puts threads of late pulses first.
func (t *taker) rank(tid int) int {
	if _, late := t.late[tid]; late {
		return 0
	}
	return 1
}

// maxSmall bounds what is read of a file that should be small, in bytes.
const maxSmall = 64 << 10

// readSmall reads a small file of /proc.
func readSmall(file string) (string, error) { return readBounded(file, maxSmall) }

// readBounded reads a file of /proc, limit bytes of it at most.
func readBounded(file string, limit int) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, 4096)
	n := 0
	for {
		got, err := f.Read(buf[n:])
		n += got
		if err != nil || n >= limit {
			if n == 0 && err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			return string(buf[:min(n, limit)]), nil
		}
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}
