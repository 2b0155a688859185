package judge

import (
	"testing"
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

func TestRule8ProgressIsJudgedOnlyWhileBusy(t *testing.T) {
	p := limits(time.Second)
	p.Progress = 10 * time.Second
	g := newRig(t, Rule{Pulse: p}).pulses(1)
	all := func() { g.beat(0) }
	g.none(g.follow(60000*ms, all)) // the number is not used
	g.slots[0].Progress = 7
	g.none(g.follow(65000*ms, all))
	g.slots[0].State = Idle
	g.none(g.follow(120000*ms, all))
	g.slots[0].State = Busy
	g.none(g.follow(125000*ms, all))
	g.slots[0].Progress = 8
	g.none(g.follow(134000*ms, all))
	g.slots[0].Progress = 3 // smaller is another number too
	g.none(g.follow(140000*ms, all))
	v := g.follow(unit.Time(time.Hour), all)
	if v == nil || v.Kind != Stuck || g.since() < 144*time.Second || g.since() > 146*time.Second {
		t.Fatalf("at %v: verdict %+v", g.since(), v)
	}
	if v.Limit != p.Progress || v.Silence < p.Progress || v.Silence > p.Progress+time.Second {
		t.Errorf("verdict %+v", *v)
	}
	g.beat(0)
	if !g.confirm() {
		t.Error("a beat without progress speaks against it")
	}
	g.slots[0].Progress++
	if g.confirm() || g.told(LateNews) != 1 {
		t.Errorf("the verdict stands though the number grew; news %+v", g.news)
	}
}

func TestRule8ProgressIsCountedWithoutStalls(t *testing.T) {
	p := limits(time.Second)
	p.Progress = 2 * time.Second
	g := newRig(t, Rule{Pulse: p}).pulses(1)
	g.slots[0].Progress = 1
	g.beat(0)
	g.read()
	g.to(900 * ms)
	g.beat(0)
	g.freeze(60900 * ms)
	g.beat(0)
	g.read()
	v := g.follow(unit.Time(time.Hour), func() { g.beat(0) })
	if v == nil || v.Kind != Stuck || g.since() < 61900*time.Millisecond || g.since() > 63300*time.Millisecond {
		t.Errorf("at %v: verdict %+v", g.since(), v)
	}
}

func TestRule9AnAnswerThatCameLateByItsAskerDoesNotCount(t *testing.T) {
	var c Check
	steps := []struct {
		good, late bool
		failures   int
		full       bool
	}{
		{false, false, 1, false},
		{false, true, 1, false},
		{false, false, 2, false},
		{true, true, 0, false},
		{false, false, 1, false},
		{false, false, 2, false},
		{false, true, 2, false},
		{false, false, 3, true},
		{false, false, 4, true},
		{true, false, 0, false},
	}
	for i, s := range steps {
		full := c.Answer(s.good, s.late, "refused", 3)
		if full != s.full || c.Failures != s.failures || (c.Message == "refused") != (s.failures > 0) {
			t.Errorf("step %d: %v, %+v; want %v, %d failures", i, full, c, s.full, s.failures)
		}
	}
	if c := new(Check); !c.Answer(false, false, "", 0) {
		t.Error("no limit is not a limit of 1")
	}
}

func TestRule10ConfirmOfWhatIsNoSlot(t *testing.T) {
	required := limits(time.Second)
	required.Required = true
	live := []Slot{{State: Busy, Beat: start, Tid: 3}}
	tests := []struct {
		name   string
		rule   Rule
		find   func(*rig) *Verdict
		kind   Kind
		change func(*rig)
	}{
		{"a required pulse came up", Rule{Pulse: required, StartTimeout: 5 * time.Second},
			func(g *rig) *Verdict { g.read(); return g.follow(unit.Time(time.Hour), nil) }, Missing,
			func(g *rig) { g.slots = live }},
		{"datagrams began", Rule{Pulse: required},
			func(g *rig) *Verdict { g.read(); return g.follow(unit.Time(time.Hour), nil) }, Missing,
			func(g *rig) { g.slots = []Slot{{Source: Watchdog, State: Busy, Beat: g.now, Count: 1}} }},
		{"the page can be read", Rule{Pulse: limits(time.Second)},
			func(g *rig) *Verdict { g.broken = "short"; g.read(); return g.follow(unit.Time(time.Hour), nil) }, Broken,
			func(g *rig) { g.broken = "" }},
		{"the check passed", Rule{},
			func(g *rig) *Verdict { return g.w.Failed(g.now, "http://x", 3, "refused").Verdict }, Failing,
			func(g *rig) { g.w.Passed("http://x") }},
	}
	for _, c := range tests {
		g := newRig(t, c.rule)
		v := c.find(g)
		if v == nil || v.Kind != c.kind {
			t.Errorf("%s: verdict %+v", c.name, v)
			continue
		}
		if !g.confirm() {
			t.Errorf("%s: it falls before", c.name)
		}
		c.change(g)
		if g.confirm() {
			t.Errorf("%s: it stands after", c.name)
		}
		if v := g.follow(g.now-start+500*ms, nil); v != nil {
			t.Errorf("%s: condemned again for %+v", c.name, *v)
		}
	}
}

func TestRule10WithoutAVerdictOfItsOwnAWatchSaysWhetherAnybodyIsLate(t *testing.T) {
	for _, silent := range []bool{true, false} {
		now := start + 10000*ms
		j := New(now)
		j.Lived(now - 50*ms)
		w := j.Watch(Rule{Pulse: limits(time.Second)}, start-5000*ms)
		w.Ready(start)
		s := Slot{State: Busy, Beat: start, Count: 9}
		if !silent {
			s.Beat = now - 100*ms
		}
		if stands, _ := w.Confirm(now, []Slot{s}, ""); stands != silent {
			t.Errorf("silent %v: the verdict of the engine before: %v", silent, stands)
		}
	}
}

func TestTriggeredStandsAndPassesTheBrake(t *testing.T) {
	g := newRig(t, Rule{})
	g.w = g.j.Watch(Rule{}, g.now) // not even ready
	g.j.SetBrake(1, 0)
	other := g.j.Watch(Rule{}, g.now)
	if v := other.Trigger(g.now).Verdict; v == nil || v.Kind != Triggered {
		t.Fatalf("verdict %+v", v)
	}
	what := g.w.Trigger(g.now)
	if what.Verdict != nil || len(what.News) != 1 || what.News[0].Kind != BrakeNews || what.At <= g.now {
		t.Fatalf("%+v, want it to wait", what)
	}
	g.what = what
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Triggered, time.Minute)
	if !g.confirm() {
		t.Error("it falls")
	}
	if what := g.w.Trigger(g.now); what.Verdict != nil || what.At != 0 {
		t.Errorf("triggered again: %+v", what)
	}
}

func TestFailingWaitsForReadinessAndTheBrake(t *testing.T) {
	g := newRig(t, Rule{})
	g.w = g.j.Watch(Rule{}, g.now)
	if v := g.w.Failed(g.now, "tcp", 3, "refused").Verdict; v != nil {
		t.Fatalf("verdict before it is ready: %+v", *v)
	}
	g.w.Ready(g.now)
	g.j.SetBrake(1, 0)
	g.j.Watch(Rule{}, g.now).Trigger(g.now)
	if v := g.w.Failed(g.now, "tcp", 3, "refused").Verdict; v != nil {
		t.Fatalf("verdict without a token: %+v", *v)
	}
	g.w.Passed("http") // is another
	g.to(unit.Time(time.Minute))
	v := g.w.Failed(g.now, "tcp", 9, "no route").Verdict
	if v == nil || v.Kind != Failing || v.Check != "tcp" || v.Failures != 9 || v.Message != "no route" || v.Late != 0 {
		t.Fatalf("verdict %+v", v)
	}

	g = newRig(t, Rule{})
	g.j.SetBrake(1, 0)
	g.j.Watch(Rule{}, g.now).Trigger(g.now)
	g.what = g.w.Failed(g.now, "tcp", 3, "refused")
	g.to(10000 * ms)
	g.w.Passed("tcp")
	g.none(g.follow(unit.Time(time.Hour), nil))
	if len(g.j.brake.queue) != 0 {
		t.Error("it waits though its check has passed")
	}
}

func TestMissing(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name    string
		timeout time.Duration
		ready   time.Duration
		at      time.Duration
	}{
		{"at the end of the start timeout", 5 * second, 0, 5 * second},
		{"one limit after readiness that came later", 5 * second, 8 * second, 9 * second},
		{"one limit after readiness, without a timeout", 0, 3 * second, 4 * second},
	}
	for _, c := range tests {
		p := limits(second)
		p.Required = true
		g := newRig(t, Rule{})
		g.w = g.j.Watch(Rule{Pulse: p, StartTimeout: c.timeout}, start)
		g.read()
		g.to(unit.Time(c.ready))
		g.w.Ready(g.now)
		g.read()
		g.slots = append(g.slots, Slot{State: Claimed, Beat: g.now}) // is not live
		v := g.follow(unit.Time(time.Hour), nil)
		g.expect(v, Missing, c.at)
	}
}

func TestMissingIsNotSaidOfPulsesThatHaveLived(t *testing.T) {
	p := limits(time.Second)
	p.Required = true
	for _, state := range []State{Busy, Idle, Paused, 77, Free} {
		g := newRig(t, Rule{Pulse: p, StartTimeout: 5 * time.Second})
		g.slots = []Slot{{State: state, Beat: start + 1, Count: 1}}
		g.read()
		g.slots = nil
		g.none(g.follow(60000*ms, nil))
	}
}

func TestMissingIsNotSaidOfWhatAnEngineBeforeHasSeen(t *testing.T) {
	p := limits(time.Second)
	p.Required = true
	tests := []struct {
		name  string
		lived unit.Time
		at    unit.Time // of the verdict; 0: none
	}{
		{"it lived after the timeout", start + 9000*ms, 0},
		{"it died before", start + 4000*ms, 11000 * ms},
		{"it died right before: one full limit", start + 4900*ms, 11000 * ms},
		{"it is not known", 0, 0},
	}
	for _, c := range tests {
		now := start + 10000*ms
		j := New(now)
		j.Lived(c.lived)
		w := j.Watch(Rule{Pulse: p, StartTimeout: 5 * time.Second}, start)
		w.Ready(start)
		var found unit.Time
		for t := now; t < now+20000*ms && found == 0; t += 100 * ms {
			j.Tick(t)
			if w.Read(t, nil, "").Verdict != nil {
				found = t - start
			}
		}
		if found < c.at || found > c.at+100*ms {
			t.Errorf("%s: verdict at %v, want %v", c.name, time.Duration(found), time.Duration(c.at))
		}
	}
}

func TestBroken(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(3 * time.Second)}).pulses(2)
	g.broken = "read page: 100 bytes of 4096"
	g.slots = nil
	g.read()
	if len(g.news) != 0 {
		t.Errorf("told after one reading: %+v", g.news)
	}
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Broken, 3*time.Second)
	if v.Message != g.broken || v.Limit != 3*time.Second || v.Silence < v.Limit || g.told(BrokenNews) != 1 {
		t.Errorf("verdict %+v, news %+v", *v, g.news)
	}
	for _, s := range g.w.Standings(g.now) {
		if s.State != "broken" {
			t.Errorf("standing %+v", s)
		}
	}
}

func TestSlotsOfABrokenPageAreNotJudged(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	slots := g.slots
	g.to(900 * ms)
	g.broken, g.slots = "short", nil
	g.none(g.follow(1700*ms, nil))
	if g.looks != 0 {
		t.Errorf("looked at %d times", g.looks)
	}
	g.broken, g.slots = "", slots
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 1700*time.Millisecond)
}

func TestAPageThatIsBrokenForAMomentChangesNothing(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	slots := g.slots
	g.to(600 * ms)
	g.broken, g.slots = "short", nil
	g.read()
	g.to(700 * ms)
	g.broken, g.slots = "", slots
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, time.Second)
	if len(g.news) != 0 {
		t.Errorf("news %+v", g.news)
	}
}

func TestLostSlots(t *testing.T) {
	for _, lost := range []spec.LostSlot{spec.LostMark, spec.LostRestart} {
		p := limits(time.Second)
		p.Lost = lost
		g := newRig(t, Rule{Pulse: p}).pulses(2)
		g.slots[1].State = Paused
		g.seen = func(r Ref) Look { return Look{Gone: true} }
		v := g.follow(60000*ms, nil)
		if g.told(LostNews) != 1 || g.w.Standings(g.now)[0].State != "lost" {
			t.Errorf("%s: news %+v, standings %+v", lost, g.news, g.w.Standings(g.now))
		}
		if lost == spec.LostRestart {
			g.expect(v, Lost, time.Second)
			g.beat(0)
			if g.confirm() {
				t.Error("the verdict stands though somebody beats")
			}
			continue
		}
		g.none(v)
		if g.looks != 1 {
			t.Errorf("looked at %d times", g.looks)
		}
		g.seen = nil
		g.beat(0)
		g.read()
		g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 61*time.Second)
	}
}

func TestALeaderThatEndedBeforeItsThreadsIsLost(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.seen = func(Ref) Look { return Look{State: 'Z'} }
	g.none(g.follow(5000*ms, nil))
	if g.told(LostNews) != 1 {
		t.Errorf("news %+v", g.news)
	}
}

func TestAProcessThatEndsWhileItIsLookedAtIsNotCondemnedForThat(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.slots[0].Tid = 0
	g.seen = func(Ref) Look { return Look{Gone: true} }
	g.none(g.follow(9000*ms, nil))
	if g.told(LostNews) != 0 {
		t.Errorf("news %+v", g.news)
	}
	if v := g.follow(unit.Time(time.Minute), nil); v == nil {
		t.Error("nothing is said of it for a minute")
	}
}
