package judge

import (
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

func TestRule3WhoIsHeldByOthersIsExcusedAndHasOneFullLimitAfterwards(t *testing.T) {
	tests := []struct {
		name string
		look Look
		why  string // of the standing
	}{
		{"in a tracing stop", Look{State: 't'}, "traced"},
		{"on the leash of a debugger", Look{State: 'S', Traced: true}, "traced"},
		{"frozen", Look{State: 'D', Frozen: true}, "frozen"},
		{"blocked by a log that is not drained", Look{State: 'S', InLog: true}, "log"},
	}
	for _, c := range tests {
		g := newRig(t, Rule{Pulse: limits(2 * time.Second)}).pulses(2)
		g.slots[1].State = Paused
		g.seen = func(Ref) Look { return c.look }
		g.none(g.follow(60000*ms, nil))
		if s := g.w.Standings(g.now)[0]; s.Why != c.why {
			t.Errorf("%s: it stands there as %q, want %q", c.name, s.Why, c.why)
		}
		if n := g.told(ExcusedNews); n != 1 || len(g.news) != 1 {
			t.Errorf("%s: told %d times in one minute: %+v", c.name, n, g.news)
		}
		if g.looks < 55 || g.looks > 59 {
			t.Errorf("%s: looked at %d times in 58 s, want once a second", c.name, g.looks)
		}
		g.seen = nil
		looks := g.looks
		v := g.follow(unit.Time(time.Hour), nil)
		if v == nil || g.since() < 62*time.Second || g.since() > 63*time.Second+10*time.Millisecond {
			t.Fatalf("%s: verdict %+v at %v, want it one limit after the excuse ended", c.name, v, g.since())
		}
		if v.Held < 57*time.Second || v.Silence > 2100*time.Millisecond || g.looks != looks+2 {
			t.Errorf("%s: verdict %+v after %d looks", c.name, *v, g.looks-looks)
		}
	}
}

func TestRule3WhoBeatsAfterAnExcuseWasNeverLate(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.seen = func(Ref) Look { return Look{State: 't'} }
	g.none(g.follow(5000*ms, nil))
	g.beat(0)
	g.read()
	if s := g.w.Standings(g.now)[0]; s.Late != 0 || s.Why != "" || g.told(LateNews) != 0 {
		t.Errorf("standing %+v, news %+v", s, g.news)
	}
}

func TestRule3SIGSTOPIsNoExcuse(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.seen = func(Ref) Look { return Look{State: 'T'} }
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, time.Second)
}

func TestRule3APauseHasNoEndUnlessOneIsConfigured(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(500 * ms)
	g.slots[0].State = Paused
	g.none(g.follow(unit.Time(time.Hour), nil))
	if g.looks != 0 {
		t.Errorf("looked at %d times", g.looks)
	}
	g.beat(0)
	g.slots[0].State = Busy
	back := g.since()
	g.expect(g.follow(unit.Time(2*time.Hour), nil), Silent, back+time.Second)
}

func TestRule3APauseEndsAtPauseMax(t *testing.T) {
	p := limits(time.Second)
	p.PauseMax = 5 * time.Second
	g := newRig(t, Rule{Pulse: p}).pulses(1)
	g.slots[0].State = Paused
	g.read()
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, TooLong, 5*time.Second)
	g.to(5200 * ms)
	if !g.confirm() {
		t.Error("the verdict falls though it is still paused")
	}
	g.slots[0].State = Busy
	if g.confirm() {
		t.Error("the verdict stands though the pause has ended")
	}
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 6200*time.Millisecond)
}

func TestRule3AResumeWithoutABeatHasAFullLimit(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.slots[0].State = Paused
	g.none(g.follow(10000*ms, nil))
	g.slots[0].State = Busy
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 11*time.Second)
}

func TestRule3APauseThatIsSeenAtEveryReadingIsNotOne(t *testing.T) {
	p := limits(time.Second)
	p.PauseMax = 5 * time.Second
	g := newRig(t, Rule{Pulse: p}).pulses(1)
	g.slots[0].State = Paused
	g.none(g.follow(60000*ms, func() {
		g.beat(0) // it came back, and paused again
		if age := g.w.Standings(g.now)[0].Age; age > 2*time.Second {
			t.Fatalf("age %v", age)
		}
	}))
	began := g.since()
	v := g.follow(unit.Time(time.Hour), nil)
	if v == nil || v.Kind != TooLong || g.since() > began+5*time.Second {
		t.Errorf("verdict %+v, %v after it went on", v, g.since()-began)
	}
	g.beat(0)
	if g.confirm() {
		t.Error("the verdict stands though it came back for a moment")
	}
}

func TestRule3APauseGoesOnForTheNextEngine(t *testing.T) {
	p := limits(time.Second)
	p.PauseMax = 60 * time.Second
	now := start + 30000*ms
	j := New(now)
	j.Lived(now - 50*ms)
	w := j.Watch(Rule{Pulse: p}, start)
	w.Ready(start)
	s := []Slot{{State: Paused, Beat: start + 10000*ms}}
	w.Read(now, s, "")
	if at, kind := w.due(&w.pulses[0]); kind != TooLong || at != start+70050*ms {
		t.Errorf("late of %d at %v, want it 60 s after its last beat", kind, at.Sub(start))
	}
}
