package engine

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/proctree"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// storing is heardBy with a keeper that can be read, and a loop that is the test.
func storing(t *testing.T, p unit.Phase) (e *Engine, in *inst, orders func() []string) {
	t.Helper()
	e, in = heardBy(t, p)
	e.loop, e.requests = make(chan struct{}), make(chan func(), 64)
	t.Cleanup(func() {
		close(e.loop)
		e.dropStored(in, dropAll)
		if e.storeWatch.epoll != nil {
			e.storeWatch.epoll.Close()
		}
	})
	ours, fd, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	e.link.conn = keeper.NewConn(fd)
	t.Cleanup(func() { ours.Close(); e.link.conn.Close() })
	return e, in, func() (list []string) {
		e.link.send(&keeper.Message{Kind: keeper.Ping})
		for {
			m, fds, err := ours.Receive()
			if err != nil {
				t.Fatal(err)
			}
			keeper.CloseAll(fds)
			if m.Kind == keeper.Ping {
				return list
			}
			list = append(list, fmt.Sprintf("%s %s %d, %d", m.Kind, m.Name, m.Gen, len(fds)))
		}
	}
}

// ends are the two of a new pipe.
func ends(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func storeNote(text string, files ...int) note {
	n := own(text)
	n.files = files
	return n
}

func wantOrders(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the keeper was told %q, not %q", got, want)
	}
}

// TestStore: what is kept, under which names, how much, and until when.
func TestStore(t *testing.T) {
	e, in, orders := storing(t, unit.Ready)
	r1, w1 := ends(t)
	r2, w2 := ends(t)
	e.noted(in, storeNote("FDSTORE=1", r1, r1))
	wantOrders(t, orders(), "hold store:stored 1, 1") // once
	again, err := unix.FcntlInt(uintptr(r1), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=other", again))
	wantOrders(t, orders())
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=a/b", w2, w1)) // one too many
	wantOrders(t, orders(), "hold store:a/b 2, 1")
	e.noted(in, storeNote("FDSTORE=1", r2))
	wantOrders(t, orders())
	e.noted(in, storeNote("FDSTOREREMOVE=1"))
	e.noted(in, storeNote("FDSTOREREMOVE=1\nFDNAME=none"))
	wantOrders(t, orders())
	e.noted(in, storeNote("FDSTOREREMOVE=1\nFDNAME=stored"))
	wantOrders(t, orders(), "drop store:stored 1, 0")
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=a/b", r2))
	wantOrders(t, orders(), "hold store:a/b 3, 1")
	e.noted(in, storeNote("FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=a/b", w2)) // first out, then in
	wantOrders(t, orders(), "drop store:a/b 2, 0", "drop store:a/b 3, 0", "hold store:a/b 1, 1")
	e.step(in, unit.Event{Kind: unit.Exited, Gen: 7, Pid: 70, Empty: true, End: unit.End{Reason: unit.ExitCode, Code: 1}})
	if in.u.Phase != unit.Backoff || len(in.store) != 1 {
		t.Fatalf("after a crash it is %s, with %d stored", in.u.Phase, len(in.store))
	}
	e.step(in, unit.Event{Kind: unit.Stop})
	if in.u.Phase != unit.Idle || in.store != nil {
		t.Errorf("after a stop it is %s, with %d stored", in.u.Phase, len(in.store))
	}
	e.noted(in, storeNote("FDSTORE=1", r1))
	if in.store != nil {
		t.Error("who is down stores something")
	}
}

// TestStoreOfOldGeneration: what one has stored right before it ended is for the next.
func TestStoreOfOldGeneration(t *testing.T) {
	for _, p := range []unit.Phase{unit.Backoff, unit.Blocked, unit.Spawning} {
		e, in, _ := storing(t, p)
		in.u.Pid, in.lastPid, in.making = 0, 60, true
		r, _ := ends(t)
		n := storeNote("FDSTORE=1\nREADY=1\nSTATUS=bye", r)
		n.from, n.Pid, n.UID = proctree.Trace{}, 60, 1000
		e.noted(in, n)
		if len(in.store) != 1 || in.status != "" || in.u.Phase != p {
			t.Errorf("%s: %d stored, status %q", in.u.Phase, len(in.store), in.status)
		}
	}
}

func TestStoreOfStranger(t *testing.T) {
	e, in, orders := storing(t, unit.Ready)
	r, _ := ends(t)
	n := storeNote("FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=x", r)
	n.from.Group = "other-g1"
	e.noted(in, n)
	wantOrders(t, orders())
	in.svc.spec.FDStore = 0
	e.noted(in, storeNote("FDSTORE=1", r))
	wantOrders(t, orders())
}

// TestStoreHangup: what nobody is at the other end of is dropped, unless the service wants it kept.
func TestStoreHangup(t *testing.T) {
	e, in, orders := storing(t, unit.Ready)
	in.svc.spec.FDStore = 8
	var pair [2]int
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair = fds
	defer unix.Close(pair[0])
	r, w := ends(t)
	kept, other := ends(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=socket", pair[0]))
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=pipe", w))
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=kept\nFDPOLL=0", kept))
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=file", int(file.Fd())))
	wantOrders(t, orders(), "hold store:socket 1, 1", "hold store:pipe 2, 1", "hold store:kept:keep 3, 1", "hold store:file 4, 1")
	for _, fd := range []int{pair[1], other, r} {
		unix.Close(fd)
	}
	for len(in.store) > 2 {
		select {
		case f := <-e.requests:
			f()
		case <-time.After(20 * time.Second):
			t.Fatalf("still stored: %+v", in.store)
		}
	}
	got := orders()
	slices.Sort(got)
	wantOrders(t, got, "drop store:pipe 2, 0", "drop store:socket 1, 0")
	if in.store[0].name != "kept" || in.store[1].name != "file" || len(e.storeWatch.who) != 0 {
		t.Errorf("stored: %+v, watched: %d", in.store, len(e.storeWatch.who))
	}
	e.hungUp(999) // of one that has gone
}

// TestTakeStored: what the next engine, and the next keeper, get is what was stored.
func TestTakeStored(t *testing.T) {
	e, in, _ := storing(t, unit.Ready)
	r, w := ends(t)
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=in", r))
	e.noted(in, storeNote("FDSTORE=1\nFDNAME=out\nFDPOLL=0", w))
	next, other, _ := storing(t, unit.Ready)
	var names []string
	fds, _ := in.copyStored()
	for _, s := range in.store {
		names = append(names, keeper.FileName(s.wire(), s.number))
	}
	next.adoptFiles(other, names, fds)
	for i, s := range other.store {
		was := in.store[i]
		if s.name != was.name || s.number != was.number || s.keep != was.keep || (s.token == 0) != s.keep || !sameFile(s.fd, was.fd) {
			t.Errorf("stored %+v, taken over %+v", was, s)
		}
	}
	if fds, names := other.copyStored(); len(fds) != 2 || !slices.Equal(names, []string{"in", "out"}) {
		t.Errorf("it would get %d, %q", len(fds), names)
	} else {
		keeper.CloseAll(fds)
	}
	r3, _ := ends(t)
	other.svc.spec.FDStore = 3
	next.noted(other, storeNote("FDSTORE=1\nFDNAME=more", r3))
	if s := other.store[len(other.store)-1]; s.number != 3 {
		t.Errorf("the next number is %d", s.number)
	}
}

func TestStoreVariables(t *testing.T) {
	for _, c := range []struct {
		room  int
		names []string
		want  []string
	}{
		{0, nil, nil},
		{3, nil, []string{"FDSTORE=3"}},
		{3, []string{"a", "a", "b c"}, []string{"FDSTORE=3", "LISTEN_FDS=3", "LISTEN_FDNAMES=a:a:b c"}},
		{0, []string{"a"}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=a"}}, // the room was taken away since
	} {
		got := storeVariables(aService("web", func(s *spec.Service) { s.FDStore = c.room }), c.names)
		if !slices.Equal(got, c.want) {
			t.Errorf("%d, %q: %q", c.room, c.names, got)
		}
	}
}

// TestPassed: an order brings what is stored, through the exec stage, which adds LISTEN_PID.
func TestPassed(t *testing.T) {
	e, _, _ := storing(t, unit.Ready)
	sp := aService("web", func(s *spec.Service) {
		s.Command, s.FDStore, s.Umask = []string{"/bin/true"}, 2, -1
		s.Env = []spec.Var{{Name: "LISTEN_FDS", Value: "9", From: spec.Inherited}, {Name: "WATCHDOG_PID", Value: "1", From: spec.FromKey}}
	})
	e.o.MemoryDir = t.TempDir()
	for _, names := range [][]string{nil, {"a", "b"}} {
		p := e.prepareAtEdge(sp, "web", 1, 8, -1, names)
		if p.failure != nil {
			t.Fatalf("%+v", p.failure)
		}
		p.notify.Close()
		if p.order.Pass != len(names) || (p.order.Exec == nil) != (names != nil) {
			t.Errorf("%q: %d are passed, directly: %v", names, p.order.Pass, p.order.Exec != nil)
		}
	}
	env := environment(sp, "web", 1, "MARK=1", "/s")
	if slices.Contains(env, "LISTEN_FDS=9") || !slices.Contains(env, "WATCHDOG_PID=1") {
		t.Errorf("it finds %q", env)
	}
}

// TestRefusedStoreLeaksNothing: a descriptor that is not kept is closed, whatever the reason.
func TestRefusedStoreLeaksNothing(t *testing.T) {
	for name, change := range map[string]func(*inst){
		"no store":   func(in *inst) { in.svc.spec.FDStore = 0 },
		"no room":    func(in *inst) { in.svc.spec.FDStore, in.store = 1, []stored{{name: "x", fd: 0}} },
		"down":       func(in *inst) { in.u = unit.Unit{Gen: 7} },
		"a stranger": func(in *inst) { in.u.Pid = 70 },
	} {
		e, in, socket, _ := hearing(t)
		change(in)
		e.takeNotify(in, socket, -1)
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Sendmsg(s, []byte("FDSTORE=1"), unix.UnixRights(p[1]), &unix.SockaddrUnix{Name: socket.Name()}, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(s)
		unix.Close(p[1])
		(<-e.requests)()
		if n, err := unix.Read(p[0], make([]byte, 1)); n != 0 || err != nil { // ends when no copy is left
			t.Errorf("%s: %d, %v", name, n, err)
		}
		unix.Close(p[0])
		in.store = nil
	}
}
