package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/judge"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// aCheck is a check that nothing is asked of: the tests answer for it.
func aCheck(then spec.CheckThen) spec.Check {
	return spec.Check{TCP: "127.0.0.1:1", Every: time.Hour, Timeout: time.Second, Failures: 3, Then: then}
}

// texts are the messages of the events of a kind since the last call.
func (a *attendant) texts(kind string) string {
	var list []string
	for _, ev := range a.events.ring {
		if ev.Kind == kind {
			list = append(list, ev.Message)
		}
	}
	a.events.ring = nil
	return strings.Join(list, "; ")
}

func bad(n int) helped { return helped{message: fmt.Sprintf("bad %d", n)} }

func TestAnswers(t *testing.T) {
	a := newAttendant(t, aCheck(spec.ThenMark))
	a.tendChecks(a.in)
	c := a.in.checking
	ask := c.asked[0]
	answer := func(r helped, events, why string) {
		t.Helper()
		a.answered(a.in, c, ask, r)
		if got := a.texts("check"); got != events {
			t.Errorf("%+v: events %q, want %q", r, got, events)
		}
		if got := a.why(a.in); got != why {
			t.Errorf("%+v: why %q, want %q", r, got, why)
		}
	}
	good, late := helped{good: true, message: "connected"}, helped{late: true, message: "no answer within 1s"}
	const tcp = "check tcp 127.0.0.1:1: "
	answer(bad(1), "", "")
	answer(bad(2), "", "")
	answer(good, "", "") // so it begins anew
	answer(bad(1), "", "")
	answer(late, "", "")
	answer(bad(2), "", "")
	answer(late, "", "")
	answer(bad(3), tcp+"bad 3 (3 in a row)", tcp+"bad 3 (3 in a row)")
	answer(bad(4), "", tcp+"bad 4 (4 in a row)") // told once
	answer(late, "", tcp+"bad 4 (4 in a row)")   // neither good nor bad
	answer(good, tcp+"good again", "")
	answer(helped{unasked: true, message: "no such file"}, tcp+"cannot be asked: no such file", tcp+"cannot be asked: no such file")
	answer(helped{unasked: true, message: "no such file"}, "", tcp+"cannot be asked: no such file")
	answer(bad(1), "", "")
	if a.in.u.Phase != unit.Ready {
		t.Errorf("a check that only marks has it %s", a.in.u.Phase)
	}
}

// TestHeldAnswers: on a machine that is busy for ever a hang is found all the same.
func TestHeldAnswers(t *testing.T) {
	a := newAttendant(t, aCheck(spec.ThenMark))
	a.tendChecks(a.in)
	c := a.in.checking
	n := 0
	for ; !c.asked[0].failing && n < 100; n++ {
		a.answered(a.in, c, c.asked[0], helped{late: true, message: "no answer"})
	}
	if n != maxHeld+3 {
		t.Errorf("failing after %d late answers", n)
	}
}

// TestFirstWait: between half the interval and the whole, the same each time, and not the same for all.
func TestFirstWait(t *testing.T) {
	seen := map[time.Duration]int{}
	for i := range 1000 {
		name := spec.InstanceName("web", i+1)
		w := firstWait(name, 1, 10*time.Second)
		if w < 5*time.Second || w > 10*time.Second || w != firstWait(name, 1, 10*time.Second) {
			t.Fatalf("%s waits %v", name, w)
		}
		seen[w.Truncate(500*time.Millisecond)]++
	}
	for from, n := range seen {
		if n > 150 {
			t.Errorf("%d of 1,000 are asked within half a second of %v", n, from)
		}
	}
}

// TestTending: when checks are asked, and when a new count begins.
func TestTending(t *testing.T) {
	a := newAttendant(t, aCheck(spec.ThenRestart), aCheck(spec.ThenMark))
	in := a.in
	in.u.Phase = unit.Starting
	if a.tendChecks(in); in.checking != nil {
		t.Error("asked before it is ready")
	}
	in.u.Phase = unit.Ready
	a.tendChecks(in)
	first := in.checking
	if first == nil || len(first.asked) != 2 || first.gen != 7 {
		t.Fatalf("ready, and asked %+v", first)
	}
	if a.tendChecks(in); in.checking != first {
		t.Error("it begins anew although nothing has changed")
	}
	other := *in.svc.spec
	other.Checks = []spec.Check{aCheck(spec.ThenRestart), aCheck(spec.ThenMark)}
	in.svc.spec = &other
	if a.tendChecks(in); in.checking != first {
		t.Error("an apply that changes nothing about checks begins anew")
	}
	for what, change := range map[string]func(){
		"a new generation": func() { in.u.Gen++ },
		"other checks": func() {
			next := *in.svc.spec
			next.Checks = []spec.Check{aCheck(spec.ThenMark)}
			in.svc.spec = &next
		},
	} {
		before := in.checking
		before.asked[0].count.Failures = 2
		change()
		if a.tendChecks(in); in.checking == before || in.checking == nil || in.checking.asked[0].count.Failures != 0 {
			t.Errorf("%s goes on with the old count", what)
		}
	}
	for what, u := range map[string]unit.Unit{
		"examined": {Phase: unit.Examining}, "stopping": {Phase: unit.Stopping}, "held": {Phase: unit.Ready, Held: true}, "idle": {},
	} {
		now := in.u
		in.u = u
		if a.tendChecks(in); in.checking != nil {
			t.Errorf("asked while %s", what)
		}
		in.u = now
		a.tendChecks(in)
	}
	none := *in.svc.spec
	none.Checks = nil
	in.svc.spec = &none
	if a.tendChecks(in); in.checking != nil {
		t.Error("asked what is not configured any more")
	}
}

// TestEndOfChecksKills: what a check runs is killed before the order that follows for the instance.
func TestEndOfChecksKills(t *testing.T) {
	c := aCheck(spec.ThenRestart)
	c.TCP, c.Exec = "", []string{"true"}
	a := newAttendant(t, c)
	a.tendChecks(a.in)
	ask := a.in.checking.asked[0]
	a.ask(a.in, a.in.checking, ask)
	h := ask.helper
	if h == nil {
		t.Fatal("no helper runs")
	}
	h.ordered = true
	a.step(a.in, unit.Event{Kind: unit.Stop})
	a.flushTouched()
	if got := a.orders(); got != "kill web:check1, signal web" {
		t.Errorf("ordered %q", got)
	}
}

// TestRefusingHelper: a command that does not even die of SIGKILL is no answer, and told; one that is not gone yet is none.
func TestRefusingHelper(t *testing.T) {
	c := aCheck(spec.ThenMark)
	c.TCP, c.Exec = "", []string{"true"}
	a := newAttendant(t, c)
	a.tendChecks(a.in)
	ck := a.in.checking
	ask := ck.asked[0]
	a.ask(a.in, ck, ask)
	for _, refuses := range []bool{false, true} {
		ask.helper.refuses = refuses
		a.ask(a.in, ck, ask)
		if n := ask.count.Failures; n != 0 || (failingCheck(a.in) == "check exec true: cannot be asked: the last one refuses to die") != refuses {
			t.Errorf("refuses %v: %d failures, %q", refuses, n, failingCheck(a.in))
		}
	}
}

func TestCheckSlots(t *testing.T) {
	a := newAttendant(t, aCheck(spec.ThenMark))
	if list := a.checkSlots(a.in); list != nil {
		t.Errorf("before it is asked: %+v", list)
	}
	a.tendChecks(a.in)
	for n := range 3 {
		a.answered(a.in, a.in.checking, a.in.checking.asked[0], bad(n))
	}
	a.now = a.now.Add(5 * time.Second)
	list := a.checkSlots(a.in)
	if len(list) != 1 || list[0].Source != "check" || list[0].Slot != -1 || list[0].State != "failing" || list[0].AgeMS != 5000 || list[0].Note != "bad 2" || list[0].Why != "3 in a row" {
		t.Errorf("%+v", list)
	}
}

// TestCheckBrakeAndRecovery: a restart that waits for the brake does not come when the check is good again, or is not
// configured any more.
func TestCheckBrakeAndRecovery(t *testing.T) {
	for _, how := range []string{"good again", "taken out", "still bad"} {
		a := newAttendant(t, aCheck(spec.ThenRestart), aCheck(spec.ThenMark))
		a.judge = judge.New(a.now)
		a.judge.SetBrake(1, 1)
		in := a.in
		a.watch(in)
		other := a.judge.Watch(judge.Rule{}, a.now) // which has used the brake up
		other.Ready(a.now)
		if what := other.Failed(a.now, "x", 3, "bad"); what.Verdict == nil {
			t.Fatal("the brake lets nobody through")
		}
		a.tendChecks(in)
		c := in.checking
		for n := range 3 {
			a.answered(in, c, c.asked[0], bad(n))
		}
		if in.u.Phase != unit.Ready {
			t.Fatalf("%s: the brake does not hold", how)
		}
		switch how {
		case "good again":
			a.answered(in, c, c.asked[0], helped{good: true})
		case "taken out":
			next := *in.svc.spec
			next.Checks = next.Checks[1:]
			in.svc.spec = &next
			a.tendChecks(in)
		}
		a.now = a.now.Add(2 * time.Minute)
		a.judge.Tick(a.now)
		a.read(in)
		if condemned := in.u.Phase != unit.Ready; condemned != (how == "still bad") {
			t.Errorf("%s: it is %s", how, in.u.Phase)
		}
	}
}

// BenchmarkIdleCheck: what a check costs in memory between two questions (B/op).
func BenchmarkIdleCheck(b *testing.B) {
	e := &Engine{loop: make(chan struct{})}
	s := &service{spec: aService("web", func(s *spec.Service) { s.Checks = []spec.Check{aCheck(spec.ThenMark)} })}
	in := &inst{name: "web", svc: s, u: unit.Unit{Phase: unit.Ready}}
	b.ReportAllocs()
	for b.Loop() {
		e.beginChecks(in)
		e.endChecks(in)
	}
}
