package oldtable

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLate: a program that hangs is asked to end, and gives its entry back itself.
func TestLate(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 1)
	w := m.watch(Options{Sem: m.key, Kill: true})
	if st := b.awaitEnd(t); st.ExitStatus() != 0 {
		t.Errorf("it ended with %v", st)
	}
	w.says("did not beat for 1s: SIGTERM", "has ended")
	if m.pid(b.index) != 0 {
		t.Error("the entry is still there")
	}
}

// TestStubborn: one that does not obey is killed, and its entry cleared.
func TestStubborn(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 0, "stubborn")
	w := m.watch(Options{Sem: m.key, Kill: true, Obey: 100 * time.Millisecond})
	if st := b.awaitEnd(t); st.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", st)
	}
	w.says("SIGTERM", "is still there 100ms after SIGTERM: SIGKILL", "has ended", "its entry is cleared")
	if m.pid(b.index) != 0 {
		t.Error("the entry is still there")
	}
}

// TestAlive: those that beat are left alone while others are ended and cleared around them.
func TestAlive(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	good, dead := m.beat(5, -1), m.beat(1000, -1)
	w := m.watch(Options{Sem: m.key, Kill: true})
	w.row(dead.index, "known", func(r Row) bool { return r.Who.Start != 0 && r.Who.Why == "" })
	dead.cmd.Process.Kill()
	dead.awaitEnd(t)
	w.says("its process has gone: its entry is cleared")
	if m.pid(dead.index) != 0 {
		t.Error("the entry of the dead is still there")
	}
	w.row(good.index, "beating", func(r Row) bool { return r.Beats >= 3 && r.Who.Why == "" && r.Why == "" })
	select {
	case <-good.ended:
		t.Error("who beats was ended")
	default:
	}
	if next := m.beat(5, -1); next.index != dead.index {
		t.Errorf("the next one takes entry %d, not %d, which is free", next.index, dead.index)
	}
}

// innocent is a process that has nothing to do with any table.
func innocent(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// TestInnocent: a pid in the table is no proof. One was given to another process, one was made up, one is this process's own.
func TestInnocent(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	later, earlier := innocent(t), innocent(t)
	now := time.Now().Unix()
	m.put(0, later.Process.Pid, "reused", 1, now-3600)
	m.put(1, earlier.Process.Pid, "made up", 1, now+1)
	m.put(2, os.Getpid(), "stay", 1, now)
	m.put(3, 1, "init", 1, now)
	m.put(4, -later.Process.Pid, "group", 1, now)
	w := m.watch(Options{Sem: m.key, Kill: true})
	w.says("is not the one that made the entry: it started later", "does not have the table attached for writing", "stay itself is not touched")
	w.row(3, "left alone", func(r Row) bool { return strings.Contains(r.Why, "process 1") })
	w.row(4, "left alone", func(r Row) bool { return strings.Contains(r.Why, "negative") })
	for i, pid := range []int{later.Process.Pid, earlier.Process.Pid} {
		if st, err := statOf(pid); err != nil || st.state == 'Z' {
			t.Errorf("an innocent process was ended: %v %v", st, err)
		}
		if m.pid(i) != pid {
			t.Errorf("entry %d is gone", i)
		}
	}
}

// TestReused: the process of an entry was known, and now another has its pid. It is not touched; the entry is the dead one's.
func TestReused(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 0)
	table, err := Open(m.key, m.key)
	must(t, err)
	defer table.Close()
	e := table.Read(t.Context())[0]
	x := ender{prover: prover{key: m.key, memory: table.memory, wall: time.Now}, again: table.Again, clear: table.Clear,
		say: func(Entry, string) {}, obey: obey}
	who := x.identify(e)
	if who.Why != "" || who.Start == 0 {
		t.Fatalf("identity %+v", who)
	}
	was := who
	was.Start-- // as if somebody else had had the pid then
	if r, got := x.end(t.Context(), e, was); r != Over || got.Why == "" {
		t.Errorf("%v %+v", r, got)
	}
	if m.pid(b.index) != 0 {
		t.Error("the entry is still there")
	}
	select {
	case <-b.ended:
		t.Error("the other process was ended")
	default:
	}
}

// TestBeatsAtLast: the entry is looked at once more, right before the signal.
func TestBeatsAtLast(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 0)
	table, err := Open(m.key, 0)
	must(t, err)
	defer table.Close()
	e := table.Read(t.Context())[0]
	x := ender{prover: prover{key: m.key, memory: table.memory, wall: time.Now}, again: table.Again, clear: table.Clear,
		say: func(Entry, string) {}, obey: obey}
	who := x.identify(e)
	m.put(b.index, e.Pid, e.Name, 1, e.Atime+1)
	if r, _ := x.end(t.Context(), e, who); r != Beats {
		t.Errorf("result %v", r)
	}
	m.put(b.index, e.Pid, e.Name, 1, e.Atime)
	x.owner = func(pid int) (string, uint64, bool) { return "web", 3, pid == e.Pid }
	if r, got := x.end(t.Context(), e, who); r != Other || got.Owner != "web" || got.Gen != 3 {
		t.Errorf("of an owner: %v %+v", r, got)
	}
	select {
	case <-b.ended:
		t.Error("it was ended")
	default:
	}
}

// TestOwnersAreLeft: whose process it is has the word.
func TestOwnersAreLeft(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	mine, other := m.beat(1, 0), m.beat(1, 0)
	w := m.watch(Options{Sem: m.key, Kill: true, Owner: func(pid int) (string, uint64, bool) { return "web", 3, pid == mine.pid() }})
	other.awaitEnd(t) // late at the same moment
	w.row(mine.index, "owned", func(r Row) bool { return r.Who.Owner == "web" && r.Who.Gen == 3 })
	select {
	case <-mine.ended:
		t.Error("it was ended")
	default:
	}
}

// TestShowOnly: nothing is done but looking.
func TestShowOnly(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	late, dead := m.beat(1, 0), m.beat(1, 0)
	dead.cmd.Process.Kill()
	dead.awaitEnd(t)
	looks := 0
	w := m.watch(Options{Sem: m.key})
	w.until("five looks", func(_ string, s Shown) bool { looks++; return looks > 5 && len(s.Rows) == 2 && !s.Rows[1].Alive })
	select {
	case <-late.ended:
		t.Error("it was ended")
	default:
	}
	if m.pid(late.index) == 0 || m.pid(dead.index) == 0 {
		t.Error("an entry was cleared")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.said) > 0 {
		t.Errorf("said %q", w.said)
	}
}

// TestTableComesAndGoes: it is waited for, and found again when it was made anew.
func TestTableComesAndGoes(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	removeMemory(m.key)
	w := m.watch(Options{Sem: m.key, Kill: true})
	w.until("no table", func(_ string, s Shown) bool { return s.Missing != "" })
	m.fill(2 * EntrySize)
	m.put(1, 1, "first", 1, 0)
	w.row(1, "shown", func(r Row) bool { return r.Entry.Name == "first" })
	removeMemory(m.key)
	m.fill(EntrySize)
	m.put(0, 1, "second", 1, 0)
	w.row(0, "shown", func(r Row) bool { return r.Entry.Name == "second" })
}

// TestTracedIsExcused: somebody looks at it with a debugger. When that is over it has a limit left, and no more.
func TestTracedIsExcused(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 0)
	let := trace(t, b.pid())
	w := m.watch(Options{Sem: m.key, Kill: true})
	w.row(b.index, "excused", func(r Row) bool { return r.Why == "traced" })
	select {
	case <-b.ended:
		t.Fatal("it was ended while it was traced")
	default:
	}
	let()
	b.awaitEnd(t)
	w.says("SIGTERM", "has ended")
}

// trace has another process trace one: the parent would take every stop for the end. It returns what lets it go.
func trace(t *testing.T, pid int) (let func()) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, strconv.Itoa(pid))
	cmd.Env = append(os.Environ(), "OLDTABLE_TEST_TRACE=1", "GORACE=atexit_sleep_ms=0")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) // a tracer that ends lets go
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "traced\n" {
		t.Skipf("may not trace: %q", line)
	}
	return func() { in.Close() }
}

// traceRole traces the process given, until nobody wants it any more.
func traceRole() int {
	runtime.LockOSThread()
	pid, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = syscall.PtraceAttach(pid)
	}
	if err == nil {
		_, err = syscall.Wait4(pid, nil, syscall.WALL, nil)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("traced")
	io.Copy(io.Discard, os.Stdin)
	if err := syscall.PtraceDetach(pid); err != nil {
		return 1
	}
	return 0
}

// TestClockJumps: the wall clock goes back and forth by hours, faster than any limit. Who beats is left alone.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(2, -1)
	reads := 0
	w := m.watch(Options{Sem: m.key, Kill: true, Clock: func() (time.Duration, time.Time) {
		mono, wall := clocks()
		return mono, wall.Add(time.Duration(mono/time.Second%3-1) * 2 * time.Hour)
	}})
	w.until("looks", func(_ string, s Shown) bool { reads++; return reads > 4 && len(s.Rows) == 1 && s.Rows[0].Beats >= 3 })
	select {
	case <-b.ended:
		t.Error("it was ended")
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.said) > 0 {
		t.Errorf("said %q", w.said)
	}
}

// TestUnknown: what could not be found out is no proof, and only what may change is asked again.
func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		err   error
		why   string
		again bool
	}{
		{errGone, "has gone", false},
		{fs.ErrNotExist, "has gone", false},
		{&fs.PathError{Op: "read", Path: "/proc/1/stat", Err: syscall.ESRCH}, "has gone", false},
		{&fs.PathError{Op: "open", Path: "/proc/1/maps", Err: syscall.EACCES}, "stay lacks the right", false},
		{syscall.EMFILE, "too many open files", true},
	} {
		if got := unknown(c.err); !strings.Contains(got.Why, c.why) || got.Again != c.again || got.Owner != "" {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}

// TestLockHolderDied: a table whose lock nobody gives back is guarded all the same.
func TestLockHolderDied(t *testing.T) {
	t.Parallel()
	m := makeTable(t, 1000*EntrySize)
	b := m.beat(1, 0, "stubborn")
	dead := m.lock
	dead.NoUndo = true
	must(t, dead.P(t.Context(), 1))
	w := m.watch(Options{Sem: m.key, Kill: true, Obey: 100 * time.Millisecond})
	b.awaitEnd(t)
	w.says("is not given back", "SIGKILL", "its entry is cleared")
	if m.pid(b.index) != 0 {
		t.Error("the entry is still there")
	}
}

func TestParseStat(t *testing.T) {
	for line, want := range map[string]stat{
		"12 (a b) c) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2": {'S', 4711},
		"12 (x) Z 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 0 0 0":         {'Z', 0},
	} {
		if got, err := parseStat([]byte(line)); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", line, got, err, want)
		}
	}
	for _, line := range []string{"", "12 (x", "12 (x) S 1", "12 (x) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x 1"} {
		if got, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestFindSegment(t *testing.T) {
	table := Table{key: 0x5095}
	table.memory.ID = 42
	for line, want := range map[string]bool{
		"7f12-7f24 rw-s 00000000 00:01 42                         /SYSV00005095 (deleted)": true,
		"7f12-7f24 rw-s 00000000 00:01 42 /SYSV00005095":                                   true,
		"7f12-7f24 r--s 00000000 00:01 42 /SYSV00005095 (deleted)":                         false, // only looks
		"7f12-7f24 rw-s 00000000 00:01 43 /SYSV00005095 (deleted)":                         false, // another of that key
		"7f12-7f24 rw-s 00000000 00:01 42 /SYSV00005096 (deleted)":                         false,
		"7f12-7f24 rw-p 00000000 00:01 42 /SYSV00005095 (deleted)":                         false,
		"7f12-7f24 rw-s 00000000 00:01 42 /tmp/SYSV00005095":                               false,
		"": false,
	} {
		got, err := findSegment(strings.NewReader("0-1 r-xp 0 08:01 42 /bin/x\n"+line+"\n"), table.key, table.memory)
		if err != nil || got != want {
			t.Errorf("%q: %v %v", line, got, err)
		}
	}
}

func TestStartedAt(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	if got, want := startedAt(5000, 60*time.Second, wall), wall.Add(-10*time.Second); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
