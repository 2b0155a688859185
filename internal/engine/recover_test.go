package engine

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/backoff"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// aService returns what a file would define.
func aService(name string, change func(*spec.Service)) *spec.Service {
	s := &spec.Service{Name: name, Command: []string{name}, Enabled: true, Instances: 1, LostAfter: 10 * time.Second,
		Ready: spec.Ready{When: spec.ReadyExec}, StartTimeout: time.Minute, Stop: spec.Stop{Signal: 15, Timeout: time.Second, To: spec.StopMain},
		Restart: spec.Restart{When: spec.RestartAlways, Step: time.Second, MaxDelay: time.Minute, Factor: 2, Stable: 10 * time.Second}}
	if change != nil {
		change(s)
	}
	return s
}

// engineOf is an engine of a configuration whose loop does not run, at a moment. Nobody reads what it sends.
func engineOf(t testing.TB, services ...*spec.Service) *Engine {
	t.Helper()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); unix.Close(other) })
	e := newEngine(Options{Conn: conn, Log: slog.New(slog.DiscardHandler), Now: func() (unit.Time, time.Time) { return 1e12, time.Unix(1, 0) }})
	close(e.loop) // what is posted is dropped
	e.cfg, e.daemon = &spec.Config{Services: services}, daemonRecord{Mode: running}
	sortServices(e.cfg)
	e.events.start(0, 0)
	e.build(e.cfg)
	return e
}

// aRow is a keeper's row of a unit with a record.
func aRow(e *Engine, u unit.Unit, m keeper.Message) *rowIn {
	m.Kind, m.Gen = keeper.Row, max(m.Gen, u.Gen)
	return &rowIn{m: &m, known: true, record: record{Unit: u, Spec: e.service("web").hash}}
}

// TestReconcile: what a unit was when the last engine stored it, what its process has become since, and where that leads.
func TestReconcile(t *testing.T) {
	up := unit.Unit{Want: unit.Up, Gen: 7, Since: 9e11, DepsMet: true, Restart: backoff.State{Level: 3}}
	ready, spawning, stopping, killing := up, up, up, up
	ready.Phase, ready.Pid, ready.Started, ready.WasReady = unit.Ready, 70, 9e11, true
	spawning.Phase, spawning.Deadline = unit.Spawning, 2e12
	stopping.Phase, stopping.Want, stopping.Pid, stopping.Reason, stopping.Deadline = unit.Stopping, unit.Down, 70, unit.ByOperator, 2e12
	killing.Phase, killing.Want, killing.Reason, killing.Deadline = unit.Killing, unit.Down, unit.ByOperator, 2e12
	exit := &keeper.Exit{Status: 1 << 8, At: 95e10}
	for _, c := range []struct {
		name  string
		u     unit.Unit
		m     keeper.Message
		phase unit.Phase
		pid   int
	}{
		{"lives on", ready, keeper.Message{State: keeper.Alive, Pid: 70}, unit.Ready, 70},
		{"was made meanwhile", spawning, keeper.Message{State: keeper.Alive, Pid: 71, At: 95e10}, unit.Ready, 71},
		{"is being made", spawning, keeper.Message{State: keeper.InSpawn}, unit.Spawning, 0},
		{"was not made", spawning, keeper.Message{State: keeper.NotBorn, Failure: &keeper.Failure{Stage: "exec"}, Empty: true}, unit.Backoff, 0},
		{"was made and died", spawning, keeper.Message{State: keeper.Ended, Pid: 71, Exit: exit, Empty: true}, unit.Backoff, 0},
		{"died", ready, keeper.Message{State: keeper.Ended, Pid: 70, Exit: exit, Empty: true}, unit.Backoff, 0},
		{"died and left something", ready, keeper.Message{State: keeper.Ended, Pid: 70, Exit: exit}, unit.Stopping, 0},
		{"moved", ready, keeper.Message{State: keeper.Alive, Pid: 72}, unit.Ready, 72},
		{"moved and died", ready, keeper.Message{State: keeper.Ended, Pid: 72, Exit: exit, Empty: true}, unit.Backoff, 0},
		{"still stopping", stopping, keeper.Message{State: keeper.Alive, Pid: 70}, unit.Stopping, 70},
		{"stopped", stopping, keeper.Message{State: keeper.Ended, Pid: 70, Exit: exit, Empty: true}, unit.Idle, 0},
		{"killed before it was made", killing, keeper.Message{State: keeper.NoProcess, Empty: true}, unit.Idle, 0},
		{"killed as it was made", killing, keeper.Message{State: keeper.Ended, Pid: 73, Exit: exit, Empty: true}, unit.Idle, 0},
	} {
		e := engineOf(t, aService("web", nil))
		rows := map[string]*rowIn{"web": aRow(e, c.u, c.m)}
		e.restore(rows)
		e.initGraph()
		e.reconcile(rows)
		if u := e.insts["web"].u; u.Phase != c.phase || u.Pid != c.pid || u.Gen != 7 {
			t.Errorf("%s: %s with pid %d of generation %d, want %s and %d", c.name, u.Phase, u.Pid, u.Gen, c.phase, c.pid)
		}
	}
}

// TestSpawnDecidedNotOrdered: a spawn of which the keeper has a note, but not the order.
func TestSpawnDecidedNotOrdered(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   unit.Want
		reason unit.Reason
		phase  unit.Phase
		gen    uint64
	}{
		{"goes on", unit.Up, unit.NoReason, unit.Spawning, 8},
		{"a stop came after it", unit.Down, unit.ByOperator, unit.Idle, 8},
		{"a restart came after it", unit.Up, unit.ByOperator, unit.Spawning, 9},
	} {
		e := engineOf(t, aService("web", nil))
		u := unit.Unit{Want: c.want, Phase: unit.Spawning, Reason: c.reason, Gen: 8, DepsMet: true, Deadline: 2e12}
		r := aRow(e, u, keeper.Message{State: keeper.Ended, Pid: 70, Empty: true})
		r.m.Gen = 7
		rows := map[string]*rowIn{"web": r}
		e.restore(rows)
		e.initGraph()
		e.reconcile(rows)
		in := e.insts["web"]
		if in.u.Phase != c.phase || in.u.Gen != c.gen || (in.act.Kind == unit.Spawn) != (c.phase == unit.Spawning) {
			t.Errorf("%s: %s of generation %d with %s", c.name, in.u.Phase, in.u.Gen, in.act.Kind)
		}
	}
}

// TestRestore: what stands in no unit, and has to outlive an engine all the same.
func TestRestore(t *testing.T) {
	e := engineOf(t, aService("web", func(s *spec.Service) { s.Instances = 3 }), aService("app", func(s *spec.Service) { s.Needs = []string{"web"} }))
	e.bucket = backoff.NewBucket(spec.Rate{PerSecond: 1, Burst: 1})
	rows := map[string]*rowIn{}
	for i, name := range []string{"web", "web.2", "web.3"} {
		u := unit.Unit{Want: unit.Up, Phase: unit.Backoff, Gen: 3, Deadline: 2e12, DepsMet: true}
		rows[name] = aRow(e, u, keeper.Message{State: keeper.Ended, Empty: true})
		rows[name].record.Paid = int64(1e12) + int64(i)
		rows[name].record.Unready = unit.Time(996e9 + int64(i)*1e9)
		rows[name].record.LastPid = 70 + i
	}
	e.restore(rows)
	e.initGraph()
	if in := e.insts["web.3"]; in.lastPid != 72 || in.shown.state != "waiting" {
		t.Errorf("the pid of the generation before is %d, readers were told %q", in.lastPid, in.shown.state)
	}
	if _, wait := e.bucket.Take(int64(e.now)); wait == 0 {
		t.Error("the bucket of crash restarts was filled by the death of an engine")
	}
	if s := e.service("web"); s.unready != 998e9 || s.nextLoss != 1008e9 {
		t.Errorf("without a ready instance since %d, lost at %d", s.unready, s.nextLoss)
	}
	if next := e.heap.next(); next != 2e12 {
		t.Errorf("the next deadline is at %d", next)
	}
}

// TestStartWanted: what was never started is started; what somebody stopped stays down, with what was added to it since.
func TestStartWanted(t *testing.T) {
	down := &unit.Unit{Gen: 3}
	up := &unit.Unit{Want: unit.Up, Phase: unit.Ready, Pid: 70, Gen: 3, DepsMet: true}
	for _, c := range []struct {
		name    string
		records [2]*unit.Unit // of web and web.2; nil: no row
		enabled bool
		want    unit.Want // of web.2
	}{
		{"the first start", [2]*unit.Unit{nil, nil}, true, unit.Up},
		{"a first start half done", [2]*unit.Unit{up, nil}, true, unit.Up},
		{"stopped, then scaled", [2]*unit.Unit{down, nil}, true, unit.Down},
		{"stopped itself", [2]*unit.Unit{up, down}, true, unit.Down},
		{"not enabled", [2]*unit.Unit{nil, nil}, false, unit.Down},
	} {
		e := engineOf(t, aService("web", func(s *spec.Service) { s.Instances, s.Enabled = 2, c.enabled }))
		rows := map[string]*rowIn{}
		for i, u := range c.records {
			if u != nil {
				rows[spec.InstanceName("web", i+1)] = aRow(e, *u, keeper.Message{State: keeper.Alive, Pid: u.Pid})
			}
		}
		e.restore(rows)
		e.initGraph()
		e.startWanted(rows, true)
		if got := e.insts["web.2"].u.Want; got != c.want {
			t.Errorf("%s: web.2 is wanted %s, not %s", c.name, got, c.want)
		}
	}
}

// TestUnknownRow: a row of a service that was forgotten is forgotten too, unless something lives.
func TestUnknownRow(t *testing.T) {
	for _, c := range []struct {
		state  keeper.State
		empty  bool
		forget bool
	}{{keeper.Ended, true, true}, {keeper.NoProcess, true, true}, {keeper.Alive, false, false}, {keeper.Ended, false, false}} {
		e := engineOf(t, aService("web", nil))
		ours, fd, err := keeper.Pair()
		if err != nil {
			t.Fatal(err)
		}
		e.link.conn = keeper.NewConn(fd)
		e.restore(map[string]*rowIn{"gone": {m: &keeper.Message{Unit: "gone", State: c.state, Empty: c.empty}}})
		e.link.conn.Close()
		m, _, err := ours.Receive()
		if forgotten := err == nil && m.Kind == keeper.Forget && m.Unit == "gone"; forgotten != c.forget || err != nil && err != io.EOF {
			t.Errorf("%s, empty %v: %+v, %v", c.state, c.empty, m, err)
		}
		ours.Close()
	}
}
