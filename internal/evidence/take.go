package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/stay/api"
)

// What is kept of a tree.
const (
	maxProcesses = 32
	maxThreads   = 64 // of a process
	maxFiles     = 64 // of a process
	maxStack     = 24 // functions of a thread
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

// A taker takes evidence once.
type taker struct {
	ctx     context.Context
	late    map[int]string
	sockets map[string]string // by inode
	out     api.Evidence
	missing map[string]bool
}

// Take sees the processes of an instance, until ctx ends.
func Take(ctx context.Context, r Request) *api.Evidence {
	begin := time.Now()
	t := &taker{ctx: ctx, late: map[int]string{}, missing: map[string]bool{}}
	for _, l := range r.Late {
		t.late[l.Tid] = l.Pulse
	}
	t.machine(r.Main)
	if st, ok := readStat(procFile(r.Main, "stat")); !ok || r.Start != 0 && st.start != r.Start {
		t.miss("the main process", fs.ErrNotExist)
	} else {
		t.tree(r.Main)
	}
	t.out.TookMS = float64(time.Since(begin).Microseconds()) / 1000
	return &t.out
}

func procFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// tree sees each process, then, where that is safe, its memory.
func (t *taker) tree(main int) {
	pids := members(main)
	if len(pids) > maxProcesses {
		t.missing[fmt.Sprintf("%d more processes", len(pids)-maxProcesses)] = true
		t.out.Missing = append(t.out.Missing, fmt.Sprintf("%d more processes", len(pids)-maxProcesses))
		pids = pids[:maxProcesses]
	}
	for _, pid := range pids {
		if t.over() {
			return
		}
		if s, ok := t.process(pid); ok {
			t.out.Processes = append(t.out.Processes, s)
		}
	}
	for i := range t.out.Processes {
		if t.over() {
			return
		}
		t.memory(&t.out.Processes[i])
	}
}

// over says whether the time is.
func (t *taker) over() bool {
	if t.ctx.Err() == nil {
		return false
	}
	t.miss("the rest", errors.New("there was no more time"))
	return true
}

// miss notes what could not be read, once. Who has vanished is missed by nobody.
func (t *taker) miss(what string, err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("only root may read them")
	case errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "no such process"):
		if what != "the main process" {
			return
		}
		err = errors.New("it has gone")
	}
	text := what + ": " + printable(err.Error())
	if !t.missing[text] {
		t.missing[text] = true
		t.out.Missing = append(t.out.Missing, text)
	}
}

// process sees one process, but for its memory.
func (t *taker) process(pid int) (api.Seen, bool) {
	st, ok := readStat(procFile(pid, "stat"))
	if !ok {
		return api.Seen{}, false
	}
	s := api.Seen{Pid: pid, Parent: st.parent, Comm: st.comm, State: string(st.state)}
	tids := threads(pid)
	s.Count = len(tids)
	slices.SortStableFunc(tids, func(a, b int) int { return t.rank(a) - t.rank(b) })
	for _, tid := range tids[:min(len(tids), maxThreads)] {
		if th, ok := t.thread(pid, tid); ok {
			s.Threads = append(s.Threads, th)
		}
	}
	t.files(&s)
	return s, true
}

// rank puts threads of late pulses first.
func (t *taker) rank(tid int) int {
	if _, late := t.late[tid]; late {
		return 0
	}
	return 1
}

// machine sees how the machine and the instance's cgroup are.
func (t *taker) machine(main int) {
	if data, err := readSmall("/proc/loadavg"); err == nil {
		t.out.Load = printable(strings.TrimSpace(data))
	}
	if data, err := readSmall("/proc/meminfo"); err == nil {
		for line := range strings.Lines(data) {
			name, _, _ := strings.Cut(line, ":")
			if slices.Contains([]string{"MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "Writeback"}, name) {
				t.out.Memory = append(t.out.Memory, printable(strings.Join(strings.Fields(line), " ")))
			}
		}
	}
	group := groupOf(main)
	for _, what := range []string{"cpu", "memory", "io"} {
		t.pressure(what, "/proc/pressure/"+what)
		if group != "" && group != "/sys/fs/cgroup" && group != "/sys/fs/cgroup/unified" {
			t.pressure("its cgroup's "+what, group+"/"+what+".pressure")
		}
	}
}

func (t *taker) pressure(what, file string) {
	data, err := readSmall(file)
	if err != nil {
		return // a kernel without, or one that has it switched off
	}
	for line := range strings.Lines(data) {
		if len(t.out.Pressure) < 16 {
			t.out.Pressure = append(t.out.Pressure, what+" "+printable(strings.TrimSpace(line)))
		}
	}
}

// maxSmall bounds what is read of a file that should be small, in bytes.
const maxSmall = 64 << 10

// readSmall reads a small file of /proc.
func readSmall(file string) (string, error) {
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
		if err != nil || n == maxSmall {
			if n == 0 && err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			return string(buf[:n]), nil
		}
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}
