package engine

import (
	"reflect"
	"testing"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// TestPlan: what an apply has to do beyond what follows from comparing.
func TestPlan(t *testing.T) {
	plain := aService("web", nil)
	off := aService("web", func(s *spec.Service) { s.Enabled = false })
	two := aService("web", func(s *spec.Service) { s.Instances = 2 })
	leaving := aService("web", func(s *spec.Service) { s.Leaving, s.Enabled = true, false })
	other := aService("web", func(s *spec.Service) { s.Command = []string{"other"} })
	web := []string{"web"}
	for _, c := range []struct {
		name         string
		before, next *spec.Service
		want         unit.Want
		plan         agenda
	}{
		{"new", nil, plain, unit.Down, agenda{Start: web}},
		{"new, not enabled", nil, off, unit.Down, agenda{}},
		{"back again", leaving, plain, unit.Down, agenda{Start: web}},
		{"gone", plain, nil, unit.Up, agenda{}},
		{"enabled", off, plain, unit.Down, agenda{Start: web}},
		{"disabled", plain, off, unit.Up, agenda{Stop: web}},
		{"more of what runs", plain, two, unit.Up, agenda{Grow: map[string]int{"web": 1}}},
		{"more of what is stopped", plain, two, unit.Down, agenda{}},
		{"fewer", two, plain, unit.Up, agenda{}},
		{"changed", plain, other, unit.Up, agenda{}},
	} {
		var services []*spec.Service
		if c.before != nil {
			services = append(services, c.before)
		}
		e := engineOf(t, services...)
		for _, in := range e.insts {
			in.u.Want = c.want
		}
		var got agenda
		e.plan(&got, spec.Change{Service: "web"}, c.next)
		if !reflect.DeepEqual(got, c.plan) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.plan)
		}
	}
}

// TestWorkOffTwice: an engine that died over an agenda leaves it to the next one, which must not undo or redo anything.
func TestWorkOffTwice(t *testing.T) {
	e := engineOf(t, aService("db", nil), aService("web", func(s *spec.Service) { s.Needs = []string{"db"} }), aService("old", nil),
		aService("more", func(s *spec.Service) { s.Instances = 2 }), aService("rest", nil))
	for _, name := range []string{"old", "more"} {
		in := e.insts[name]
		in.u = unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 1, Pid: 70, DepsMet: true}
	}
	e.initGraph()
	a := agenda{Number: 1, Start: []string{"web"}, Stop: []string{"old"}, Grow: map[string]int{"more": 1}}
	var first map[string]unit.Unit
	for round := range 2 {
		e.workOff(a)
		now := map[string]unit.Unit{}
		for name, in := range e.insts {
			now[name] = in.u
		}
		if round == 1 && !reflect.DeepEqual(now, first) {
			t.Errorf("the second time led from %+v to %+v", first, now)
		}
		first = now
	}
	for name, want := range map[string]unit.Phase{"db": unit.Spawning, "web": unit.Blocked, "old": unit.Stopping, "more": unit.Ready,
		"more.2": unit.Spawning, "rest": unit.Idle} {
		if got := first[name].Phase; got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
}

func TestOutdated(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*inst)
		want bool
	}{
		{"started with the same", func(in *inst) { in.hash = in.svc.hash }, false},
		{"started with something else", func(in *inst) { in.hash = "x" }, true},
		{"never started", func(in *inst) {}, false},
		{"not wanted", func(in *inst) { in.hash, in.u.Want = "x", unit.Down }, false},
		{"waiting for its delay", func(in *inst) { in.hash, in.u.Phase = "x", unit.Backoff }, true},
		{"being prepared", func(in *inst) { in.hash, in.u.Phase, in.making = "x", unit.Spawning, true }, false},
		{"about to be prepared", func(in *inst) { in.hash, in.u.Phase, in.act.Kind = "x", unit.Spawning, unit.Spawn }, false},
		{"being made", func(in *inst) { in.hash, in.u.Phase = "x", unit.Spawning }, true},
	} {
		in := engineOf(t, aService("web", nil)).insts["web"]
		in.u = unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 1, Pid: 70}
		c.set(in)
		if got := in.outdated(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestConfigWithAgenda: the next engine reads what this one held.
func TestConfigWithAgenda(t *testing.T) {
	e := engineOf(t)
	a := agenda{Number: 5, Start: []string{"web"}}
	ours, theirs := pipeOf(t, e)
	if err := e.holdConfig(&spec.Config{File: "/f", Services: []*spec.Service{aService("web", nil)}}, a); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	m, fds, err := ours.Receive()
	if err != nil || m.Name != "config" || len(fds) != 1 {
		t.Fatalf("%+v with %d descriptors, %v", m, len(fds), err)
	}
	next := engineOf(t)
	if err := next.readConfig(fds[0]); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(next.agenda, a) || !reflect.DeepEqual(next.cfg, e.cfg) || next.cfg.Service("web") == nil {
		t.Errorf("%+v and %+v, held were %+v and %+v", next.agenda, next.cfg, a, e.cfg)
	}
}
