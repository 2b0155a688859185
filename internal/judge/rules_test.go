package judge

import (
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

func TestRule1APulseIsLateAtItsLimitOnAGridOf2ms(t *testing.T) {
	for _, limit := range []time.Duration{10 * time.Millisecond, 200 * time.Millisecond, 999 * time.Millisecond, 30 * time.Second} {
		g := newRig(t, Rule{Pulse: limits(limit)}).pulses(1)
		if at := g.what.At; at%grid != 0 || at <= g.now.Add(limit) || at > g.now.Add(limit)+grid {
			t.Errorf("limit %v: read again after %v", limit, at.Sub(g.now))
		}
		v := g.follow(unit.Time(time.Hour), nil)
		g.expect(v, Silent, limit)
		if v.Slot.Name != "p0" || v.Silence <= limit || v.Silence > limit+4*time.Millisecond || v.Limit != limit || v.Late != 1 || v.Fine != 0 || v.Held != 0 {
			t.Errorf("limit %v: verdict %+v", limit, *v)
		}
	}
}

func TestRule1WhoBeatsIsReadOnceALimit(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(31)
	readings := 0
	g.none(g.follow(unit.Time(time.Minute), func() {
		readings++
		for i := range g.slots {
			g.beat(i)
		}
	}))
	if readings < 55 || readings > 61 || g.looks != 0 || len(g.news) != 0 {
		t.Errorf("%d readings and %d looks in 60 limits, news %+v", readings, g.looks, g.news)
	}
}

func TestRule1TheLongestSilenceByItsLimitIsNamed(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(4)
	g.slots[2].Limit = 500 * time.Millisecond
	g.to(100 * ms)
	g.beat(0, 1, 2)
	g.read()
	g.to(2000 * ms)
	g.beat(0)
	g.read()
	v := g.look().Verdict
	if v == nil || v.Slot.Index != 2 || v.Late != 3 || v.Fine != 1 {
		t.Fatalf("verdict %+v, want slot 2, 3 late, 1 fine", v)
	}
}

func TestRule2SilenceIsCountedWithoutStalls(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(900 * ms)
	g.freeze(5900 * ms)
	g.none(g.read().Verdict)
	if len(g.what.Look) != 0 {
		t.Fatal("looked at after a stall of which 900 ms were its own")
	}
	v := g.follow(unit.Time(time.Hour), nil)
	if v == nil || v.Silence > 1004*time.Millisecond {
		t.Fatalf("verdict %+v", v)
	}
	if d := g.since(); d < 5900*time.Millisecond || d > 6130*time.Millisecond {
		t.Errorf("found at %v, want it between 5.9 s and one tick more than 6 s", d)
	}
}

func TestRule2TheTimeBetweenTwoEnginesIsNobodysSilence(t *testing.T) {
	slots := []Slot{{State: Busy, Beat: start, Count: 7, Tid: 1}}
	tests := []struct {
		name  string
		lived unit.Time // 0: not told
		want  unit.Time // the next reading after start
	}{
		{"told", start + 600*ms, 5402 * ms},
		{"not told", 0, 6002 * ms},
	}
	for _, c := range tests {
		now := start + 5000*ms
		j := New(now)
		j.Lived(c.lived)
		w := j.Watch(Rule{Pulse: limits(time.Second)}, start-1000*ms)
		w.Ready(start - 900*ms)
		if what := w.Read(now, slots, ""); what.At != start+c.want || what.Look != nil {
			t.Errorf("%s: read again at %v, want %v", c.name, what.At.Sub(start), time.Duration(c.want))
		}
	}
}

func TestRule6NothingIsJudgedBeforeReadiness(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)})
	g.w = g.j.Watch(g.w.rule, start)
	g.pulses(2)
	if g.what.At != 0 {
		t.Errorf("to be read at %v though it is not ready", g.what.At.Sub(start))
	}
	g.to(unit.Time(time.Minute))
	g.none(g.read().Verdict)
	if g.what.Look != nil {
		t.Error("looked at before it is ready")
	}
	g.w.Ready(g.now)
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, time.Minute+time.Second)
}

func TestRule10APulseThatBeatsAgainIsNotKilled(t *testing.T) {
	changes := []struct {
		name   string
		change func(*rig)
		news   int
	}{
		{"beat", func(g *rig) { g.slots[0].Beat = g.now }, 1},
		{"count", func(g *rig) { g.slots[0].Count++ }, 1},
		{"progress", func(g *rig) { g.slots[0].Progress++ }, 1},
		{"idle", func(g *rig) { g.slots[0].State = Idle }, 1},
		{"pause", func(g *rig) { g.slots[0].State = Paused }, 1},
		{"a new limit", func(g *rig) { g.slots[0].Limit = time.Minute }, 1},
		{"claimed again", func(g *rig) { g.slots[0].Tid, g.slots[0].Count = 5, 0 }, 1},
		{"left", func(g *rig) { g.slots[0].State = Free }, 1},
		{"gone", func(g *rig) { g.slots = g.slots[1:] }, 1},
	}
	for _, c := range changes {
		g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(2)
		g.slots[1].State = Paused
		if g.follow(unit.Time(time.Hour), nil) == nil {
			t.Fatalf("%s: no verdict", c.name)
		}
		if what := g.read(); what.At != 0 || what.Look != nil || what.Verdict != nil {
			t.Errorf("%s: it is not silent after its verdict: %+v", c.name, what)
		}
		g.to(g.now - start + 100*ms)
		c.change(g)
		if g.confirm() {
			t.Errorf("%s: the verdict stands", c.name)
			continue
		}
		if g.told(LateNews) != c.news || g.what.At <= g.now {
			t.Errorf("%s: news %+v, to be read after %v", c.name, g.news, g.what.At.Sub(g.now))
		}
		if late := g.w.Standings(g.now)[0].Late; g.slots[0].State == Busy && g.slots[0].Index == 0 && g.slots[0].Tid == 100 && late != 1 {
			t.Errorf("%s: it was late %d times", c.name, late)
		}
	}
}

func TestRule10WhatIsStillSilentIsKilled(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(3)
	if g.follow(unit.Time(time.Hour), nil) == nil {
		t.Fatal("no verdict")
	}
	g.to(1400 * ms)
	g.beat(1) // which is not the one that was named
	for range 2 {
		if !g.confirm() {
			t.Error("the verdict does not stand, though its slot is as it was")
		}
	}
}

func TestRule10OtherPulsesThatAreLateGetTheirVerdictAtOnce(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(2)
	v := g.follow(unit.Time(time.Hour), nil)
	if v == nil || v.Slot.Index != 0 {
		t.Fatalf("verdict %+v", v)
	}
	g.to(1400 * ms)
	g.beat(0)
	if g.confirm() {
		t.Fatal("the verdict stands")
	}
	v = g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Silent, 1400*time.Millisecond)
	if v.Slot.Index != 1 {
		t.Errorf("verdict %+v, want slot 1", *v)
	}
}

func TestALookThatNeverComesIsAskedForAgain(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(500 * time.Millisecond)}).pulses(1)
	g.to(600 * ms)
	g.read()
	for i := range unit.Time(5) {
		if len(g.what.Look) != 1 {
			t.Fatalf("at %v: nobody is to be looked at", g.since())
		}
		g.to(610*ms + i*502*ms)
		if g.read(); len(g.what.Look) != 0 {
			t.Fatalf("at %v: asked again at once", g.since())
		}
		g.w.Looked(g.now, g.slots, "", []Look{{Source: Table, State: 'S'}, {Index: 9, State: 'S'}}) // of others
		g.to(g.what.At - start)
		g.read()
	}
	if v := g.look().Verdict; v == nil || v.Kind != Silent {
		t.Errorf("verdict %+v", v)
	}
}

func TestRule2AStallThatIsFoundBetweenTheReadingsCounts(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(1002 * ms)
	if g.read(); len(g.what.Look) != 1 {
		t.Fatal("nobody is to be looked at")
	}
	g.w.judge.stalls.add(start+500*ms, start+700*ms)
	g.look()
	if v := g.what.Verdict; v != nil || g.w.Standings(g.now)[0].Why != "" {
		t.Fatalf("verdict %+v, standing %+v", v, g.w.Standings(g.now)[0])
	}
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 1200*time.Millisecond)
}

func TestRule5WhatWaitsForTheBrakeIsNamed(t *testing.T) {
	required := limits(time.Second)
	required.Required = true
	tests := []struct {
		rule Rule
		find func(*rig)
		want string
	}{
		{Rule{}, func(g *rig) { g.what = g.w.Trigger(g.now) }, "it triggered its own watchdog"},
		{Rule{}, func(g *rig) { g.what = g.w.Failed(g.now, "tcp x:1", 3, "refused") }, "its check tcp x:1 fails"},
		{Rule{Pulse: limits(time.Second)}, func(g *rig) { g.broken = "short"; g.read() }, "its pulse page is broken"},
		{Rule{Pulse: required}, func(g *rig) { g.read() }, "no pulse of it came up in time"},
		{Rule{Pulse: limits(time.Second)}, func(g *rig) { g.pulses(1) }, ""},
	}
	for _, c := range tests {
		g := newRig(t, c.rule)
		g.j.SetBrake(1, 0)
		g.j.Watch(Rule{}, g.now).Trigger(g.now)
		c.find(g)
		g.news = append(g.news, g.what.News...)
		v := g.follow(unit.Time(time.Hour), nil)
		text, told := "", 0
		for _, n := range g.news {
			if n.Kind == BrakeNews {
				text, told = n.Text, told+1
			}
		}
		if v == nil || told == 0 || text != c.want || g.since() < time.Minute {
			t.Errorf("%q: news %+v, verdict %+v at %v", c.want, g.news, v, g.since())
		}
	}
}
