package engine

import (
	"context"
	"testing"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// of are the events of some kinds, and none of them any more.
func (a *attendant) of(kinds ...string) (list []api.Event) {
	for _, ev := range a.events.ring {
		for _, k := range kinds {
			if ev.Kind == k {
				list = append(list, ev)
			}
		}
	}
	a.events.ring = nil
	return list
}

// TestCommandEvents: who asked for what, and what became of it.
func TestCommandEvents(t *testing.T) {
	a := newAttendant(t)
	w := newWait()
	w.by = api.CallerOf(api.WithCaller(context.Background(), api.Caller{UID: 7, Pid: 9}))
	if err := a.command(api.Command{Verb: api.Restart, Target: "web"}, w); err != nil {
		t.Fatal(err)
	}
	list := a.of(api.KindCommand, api.KindResult)
	if len(list) != 1 || list[0].Kind != api.KindCommand || list[0].Verb != "restart" || list[0].Target != "web" || *list[0].By != (api.Caller{UID: 7, Pid: 9}) ||
		list[0].Message != "restart web" || list[0].Error != "" {
		t.Fatalf("taken: %+v", list)
	}
	taken := list[0].Seq
	a.step(a.in, unit.Event{Kind: unit.Exited, Gen: 7, Pid: 70, Empty: true, End: unit.End{Reason: unit.Signalled, Signal: 15}})
	a.step(a.in, unit.Event{Kind: unit.SpawnFailed, Gen: a.in.u.Gen, End: unit.End{Reason: unit.SpawnError, Stage: "exec", Errno: 2}})
	a.publish(a.in)
	list = a.of(api.KindCommand, api.KindResult)
	if len(list) != 1 || list[0].Kind != api.KindResult || list[0].Command != taken || list[0].Message != "not done" || list[0].Error == "" || list[0].By.UID != 7 {
		t.Errorf("its result: %+v", list)
	}

	if err := a.command(api.Command{Verb: api.Stop, Target: "web", NoWait: true}, newWait()); err != nil {
		t.Fatal(err)
	}
	if list = a.of(api.KindCommand, api.KindResult); len(list) != 1 || list[0].By != nil {
		t.Errorf("a command nobody waits for: %+v", list)
	}
	w = newWait()
	if err := a.command(api.Command{Verb: api.Wait, For: "stopped", Target: "web"}, w); err != nil {
		t.Fatal(err)
	}
	if list = a.of(api.KindCommand, api.KindResult); list != nil {
		t.Errorf("a wait is no command: %+v", list)
	}
}

// TestRefusedCommand: what was not done is told too.
func TestRefusedCommand(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	looping(t, e)
	ctx := api.WithCaller(t.Context(), api.Caller{UID: 7})
	for _, c := range []api.Command{{Verb: api.Stop, Target: "nix"}, {Verb: api.Signal, Target: "web", Signal: "HUP"}, {Verb: api.Wait, Target: "nix", For: "ready"}} {
		if _, err := e.Do(ctx, c); err == nil {
			t.Errorf("%+v was done", c)
		}
	}
	var got []api.Event
	if err := e.Events(ctx, api.EventFilter{Kinds: []string{api.KindCommand}}, func(a api.Event) error { got = append(got, a); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Error != `there is no service "nix"` || got[0].By.UID != 7 || got[1].Verb != "signal" || got[1].Error == "" {
		t.Errorf("%+v", got)
	}
}

// TestExitEvents: of each end it is said why, and whether anybody expected it.
func TestExitEvents(t *testing.T) {
	code := func(n int) *keeper.Exit { return &keeper.Exit{Status: n << 8, At: 1e12} }
	for _, c := range []struct {
		name   string
		before func(a *attendant)
		exit   *keeper.Exit
		want   api.Event
	}{
		{"a crash", nil, &keeper.Exit{Status: 11, At: 1e12}, api.Event{Cause: api.CauseSignal, Signal: "SEGV", Wanted: true}},
		{"a code", nil, code(3), api.Event{Cause: api.CauseExit, Code: 3, Wanted: true}},
		{"a good end of what is to run", nil, code(0), api.Event{Cause: api.CauseExit, Wanted: true}},
		{"a job", func(a *attendant) {
			a.in.svc.spec.Restart.When, a.in.svc.spec.Success = spec.RestartNever, []spec.Success{{}}
		}, code(0), api.Event{Cause: api.CauseExit, Wanted: true, Expected: true}},
		{"a stop", func(a *attendant) { a.step(a.in, unit.Event{Kind: unit.Stop}) }, &keeper.Exit{Status: 15, At: 1e12},
			api.Event{Cause: api.CauseOperator, Signal: "TERM", Expected: true}},
		{"a restart", func(a *attendant) { a.step(a.in, unit.Event{Kind: unit.Restart, Reason: unit.ByOperator}) }, &keeper.Exit{Status: 15, At: 1e12},
			api.Event{Cause: api.CauseOperator, Signal: "TERM", Expected: true, Wanted: true}},
		{"nobody knows", nil, nil, api.Event{Cause: api.CauseKeeper, Wanted: true}},
	} {
		a := newAttendant(t)
		if c.before != nil {
			c.before(a)
		}
		a.exited(a.in, &keeper.Message{Kind: keeper.Exited, Unit: "web", Gen: 7, Pid: 70, Empty: true, Exit: c.exit})
		list := a.of(api.KindExit)
		if len(list) != 1 {
			t.Errorf("%s: %+v", c.name, list)
			continue
		}
		got := list[0]
		got = api.Event{Cause: got.Cause, Code: got.Code, Signal: got.Signal, Wanted: got.Wanted, Expected: got.Expected}
		if got.Cause != c.want.Cause || got.Code != c.want.Code || got.Signal != c.want.Signal || got.Wanted != c.want.Wanted || got.Expected != c.want.Expected {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
		if list[0].Generation != 7 || list[0].Pid != 70 || list[0].Name != "web" {
			t.Errorf("%s: %+v", c.name, list[0])
		}
	}
}
