package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLifeIsToldInOrder(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	pid, log := e.spawn("web", 1, "echo hello; exit 3")
	x := e.want(Exited, "web").m
	if x.Gen != 1 || x.Pid != pid || !x.Empty || unix.WaitStatus(x.Exit.Status).ExitStatus() != 3 || x.Exit.At == 0 || x.Exit.MaxRSS == 0 {
		t.Errorf("exited: %s", dump(x))
	}
	if out, err := io.ReadAll(log); string(out) != "hello\n" || err != nil {
		t.Errorf("output %q, %v", out, err)
	}
}

// TestTreeEmptyComesLast has a child outlive the main process.
func TestTreeEmptyComesLast(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	e.spawn("web", 1, "exec 3<gate; cat <&3 >/dev/null & exit 0")
	if x := e.want(Exited, "web").m; x.Empty {
		t.Fatalf("said to be empty with a child alive: %s", dump(x))
	}
	gate.Close()
	if m := e.want(TreeEmpty, "web").m; m.Gen != 1 {
		t.Errorf("empty: %s", dump(m))
	}
}

// fifo makes a named pipe in the rig's directory and returns its write end; whoever reads it waits until that is closed.
func fifo(t *testing.T, r *rig, name string) *os.File {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOrderIsExecutedOnce(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	count := filepath.Join(r.dir, "count")
	spawn := func(gen, op uint64) {
		e.send(&Message{Kind: SpawnOrder, Unit: "web", Gen: gen, Op: op, Spawn: e.shell("echo >>" + count)})
	}
	spawn(1, 5)
	e.want(Spawned, "web")
	e.want(Exited, "web")
	spawn(2, 5) // its number was seen
	spawn(3, 4) // is lower
	spawn(1, 6) // its generation was seen
	spawn(0, 7)
	e.send(&Message{Kind: Note, Unit: "web", Op: 6, Record: json.RawMessage(`"old"`)}) // 7 was seen
	e.settled()
	row := e.list()["web"].m
	if row.Gen != 1 || row.Op != 7 || row.State != Ended || row.Record != nil {
		t.Errorf("row %s", dump(row))
	}
	if data, _ := os.ReadFile(count); len(data) != 1 {
		t.Errorf("it ran %d times", len(data))
	}
}

func TestSpawnBesideALiveTreeIsRefused(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	pid, _ := e.spawn("web", 1, "exec sleep 1000")
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 2, Spawn: e.shell("exec sleep 1000")})
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 7})
	e.settled()
	if row := e.list()["web"].m; row.Gen != 1 || row.Pid != pid || row.State != Alive || !alive(pid) {
		t.Errorf("row %s", dump(row))
	}
}

// TestRecordIsStoredBeforeExecution has an order that cannot be executed: its record is there all the same.
func TestRecordIsStoredBeforeExecution(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	for i, kind := range []Kind{SpawnOrder, SignalTo, KillTree, Note, Main} {
		unit := fmt.Sprint("u", i)
		record := json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))
		e.order(&Message{Kind: kind, Unit: unit, Record: record, Seen: uint64(i)}) // generation 0 never was
		e.settled()
		if row := e.list()[unit].m; string(row.Record) != string(record) || row.Op != 1 || row.Seen != uint64(i) {
			t.Errorf("%s: %s", kind, dump(row))
		}
	}
	e.send(&Message{Kind: Note, Record: json.RawMessage(`"daemon"`)})
	e.send(&Message{Kind: Note})
	e.send(&Message{Kind: SpawnOrder, Record: json.RawMessage(`"no unit"`)})
	e.send(&Message{Kind: List})
	for {
		if m := e.next().m; m.Kind == Listed {
			if string(m.Record) != `"daemon"` {
				t.Errorf("the daemon's record is %s", m.Record)
			}
			return
		}
	}
}

func TestOrdersInTheSocketAreExecuted(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	if err := unix.Kill(r.pid(), unix.SIGSTOP); err != nil { // so that all is in the socket when the engine dies
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		m := &Message{Kind: SpawnOrder, Unit: fmt.Sprint("u", i), Gen: 1, Op: 1, Spawn: e.shell("echo out; exit 7"), Record: json.RawMessage("1")}
		e.send(m)
	}
	e.die()
	e.conn.Hangup()
	if err := unix.Kill(r.pid(), unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	e = r.ready()
	ended := 0
	for unit, row := range e.list() {
		if row.m.Gen != 1 || string(row.m.Record) != "1" {
			t.Errorf("%s: %s", unit, dump(row.m))
		}
		if row.m.State == Ended {
			ended++
		}
	}
	for ; ended < n; ended++ { // the rest is told as it happens
		m := e.next().m
		for m.Kind == Spawned {
			m = e.next().m
		}
		if m.Kind != Exited || unix.WaitStatus(m.Exit.Status).ExitStatus() != 7 {
			t.Fatalf("got %s", dump(m))
		}
	}
}

// TestToldUntilSeen: who asks for the List hears of every end, again and again.
func TestToldAgain(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.spawn("web", 1, "echo unread; exit 4")
	for range 3 {
		e.die()
		e = r.engine()
		r.until("the end", func() bool { row := e.list()["web"]; return row.m.State == Ended })
		row := e.list()["web"]
		if unix.WaitStatus(row.m.Exit.Status).ExitStatus() != 4 || !row.m.Empty || row.m.Gen != 1 {
			t.Errorf("row %s", dump(row.m))
		}
		if len(row.fds) != 1 || row.m.Names[0] != "log/1" {
			t.Errorf("descriptors %v", row.m.Names)
		}
		e.send(&Message{Kind: Ready})
	}
	row := e.list()["web"]
	var buf [64]byte
	if n, err := unix.Read(row.fds[0], buf[:]); string(buf[:max(n, 0)]) != "unread\n" {
		t.Errorf("output %q, %v", buf[:max(n, 0)], err)
	}
	e.send(&Message{Kind: Note, Unit: "web", Op: 9, Seen: 1})
	if row := e.list()["web"].m; row.Seen != 1 {
		t.Errorf("row %s", dump(row))
	}
}

func TestHeldDescriptors(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	fetch := func(name string) (string, bool) {
		e.send(&Message{Kind: Fetch, Name: name})
		got := e.want(Held, "")
		defer CloseAll(got.fds)
		if got.m.Missing || len(got.fds) != 1 {
			return "", false
		}
		data, err := ReadMemfd(got.fds[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(data), true
	}
	if _, ok := fetch("thing"); ok {
		t.Error("held before it was given")
	}
	if _, ok := fetch("exe"); !ok {
		t.Error("what the keeper started with is not held")
	}
	for _, content := range []string{"one", "two"} { // the same name replaces
		fd, err := Memfd("test", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		e.send(&Message{Kind: Hold, Name: "thing"}, fd)
		unix.Close(fd)
		if got, _ := fetch("thing"); got != content {
			t.Errorf("held %q, want %q", got, content)
		}
	}
	e.die()
	e = r.ready()
	if got, _ := fetch("thing"); got != "two" {
		t.Errorf("the next engine gets %q", got)
	}
	before := openFiles(t, r.pid())
	e.send(&Message{Kind: Drop, Name: "thing"})
	if _, ok := fetch("thing"); ok {
		t.Error("held after it was dropped")
	}
	if after := openFiles(t, r.pid()); after != before-1 {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

// openFiles is how many descriptors a process has, those aside that it has for a moment only: the keeper looks at its engine
// in /proc every now and then.
func openFiles(t testing.TB, pid int) int {
	t.Helper()
	least := math.MaxInt
	for range 10 {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, len(entries))
	}
	return least
}

func TestDescriptorsOfAUnitComeWithItsRow(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.spawn("web", 1, "exec sleep 1000")
	for _, name := range []string{"notify", "store", "notify"} {
		fd, _ := Memfd("test", []byte(name))
		e.send(&Message{Kind: Hold, Unit: "web", Name: name}, fd)
		unix.Close(fd)
	}
	row := e.list()["web"]
	if got := strings.Join(row.m.Names, " "); got != "log/1 store/0 notify/0" || len(row.fds) != 3 {
		t.Errorf("row has %q, %d descriptors", got, len(row.fds))
	}
	e.send(&Message{Kind: Drop, Unit: "web", Name: "store"})
	e.send(&Message{Kind: Drop, Unit: "web", Name: "log", Gen: 2})
	e.send(&Message{Kind: Drop, Unit: "nobody", Name: "log"})
	if got := strings.Join(e.list()["web"].m.Names, " "); got != "log/1 notify/0" {
		t.Errorf("after the drop: %q", got)
	}
}

func TestForget(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	before := openFiles(t, r.pid())
	pid, _ := e.spawn("web", 1, "exec sleep 1000")
	e.send(&Message{Kind: Forget, Unit: "web"}) // it lives
	if e.list()["web"].m == nil {
		t.Fatal("a live unit was forgotten")
	}
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
	e.want(Exited, "web")
	e.send(&Message{Kind: Forget, Unit: "web"})
	e.send(&Message{Kind: Forget, Unit: "web"})
	if e.list()["web"].m != nil || alive(pid) {
		t.Error("not forgotten")
	}
	if after := openFiles(t, r.pid()); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

// TestOldLogPipesAreBounded: the pipes of sixteen generations that nobody reads are kept, of more the newest.
func TestOldLogPipesAreBounded(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	for gen := uint64(1); gen <= maxLogs+3; gen++ {
		e.spawn("web", gen, "echo out")
		e.want(Exited, "web")
	}
	row := e.list()["web"]
	if len(row.m.Names) != maxLogs || row.m.Names[0] != "log/4" || len(row.fds) != maxLogs {
		t.Errorf("row has %v", row.m.Names)
	}
	r.logged("given up")
}

func TestLargeMessages(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	long := bytes.Repeat([]byte("x"), 300<<10)
	record, _ := json.Marshal(string(long))
	s := e.shell("echo ${#BIG0} ${#BIG1}; exit")
	for i := range 2 {
		s.Exec.Env = append(s.Exec.Env, fmt.Sprintf("BIG%d=%s", i, long[:100<<10]))
	}
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 1, Spawn: s, Record: record})
	got := e.want(Spawned, "web")
	f := os.NewFile(uintptr(got.fds[0]), "log")
	defer f.Close()
	e.want(Exited, "web")
	if out, _ := io.ReadAll(f); string(out) != "102400 102400\n" {
		t.Errorf("output %q", out)
	}
	if row := e.list()["web"].m; !bytes.Equal(row.Record, record) {
		t.Errorf("a record of %d bytes came back with %d", len(record), len(row.Record))
	}
}

func TestShutdownIsRefusedWhileSomethingLives(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.spawn("web", 1, "exec sleep 1000")
	e.send(&Message{Kind: Shutdown})
	e.settled()
	r.logged(`shutdown refused: \"web\"`)
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
	e.want(Exited, "web")
	e.send(&Message{Kind: Shutdown})
	<-r.ended
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.log)
	}
	r.until("the engine to be gone", func() bool { return !alive(e.own) })
}
