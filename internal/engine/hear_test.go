package engine

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/backoff"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/proctree"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// heardBy is an instance in a phase, pid 70 of generation 7, with room for two descriptors.
func heardBy(t *testing.T, p unit.Phase) (*Engine, *inst) {
	t.Helper()
	e := engineOf(t, aService("web", func(s *spec.Service) { s.Ready.When, s.FDStore = spec.ReadyNotify, 2 }))
	in := e.insts["web"]
	in.notifyUID = 1000
	in.u = unit.Unit{Want: unit.Up, Phase: p, Gen: 7, Pid: 70, Started: 9e11, WasReady: p != unit.Starting, DepsMet: true, Restarts: 5,
		Restart: backoff.State{Level: 3}}
	if p != unit.Ready {
		in.u.Deadline = e.now.Add(10 * time.Second)
	}
	return e, in
}

// own is a note of a process of the instance's tree.
func own(text string) note {
	return note{Message: notify.Parse([]byte(text)), from: proctree.Trace{Live: true, Group: "web-g7"}}
}

// TestNoted: each thing that a service may say.
func TestNoted(t *testing.T) {
	for _, c := range []struct {
		text  string
		phase unit.Phase
		is    func(e *Engine, in *inst) bool
	}{
		{"READY=1", unit.Starting, func(e *Engine, in *inst) bool { return in.u.Phase == unit.Ready }},
		{"READY=1", unit.Ready, func(e *Engine, in *inst) bool { return in.u.Phase == unit.Ready && !in.noted }},
		{"STATUS=at work", unit.Ready, func(e *Engine, in *inst) bool { return in.status == "at work" && e.why(in) == "at work" }},
		{"ERRNO=2", unit.Ready, func(e *Engine, in *inst) bool { return in.errno == "ENOENT" }},
		{"ERRNO=4095", unit.Ready, func(e *Engine, in *inst) bool { return in.errno == "4095" }},
		{"RELOADING=1", unit.Ready, func(e *Engine, in *inst) bool { return in.reloading == e.now && e.why(in) == "reloading for 0s" }},
		{"RELOADING=1\nMONOTONIC_USEC=999000000", unit.Ready, func(e *Engine, in *inst) bool { return e.why(in) == "reloading for 1s" }},
		{"RELOADING=1\nMONOTONIC_USEC=9999000000", unit.Ready, func(e *Engine, in *inst) bool { return in.reloading == e.now }},
		{"RELOADING=1", unit.Starting, func(e *Engine, in *inst) bool { return in.reloading == 0 }},
		{"RELOADING=1\nREADY=1", unit.Ready, func(e *Engine, in *inst) bool { return in.reloading == 0 }},
		{"STOPPING=1", unit.Ready, func(e *Engine, in *inst) bool { return in.u.Phase == unit.Stopping && in.u.Reason == unit.ByItself }},
		{"MAINPID=71", unit.Ready, func(e *Engine, in *inst) bool { return in.moving == 71 && in.u.Pid == 70 }},
		{"MAINPID=70", unit.Ready, func(e *Engine, in *inst) bool { return in.moving == 0 }},
		{"EXTEND_TIMEOUT_USEC=60000000", unit.Starting, func(e *Engine, in *inst) bool { return in.u.Deadline == e.now.Add(time.Minute) }},
		{"EXTEND_TIMEOUT_USEC=60000000", unit.Stopping, func(e *Engine, in *inst) bool { return in.u.Deadline == e.now.Add(time.Minute) }},
		{"EXTEND_TIMEOUT_USEC=1", unit.Stopping, func(e *Engine, in *inst) bool { return in.u.Deadline == e.now.Add(10*time.Second) }},
		{"RESTART_RESET=1", unit.Ready, func(e *Engine, in *inst) bool { return in.u.Restarts == 0 && in.u.Restart.Level == 0 }},
		{"READY=1\nSTATUS=up\nMAINPID=72\nERRNO=5\nRESTART_RESET=1\nX_OURS=1", unit.Starting, func(e *Engine, in *inst) bool {
			return in.u.Phase == unit.Ready && in.status == "up" && in.moving == 72 && in.errno == "EIO" && in.u.Restarts == 0
		}},
	} {
		e, in := heardBy(t, c.phase)
		e.noted(in, own(c.text))
		if !c.is(e, in) {
			t.Errorf("%q in %s: %s, status %q, errno %q, reloading %d, moving %d", c.text, c.phase, in.u.Phase, in.status, in.errno, in.reloading, in.moving)
		}
	}
}

// TestReloading: it lasts until READY=1, however often that is said before or after, and through the death of an engine.
func TestReloading(t *testing.T) {
	e, in := heardBy(t, unit.Ready)
	for _, step := range []struct {
		text string
		is   bool
	}{{"READY=1", false}, {"RELOADING=1", true}, {"STATUS=reading", true}, {"RELOADING=1", true}, {"READY=1", false}, {"READY=1", false},
		{"RELOADING=1", true}, {"STOPPING=1", false}} {
		e.noted(in, own(step.text))
		if is := in.reloading != 0; is != step.is {
			t.Fatalf("after %s it is reloading: %v", step.text, is)
		}
	}
	e, in = heardBy(t, unit.Ready)
	e.noted(in, own("RELOADING=1"))
	if r := e.record(in); !strings.Contains(string(r), `"reloading":`) {
		t.Errorf("the record is %s", r)
	}
	e.step(in, unit.Event{Kind: unit.Restart, Gen: 7}) // and never says READY=1
	e.step(in, unit.Event{Kind: unit.Exited, Gen: 7, Pid: 70, Empty: true})
	if in.u.Phase != unit.Spawning || in.reloading != 0 {
		t.Errorf("the next generation is %s, reloading since %d", in.u.Phase, in.reloading)
	}
}

// TestMaySend: who may speak for an instance.
func TestMaySend(t *testing.T) {
	alive := proctree.Trace{Live: true}
	with := func(change func(*proctree.Trace)) proctree.Trace {
		tr := alive
		change(&tr)
		return tr
	}
	for _, c := range []struct {
		name string
		from proctree.Trace
		uid  int
		may  bool
	}{
		{"of its group", with(func(t *proctree.Trace) { t.Group = "web-g7" }), 1000, true},
		{"of its mark", with(func(t *proctree.Trace) { t.Mark = "web/7" }), 1000, true},
		{"of the generation before", with(func(t *proctree.Trace) { t.Mark = "web/6" }), 1000, true},
		{"of a generation to come", with(func(t *proctree.Trace) { t.Mark = "web/8" }), 1000, false},
		{"of another instance", with(func(t *proctree.Trace) { t.Mark, t.Line = "web.2/7", []int{70} }), 1000, false},
		{"of another service, as root", with(func(t *proctree.Trace) { t.Group = "app-g7" }), 0, false},
		{"a child of the main process", with(func(t *proctree.Trace) { t.Line = []int{99, 70, 5} }), 1000, true},
		{"one with its output", with(func(t *proctree.Trace) { t.Out = [2]uint64{0, 4711} }), 1000, true},
		{"one with another output", with(func(t *proctree.Trace) { t.Out = [2]uint64{4712, 0} }), 1000, false},
		{"a stranger", with(func(t *proctree.Trace) { t.Line = []int{99, 5} }), 1000, false},
		{"a stranger, root", alive, 0, false},
		{"gone, of the service's user", proctree.Trace{}, 1000, true},
		{"gone, of root", proctree.Trace{}, 0, true},
		{"gone, of the daemon's user", proctree.Trace{}, os.Geteuid(), true},
		{"gone, of somebody", proctree.Trace{}, 1001, os.Geteuid() == 1001},
		{"gone, unknown", proctree.Trace{}, -1, false},
	} {
		e, in := heardBy(t, unit.Ready)
		in.output.inode = 4711
		n := note{Message: notify.Parse([]byte("STATUS=heard")), from: c.from}
		n.Pid, n.UID = 99, c.uid
		e.noted(in, n)
		if heard := in.status == "heard" || strings.Contains(c.name, "generation before") && e.maySend(in, n); heard != c.may {
			t.Errorf("%s: heard %v", c.name, heard)
		}
	}
}

// TestOldWords: what a generation that has gone has said is not about the one that runs.
func TestOldWords(t *testing.T) {
	gone := func(text string) note {
		n := note{Message: notify.Parse([]byte(text))}
		n.Pid, n.UID = 60, 1000
		return n
	}
	e, in := heardBy(t, unit.Ready)
	in.lastPid = 60
	e.noted(in, gone("STOPPING=1\nSTATUS=bye\nERRNO=5"))
	older := own("STOPPING=1")
	older.from = proctree.Trace{Live: true, Mark: "web/6"}
	e.noted(in, older)
	if in.u.Phase != unit.Ready || in.status != "" || in.errno != "" {
		t.Errorf("%s, status %q, errno %q", in.u.Phase, in.status, in.errno)
	}
	e, in = heardBy(t, unit.Spawning) // of which there is nobody yet
	in.u.Pid, in.making = 0, true
	e.hear(in, nil, gone("READY=1\nMAINPID=60"), make(chan struct{}))
	if in.u.WasReady && in.early != nil || in.moving != 0 {
		t.Errorf("heard early: %d, main process to be %d", len(in.early), in.moving)
	}
	e, in = heardBy(t, unit.Backoff)
	in.u.Pid = 0
	e.noted(in, gone("STATUS=late"))
	if in.status != "" {
		t.Errorf("status %q of nobody", in.status)
	}
}

// TestEarlyWords: what comes before the news of the birth, and needs to know it, waits.
func TestEarlyWords(t *testing.T) {
	for text, waits := range map[string]bool{"WATCHDOG_USEC=5000000": true, "WATCHDOG=1": true, "WATCHDOG=trigger": true, "MAINPID=71": true, "EXTEND_TIMEOUT_USEC=5000000": true, "READY=1": false, "STATUS=x": false} {
		e, in := heardBy(t, unit.Spawning)
		in.u.Pid, in.u.Started = 0, 0
		stored := make(chan struct{})
		e.hear(in, nil, own(text), stored)
		select {
		case <-stored:
			if waits {
				t.Errorf("%s is through", text)
			}
		default:
			if !waits {
				t.Errorf("%s waits", text)
			}
		}
		e.step(in, unit.Event{Kind: unit.Spawned, Gen: 7, Pid: 70})
		e.hearEarly(in)
		<-stored
	}
	e, in := heardBy(t, unit.Spawning)
	in.u.Pid = 0
	stranger := own("STATUS=x")
	stranger.from = proctree.Trace{Live: true, Line: []int{70}} // has erased its environment: who it is tells the birth
	e.hear(in, nil, stranger, make(chan struct{}))
	if len(in.early) != 1 {
		t.Errorf("%d wait", len(in.early))
	}
}

// TestRefusalsAreLoggedNowAndThen: a stranger who talks on does not fill the log.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	e, in := heardBy(t, unit.Ready)
	var log bytes.Buffer
	e.log = slog.New(slog.NewTextHandler(&log, nil))
	n := own("READY=1")
	n.from.Group = "other-g1"
	for range 100 {
		e.noted(in, n)
	}
	if lines := strings.Count(log.String(), "refused"); lines != 1 {
		t.Errorf("%d lines:\n%s", lines, &log)
	}
	e.now = e.now.Add(refusedEvery)
	e.noted(in, n)
	if !strings.Contains(log.String(), "and_before=99") {
		t.Errorf("log:\n%s", &log)
	}
}

// TestHears: who gets a notify socket.
func TestHears(t *testing.T) {
	for _, c := range []struct {
		change func(*spec.Service)
		want   bool
	}{
		{nil, false},
		{func(s *spec.Service) { s.Ready.When = spec.ReadyNotify }, true},
		{func(s *spec.Service) { s.Ready.When = spec.ReadyFD }, false},
		{func(s *spec.Service) { s.Pulse = &spec.Pulse{} }, true},
		{func(s *spec.Service) { s.FDStore = 1 }, true},
	} {
		if got := hears(aService("web", c.change)); got != c.want {
			t.Errorf("%+v: %v", aService("web", c.change), got)
		}
	}
}
