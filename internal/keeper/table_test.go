package keeper

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

// testKeeper is a keeper without processes: no forker, no waiter, no loop.
func testKeeper(t testing.TB) *Keeper {
	t.Helper()
	exe, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKeeper(Options{Exe: exe, Forest: paper{}, Log: discard, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.null.Close(); exe.Close() })
	return k
}

// paper is a forest without processes.
type paper struct{}

func (paper) Kind() string               { return "none" }
func (paper) Plant(string) (Tree, error) { return &paperTree{}, nil }

type paperTree struct{ full bool }

func (*paperTree) CgroupFD() (int, bool)          { return -1, false }
func (*paperTree) Rooted(int, string, uint64)     {}
func (*paperTree) Ended()                         {}
func (*paperTree) Remember()                      {}
func (*paperTree) Contains(int) bool              { return false }
func (t *paperTree) Empty() bool                  { return !t.full }
func (t *paperTree) Kill() error                  { t.full = false; return nil }
func (*paperTree) Signal(unix.Signal, bool) error { return nil }
func (*paperTree) Members() []Member              { return []Member{{Pid: 1, Comm: "x"}} }
func (*paperTree) Remove() error                  { return nil }

// TestRowIsSmall: 10,000 services have 12 KiB each, for keeper and engine together.
func TestRowIsSmall(t *testing.T) {
	k := testKeeper(t)
	k.engine.hello = true
	record := json.RawMessage(`{"service":"web","number":1,"unit":{"want":1,"phase":4,"reason":0,"gen":7,"pid":12345,"since":123456789012345,` +
		`"started":123456789012345,"deps_met":true,"was_ready":true,"restart":{"level":1.5,"at":123456789012345},"restarts":6,` +
		`"last":{"reason":2,"gen":6,"code":1,"at":123456789012345,"uptime":123456789012}},"spec":"0123456789abcdef0123456789abcdef"}`)
	const n = 10000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range n {
		data, _ := json.Marshal(&Message{Kind: Note, Unit: fmt.Sprintf("web.%d", i+1), Op: 1, Record: record})
		m, _, err := decode(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		k.order(m, nil)
		r := k.row(m.Unit)
		r.gen, r.state, r.main, r.exit = 1, Alive, 1<<22+i, &Exit{}
		k.byPid[r.main] = r
		r.files = append(r.files, file{name: LogPipe, gen: 1, fd: -1})
	}
	each := (heap() - before) / n
	t.Logf("%d bytes a row, %d of them the record", each, len(record))
	if each > 2<<10 {
		t.Errorf("a row takes %d bytes", each)
	}
	runtime.KeepAlive(k)
}

func TestOrphanLog(t *testing.T) {
	var o orphanLog
	for i := range 100 {
		o.add(waited{pid: i + 1, exit: Exit{Status: i, At: int64(i)}})
	}
	for _, test := range []struct {
		pid    int
		since  int64
		status int
		ok     bool
	}{
		{pid: 36, ok: false}, // the last 64 are 37 to 100
		{pid: 37, status: 36, ok: true},
		{pid: 37, ok: false}, // taken
		{pid: 100, since: 100, ok: false},
		{pid: 100, since: 99, status: 99, ok: true},
		{pid: 0, ok: false},
		{pid: -1, ok: false},
	} {
		x, ok := o.take(test.pid, test.since)
		if ok != test.ok || x.Status != test.status {
			t.Errorf("pid %d since %d: %+v, %v", test.pid, test.since, x, ok)
		}
	}
	o.add(waited{pid: 99, exit: Exit{Status: 1000, At: 1000}}) // the pid was used again: the last one counts
	if x, _ := o.take(99, 0); x.Status != 1000 {
		t.Errorf("an old process of that pid: %+v", x)
	}
}

func TestFileName(t *testing.T) {
	for _, f := range []file{{name: "log", gen: 0}, {name: "ready", gen: 1<<64 - 1}, {name: "", gen: 3}, {name: "store:a/b/c", gen: 7}} {
		if name, gen := ParseFileName(fileName(f)); name != f.name || gen != f.gen {
			t.Errorf("%+v comes back as %q, %d", f, name, gen)
		}
	}
	if name, gen := ParseFileName("no number/x"); name != "no number" || gen != 0 {
		t.Errorf("got %q, %d", name, gen)
	}
}

func TestHeldOfARowAreBounded(t *testing.T) {
	r := &row{}
	fd := func() int {
		f, err := Memfd("test", nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for i := range maxHeld {
		if !r.hold(fmt.Sprint(i), 0, fd()) {
			t.Fatalf("refused at %d", i)
		}
	}
	if last := fd(); r.hold("one more", 0, last) {
		t.Error("not refused")
	} else {
		unix.Close(last)
	}
	if !r.hold("3", 0, fd()) {
		t.Error("one cannot be replaced")
	}
	for gen := range uint64(maxLogs) {
		if lost := r.holdLog(gen+1, fd()); lost != 0 {
			t.Errorf("generation %d lost", lost)
		}
	}
	if lost := r.holdLog(99, fd()); lost != 1 || len(r.files) > maxFiles {
		t.Errorf("generation %d lost, %d descriptors", lost, len(r.files))
	}
	for _, f := range r.files {
		unix.Close(f.fd)
	}
}

// TestRandomOrders drives the table with whatever may come, in any order, and looks at what is told of it.
func TestRandomOrders(t *testing.T) {
	for seed := range uint64(300) {
		randomOrders(t, rand.New(rand.NewPCG(seed, 1)), 400)
	}
}

func FuzzOrders(f *testing.F) {
	f.Add(uint64(1), uint64(2), 100)
	f.Fuzz(func(t *testing.T, a, b uint64, steps int) {
		randomOrders(t, rand.New(rand.NewPCG(a, b)), min(max(steps, 0), 2000))
	})
}

// A world is a keeper without processes, and what its engine has been told.
type world struct {
	*Keeper
	t      testing.TB
	rnd    *rand.Rand
	other  *Conn // the engine's end
	said   map[string][]Kind
	genOf  map[string]uint64
	pid    int
	living []int
}

func randomOrders(t testing.TB, rnd *rand.Rand, steps int) {
	k := testKeeper(t)
	conn, other, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	k.engine = engineState{epoch: 1, conn: conn, hello: true, heard: now()}
	w := &world{Keeper: k, t: t, rnd: rnd, other: NewConn(other), said: map[string][]Kind{}, genOf: map[string]uint64{}, pid: 1 << 22}
	k.fork = w.fork
	for range steps {
		w.step()
		if rnd.IntN(2) == 0 {
			k.makeOne()
		}
		if rnd.IntN(2) == 0 {
			k.removeEmpties(1)
		}
		for k.tell() {
		}
		w.hear()
	}
	w.check()
	for range w.stages() { // what still reads comes to its end
		k.stageDone(<-k.staged)
	}
	w.other.Close()
	conn.Close()
	for _, j := range k.waiting {
		CloseAll(j.ours)
	}
	for _, r := range k.rows {
		for _, f := range r.files {
			unix.Close(f.fd)
		}
	}
	for _, fd := range k.held {
		unix.Close(fd)
	}
}

// fork makes a process that is none. Its pid is higher than any that Linux gives.
func (w *world) fork(path string, _ []string, _ *syscall.ProcAttr) (int, error) {
	if w.rnd.IntN(4) == 0 {
		return 0, []error{unix.EAGAIN, unix.ENOENT, unix.EACCES}[w.rnd.IntN(3)]
	}
	w.pid++
	w.living = append(w.living, w.pid)
	return w.pid, nil
}

// step does one thing: an order, the end of a fork, of a process, of a stage, a look at the trees.
func (w *world) step() {
	switch w.rnd.IntN(9) {
	case 0:
		select {
		case res := <-w.staged: // of a stage that never was: the keeper has closed its end of the report
			w.stageDone(res)
		default:
		}
	case 1:
		w.endOne()
	case 2:
		w.lookAtTrees()
	default:
		m, fds := w.message()
		data, err := json.Marshal(m)
		if err != nil {
			w.t.Fatal(err)
		}
		got, _, err := decode(data, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		w.order(got, fds)
	}
}

// stages is how many exec stages are under way, by the table.
func (w *world) stages() int {
	n := 0
	for _, r := range w.rows {
		if r.stage {
			n++
		}
	}
	return n
}

func (w *world) endOne() {
	if len(w.living) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.living))
	pid := w.living[i]
	w.living = append(w.living[:i], w.living[i+1:]...)
	if r := w.byPid[pid]; r != nil && r.tree != nil && w.rnd.IntN(2) == 0 {
		r.tree.(*paperTree).full = true
	}
	w.childEnded(pid, Exit{Status: w.rnd.IntN(256) << 8, At: now()})
}

func (w *world) message() (*Message, []int) {
	kinds := []Kind{SpawnOrder, SpawnOrder, SpawnOrder, SignalTo, KillTree, KillTree, Note, Main, Forget, Hold, Fetch, Drop, List,
		Hello, Ready, Ping, Acted, "junk"}
	m := &Message{Kind: kinds[w.rnd.IntN(len(kinds))], Unit: []string{"a", "b", "c", ""}[w.rnd.IntN(4)], Pid: 1<<22 + w.rnd.IntN(50),
		Op: uint64(w.rnd.IntN(1000)), Gen: uint64(w.rnd.IntN(40)), Version: Version, Name: []string{"log", "x", "store:x", strings.Repeat("y", 301)}[w.rnd.IntN(4)],
		Signal: w.rnd.IntN(70) - 1, To: []string{"main", "group", "tree", ""}[w.rnd.IntN(4)], Seen: uint64(w.rnd.IntN(40))}
	if r := w.rows[m.Unit]; r != nil && w.rnd.IntN(3) > 0 { // most are sane
		m.Op, m.Gen = r.op+1, r.gen
		if m.Kind == SpawnOrder {
			m.Gen++
		}
	}
	switch w.rnd.IntN(8) {
	case 0:
		m.Spawn = &Spawn{Stage: json.RawMessage("{}"), UID: os.Geteuid(), GID: os.Getegid(), Ready: w.rnd.IntN(100) - 3}
	case 1:
	default:
		m.Spawn = &Spawn{Exec: &Exec{Path: "/bin/true"}, UID: os.Geteuid(), GID: os.Getegid()}
	}
	var fds []int
	for range w.rnd.IntN(3) {
		if fd, err := Memfd("test", nil); err == nil {
			fds = append(fds, fd)
		}
	}
	if m.Spawn != nil && w.rnd.IntN(4) > 0 {
		m.Spawn.Pass = len(fds)
	}
	return m, fds
}

// hear takes all that the keeper has said.
func (w *world) hear() {
	for {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(w.other.fd), Events: unix.POLLIN}}, 0); n != 1 {
			return
		}
		m, fds, err := w.other.Receive()
		if err != nil {
			w.t.Fatal(err)
		}
		if len(fds) != len(m.Names) && m.Kind != Held {
			w.t.Fatalf("%d descriptors with %s", len(fds), dump(m))
		}
		CloseAll(fds)
		w.heard(m)
	}
}

// heard checks the order of facts: Spawned, then Exited, then TreeEmpty, of generations that never go back.
func (w *world) heard(m *Message) {
	switch m.Kind {
	case Spawned, SpawnFailed, Exited, TreeEmpty:
	default:
		return
	}
	if m.Gen < w.genOf[m.Unit] && w.rows[m.Unit] != nil && w.rows[m.Unit].op > 1 {
		if r := w.rows[m.Unit]; r.gen > m.Gen {
			w.t.Fatalf("generation %d told, %d known: %s", m.Gen, r.gen, dump(m))
		}
	}
	r := w.rows[m.Unit]
	if r == nil || m.Gen != r.gen {
		return
	}
	switch {
	case m.Kind == Spawned && (m.Pid == 0 || m.At == 0),
		m.Kind == SpawnFailed && m.Failure == nil,
		m.Kind == Exited && (m.Exit == nil || m.Pid == 0 || r.owed.spawned || r.state != Ended),
		m.Kind == TreeEmpty && (r.owed.exited || r.live()):
		w.t.Fatalf("told %s of %+v", dump(m), r)
	}
}

// check looks at what must hold whenever nothing is going on.
func (w *world) check() {
	for unit, r := range w.rows {
		switch {
		case r.unit != unit,
			r.state == Alive && (r.main == 0 || r.tree == nil || r.empty || r.exit != nil),
			r.state == Ended && r.exit == nil,
			r.state == NotBorn && (r.fail == nil || !r.empty),
			!r.live() && r.tree != nil,
			r.state == Alive && w.byPid[r.main] != r,
			len(r.files) > maxFiles:
			w.t.Fatalf("row %+v", r)
		}
	}
	for pid, r := range w.byPid {
		if r.main != pid || w.rows[r.unit] != r {
			w.t.Fatalf("pid %d is of %+v", pid, r)
		}
	}
	for r := range w.trees.pending {
		if !r.live() {
			w.t.Fatalf("looked at for ever: %+v", r)
		}
	}
}

// TestNothingLeaks runs some thousand random orders and compares what is open before and after.
func TestNothingLeaks(t *testing.T) {
	before := openFiles(t, os.Getpid())
	for seed := range uint64(20) {
		t.Run("", func(t *testing.T) { randomOrders(t, rand.New(rand.NewPCG(seed, 7)), 500) })
	}
	r := &rig{t: t} // the last reader of a stage closes its end after it was heard
	r.until(fmt.Sprintf("%d open descriptors again", before), func() bool { return openFiles(t, os.Getpid()) <= before })
}
