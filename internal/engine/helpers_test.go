package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/launch"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// An attendant is an engine whose loop does not run, with one instance that is ready, and what it orders of the keeper. The
// test brings the keeper's facts.
type attendant struct {
	*Engine
	t   *testing.T
	in  *inst
	far *keeper.Conn
}

func newAttendant(t *testing.T, checks ...spec.Check) *attendant {
	t.Helper()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	a := &attendant{Engine: engineOf(t, aService("web", func(s *spec.Service) { s.Checks = checks })), t: t, far: keeper.NewConn(other)}
	a.link.conn = conn
	t.Cleanup(func() { conn.Close(); a.far.Close() })
	a.in = a.insts["web"]
	a.in.u = unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 7, Pid: 70, Started: a.now, Since: a.now, WasReady: true, DepsMet: true}
	return a
}

// orders are the kinds of messages that were sent to the keeper since the last call, with their units where they have one.
func (a *attendant) orders() string {
	a.t.Helper()
	var list []string
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(a.far.FD()), Events: unix.POLLIN}}, 0)
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			return strings.Join(list, ", ")
		}
		m, fds, err := a.far.Receive()
		if err != nil {
			a.t.Fatal(err)
		}
		keeper.CloseAll(fds)
		if m.Unit != "" {
			list = append(list, string(m.Kind)+" "+m.Unit)
		}
	}
}

// tell brings a fact about a helper.
func (a *attendant) tell(h *helper, m keeper.Message, fds ...int) {
	a.t.Helper()
	m.Unit = h.name
	if m.Gen == 0 {
		m.Gen = h.gen
	}
	if err := a.fact(fact{m: &m, fds: fds}); err != nil {
		a.t.Fatal(err)
	}
}

// run has a helper of the instance ordered, and returns it with where its answer will stand.
func (a *attendant) run(timeout time.Duration) (*helper, *string) {
	a.t.Helper()
	answer := new(string)
	h := a.runHelper(a.in, "check1", []string{"true"}, timeout, func(r helped) { *answer += fmt.Sprintf("%+v", r) })
	if h == nil {
		a.t.Fatal("no helper")
	}
	a.helperPrepared(h, launch.Prepared{Direct: true}, nil)
	if got := a.orders(); got != "spawn web:check1" {
		a.t.Fatalf("ordered %q", got)
	}
	return h, answer
}

// eventually is the one place where tests look again and again: for what a goroutine does without a signal.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !fact(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// exit is a main process that ended with a wait status.
func exit(status int, empty bool) keeper.Message {
	return keeper.Message{Kind: keeper.Exited, Pid: 80, Exit: &keeper.Exit{Status: status}, Empty: empty}
}

var born = keeper.Message{Kind: keeper.Spawned, Pid: 80, Start: 5, At: 1e12}

// TestHelperEnds: what the keeper tells of a helper, what it is ordered, and what its owner hears.
func TestHelperEnds(t *testing.T) {
	gone := keeper.Message{Kind: keeper.TreeEmpty}
	for _, c := range []struct {
		name   string
		facts  []keeper.Message
		due    bool // its time is over after the facts
		after  []keeper.Message
		orders string
		answer string
	}{
		{"good", []keeper.Message{born, exit(0, true)}, false, nil, "forget web:check1", "{good:true late:false unasked:false message:exit code 0}"},
		{"bad", []keeper.Message{born, exit(3<<8, true)}, false, nil, "forget web:check1", "{good:false late:false unasked:false message:exit code 3}"},
		{"signal", []keeper.Message{born, exit(11, true)}, false, nil, "forget web:check1", "{good:false late:false unasked:false message:killed by signal SEGV}"},
		{"left something", []keeper.Message{born, exit(0, false), gone}, false, nil, "kill web:check1, forget web:check1",
			"{good:true late:false unasked:false message:exit code 0}"},
		{"timeout", []keeper.Message{born}, true, []keeper.Message{exit(9, false), gone}, "kill web:check1, forget web:check1",
			"{good:false late:false unasked:false message:no answer within 2s}"},
		{"never born", nil, true, []keeper.Message{{Kind: keeper.SpawnFailed, Failure: &keeper.Failure{Stage: "fork", Errno: int(unix.ECANCELED)}}},
			"kill web:check1, forget web:check1", "{good:false late:false unasked:true message:it could not be started in time}"},
		{"not made", []keeper.Message{{Kind: keeper.SpawnFailed, Failure: &keeper.Failure{Stage: "exec", Errno: int(unix.ENOENT), Detail: "/x"}}}, false, nil,
			"forget web:check1", `{good:false late:false unasked:true message:exec "/x": no such file or directory}`},
		{"nobody saw it end", []keeper.Message{born, {Kind: keeper.Exited, Pid: 80, Empty: true}}, false, nil, "forget web:check1",
			"{good:false late:true unasked:false message:nobody saw its end}"},
		{"of another generation", []keeper.Message{born, {Kind: keeper.Exited, Gen: 3, Pid: 80, Exit: &keeper.Exit{}, Empty: true}}, false, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAttendant(t)
			h, answer := a.run(2 * time.Second)
			for _, m := range c.facts {
				a.tell(h, m)
			}
			if c.due {
				a.helperDue(h)
			}
			for _, m := range c.after {
				a.tell(h, m)
			}
			if got := a.orders(); got != c.orders {
				t.Errorf("ordered %q, want %q", got, c.orders)
			}
			if *answer != c.answer {
				t.Errorf("answered %q, want %q", *answer, c.answer)
			}
			if forgotten := strings.Contains(c.orders, "forget"); forgotten != (a.helpers["web:check1"] == nil) || forgotten != (a.busy == 0) {
				t.Errorf("helpers %v, busy %d", a.helpers, a.busy)
			}
		})
	}
}

// TestHelperKilled: whoever is not wanted any more is killed whole, and nobody hears of it, at whatever stage it is.
func TestHelperKilled(t *testing.T) {
	t.Run("not ordered yet", func(t *testing.T) {
		a := newAttendant(t)
		h := a.runHelper(a.in, "check1", []string{"true"}, time.Second, func(helped) { t.Error("answered") })
		a.killHelper(h)
		a.helperPrepared(h, launch.Prepared{Direct: true}, nil)
		if got := a.orders(); got != "" || a.busy != 0 || len(a.helpers) != 0 {
			t.Errorf("ordered %q, busy %d", got, a.busy)
		}
	})
	t.Run("running", func(t *testing.T) {
		a := newAttendant(t)
		h, answer := a.run(time.Second)
		a.tell(h, born)
		a.killHelper(h)
		a.killHelper(h)
		if got := a.orders(); got != "kill web:check1" {
			t.Errorf("ordered %q", got)
		}
		if a.runHelper(a.in, "check1", []string{"true"}, time.Second, func(helped) {}) != nil {
			t.Error("two of one name at a time")
		}
		a.tell(h, exit(9, true))
		a.killHelper(h) // and again, when it has gone
		if got := a.orders(); got != "forget web:check1" || *answer != "" {
			t.Errorf("ordered %q, answered %q", got, *answer)
		}
	})
	t.Run("none", func(t *testing.T) { newAttendant(t).killHelper(nil) })
}

// TestHelperOutput: the last line belongs to a bad answer, and is awaited.
func TestHelperOutput(t *testing.T) {
	a := newAttendant(t)
	h, answer := a.run(time.Second)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	m := born
	m.Names = []string{"ready/1", keeper.FileName(keeper.LogPipe, 1)}
	spare, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer spare.Close()
	dup, err := unix.Dup(int(spare.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	a.tell(h, m, dup, p[0])
	a.tell(h, exit(1<<8, true))
	if *answer != "" {
		t.Errorf("answered %q before its output was known", *answer)
	}
	w := os.NewFile(uintptr(p[1]), "pipe")
	fmt.Fprint(w, "first\nthe \x1b[31mlast\t \n\n")
	w.Close()
	eventually(t, "its output is read", func() bool { return h.output.lastLine() != "" })
	h.output.ended = true
	a.tellHelper(h)
	a.tellHelper(h)
	if want := "{good:false late:false unasked:false message:exit code 1: the ?[31mlast}"; *answer != want {
		t.Errorf("answered %q, want %q", *answer, want)
	}
}

// TestStrayHelper: what another engine has left of helpers is killed and forgotten, and is nobody's instance.
func TestStrayHelper(t *testing.T) {
	for _, state := range []keeper.State{keeper.Alive, keeper.InSpawn, keeper.Ended, keeper.NotBorn, keeper.NoProcess} {
		a := newAttendant(t)
		row := &keeper.Message{Kind: keeper.Row, Unit: "web:check1", Gen: 99, Op: 100, State: state, Pid: 80, Empty: state != keeper.Alive}
		a.restore(map[string]*rowIn{"web:check1": {m: row}})
		if got := a.orders(); got != "kill web:check1" || a.busy != 1 || len(a.insts) != 1 {
			t.Errorf("%q: ordered %q, busy %d, %d instances", state, got, a.busy, len(a.insts))
		}
		h := a.helpers["web:check1"]
		if h.op != 101 || h.gen != 99 {
			t.Errorf("%q: operation %d of generation %d", state, h.op, h.gen)
		}
		a.tell(h, keeper.Message{Kind: keeper.TreeEmpty})
		if got := a.orders(); got != "forget web:check1" || a.busy != 0 {
			t.Errorf("%q: ordered %q, busy %d", state, got, a.busy)
		}
	}
}

func TestHandOverHelpers(t *testing.T) {
	a := newAttendant(t)
	h, answer := a.run(time.Second)
	a.tell(h, born)
	making := a.runHelper(a.in, "check2", []string{"true"}, time.Second, func(helped) {})
	a.handOverHelpers()
	if got := a.orders(); got != "adopt web:check1, kill web:check1" || *answer != "{good:false late:true unasked:false message:the keeper was killed}" {
		t.Errorf("ordered %q, answered %q", got, *answer)
	}
	a.helperPrepared(making, launch.Prepared{Direct: true}, nil)
	if got := a.orders(); got != "spawn web:check2" {
		t.Errorf("ordered %q", got)
	}
}

func TestTail(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\n \n": "", "a": "a", "a\n": "a", "a\nb\n\n": "b", "a\r\nb \r\n": "b", "\xff\x00": "??",
		strings.Repeat("x", 300): strings.Repeat("x", 200), strings.Repeat("y", 5000) + "\nend": "end",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, text)
		w.Close()
		tl := &tail{pipe: r}
		ended := false
		tl.read(func() { ended = true })
		if got := tl.lastLine(); got != want || !ended || len(tl.last) > maxTail {
			t.Errorf("%.20q: last line %q, want %q; ended %v, %d bytes kept", text, got, want, ended, len(tl.last))
		}
	}
}

// TestTailGivesUp: a pipe that somebody keeps open for ever is not read for ever.
func TestTailGivesUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	tl, done := &tail{pipe: r}, make(chan struct{})
	go tl.read(func() { close(done) })
	tl.giveUp()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("it is still read")
	}
}
