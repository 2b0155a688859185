package judge

import (
	"math"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

func TestTheLimitThatCounts(t *testing.T) {
	p := limits(time.Second) // at most 10 s
	tests := []struct {
		name string
		slot Slot
		want time.Duration
		odd  bool
	}{
		{"configured", Slot{}, time.Second, false},
		{"its own", Slot{Limit: 3 * time.Second}, 3 * time.Second, false},
		{"the smallest", Slot{Limit: 10 * time.Millisecond}, 10 * time.Millisecond, false},
		{"too small", Slot{Limit: 1}, 10 * time.Millisecond, true},
		{"the largest", Slot{Limit: 10 * time.Second}, 10 * time.Second, false},
		{"too large", Slot{Limit: time.Hour}, 10 * time.Second, true},
		{"larger than a number", Slot{Limit: -5}, 10 * time.Second, true},
		{"of output", Slot{Source: Output, Limit: 5}, 7 * time.Second, false},
		{"of datagrams", Slot{Source: Watchdog, Limit: 5}, time.Second, false},
		{"of an entry", Slot{Source: Table, Limit: time.Hour}, time.Hour, false},
		{"of an entry, too small", Slot{Source: Table, Limit: 1}, 10 * time.Millisecond, false},
		{"of an entry that has none", Slot{Source: Table}, time.Second, false},
		{"of an entry, absurd", Slot{Source: Table, Limit: math.MinInt64}, farthest, false},
	}
	for _, c := range tests {
		g := newRig(t, Rule{Pulse: p, Silence: 7 * time.Second})
		c.slot.State, c.slot.Beat, c.slot.Tid = Busy, g.now, 4
		g.slots = []Slot{c.slot}
		g.read()
		g.read()
		if s := g.w.Standings(g.now); len(s) != 1 || s[0].Limit != c.want {
			t.Errorf("%s: standing %+v, want limit %v", c.name, s, c.want)
		}
		if odd := g.told(OddNews); odd > 1 || (odd == 1) != c.odd {
			t.Errorf("%s: news %+v", c.name, g.news)
		}
		v := g.follow(unit.Time(2*time.Hour), nil)
		if c.want == farthest {
			g.none(v)
			continue
		}
		g.expect(v, Silent, c.want)
	}
}

func TestNoLimitIsNoVerdict(t *testing.T) {
	g := newRig(t, Rule{})
	g.slots = []Slot{{State: Busy, Beat: start}, {Source: Watchdog, State: Busy, Beat: start}, {Source: Output, State: Busy}, {Source: Table, State: Busy}}
	if what := g.read(); what.At != 0 {
		t.Errorf("read again at %v", what.At.Sub(start))
	}
	if n := g.j.NextTick(); n != 0 {
		t.Errorf("ticks at %v for nothing", n.Sub(start))
	}
}

func TestAnExtensionCountsOnceAndWithinBounds(t *testing.T) {
	tests := []struct {
		name string
		beat unit.Time // in the future of 500 ms
		at   time.Duration
	}{
		{"four seconds", 4000 * ms, 5500 * time.Millisecond},
		{"as far as may be", 10000 * ms, 11500 * time.Millisecond},
		{"too far", 3600 * 1000 * ms, 11500 * time.Millisecond},
		{"absurdly far", math.MaxInt64 - start - 500*ms, 11500 * time.Millisecond},
	}
	for _, c := range tests {
		g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
		g.to(500 * ms)
		g.slots[0].Beat = g.now + c.beat
		g.slots[0].Count++
		g.read()
		if age := g.w.Standings(g.now)[0].Age; age >= 0 {
			t.Errorf("%s: age %v", c.name, age)
		}
		g.expect(g.follow(unit.Time(time.Hour), nil), Silent, c.at)
	}
}

func TestAnExtensionIsMadeLongerByStallsInIt(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.slots[0].Beat = g.now + 5000*ms
	g.read()
	g.to(1000 * ms)
	g.freeze(21000 * ms)
	g.read()
	g.what = g.read()
	v := g.follow(unit.Time(time.Hour), nil)
	if v == nil || g.since() < 25800*time.Millisecond || g.since() > 26200*time.Millisecond {
		t.Errorf("verdict %+v at %v, want it about 20 s after 6 s", v, g.since())
	}
}

func TestASlotThatIsClaimedCountsFromThenOn(t *testing.T) {
	tests := []struct {
		name  string
		slot  Slot
		after time.Duration // of the verdict, after the reading at 10 s that finds it live
	}{
		{"with a beat of its own", Slot{State: Busy, Beat: start + 9800*ms, Count: 1, Tid: 1}, 800 * time.Millisecond},
		{"without a beat", Slot{State: Busy, Tid: 1}, time.Second},
		{"with the beat of a writer before it", Slot{State: Busy, Beat: start + 5000*ms, Tid: 1}, time.Second},
		{"with a time of another clock", Slot{State: Idle, Beat: 1700, Tid: 1}, time.Second},
		{"with a time before all", Slot{State: Idle, Beat: math.MinInt64, Tid: 1}, time.Second},
	}
	for _, c := range tests {
		g := newRig(t, Rule{Pulse: limits(time.Second)})
		g.read()
		g.none(g.follow(9600*ms, nil))
		g.read()
		g.to(10000 * ms)
		g.slots = []Slot{c.slot}
		g.read()
		g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 10*time.Second+c.after)
	}
}

func TestASlotThatIsClaimedAgainIsAnotherPulse(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Slot)
	}{
		{"by another thread", func(s *Slot) { s.Tid = 99 }},
		{"by another name", func(s *Slot) { s.Name = "other" }},
		{"with fewer beats", func(s *Slot) { s.Count = 0 }},
	} {
		g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
		g.to(900 * ms)
		c.change(&g.slots[0])
		g.read()
		g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 1900*time.Millisecond)
	}
}

func TestNamesAndNotesMayBeLeftOut(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(900 * ms)
	g.slots[0].Name, g.slots[0].Note = "", "something"
	g.read()
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Silent, time.Second)
	if v.Slot.Name != "p0" {
		t.Errorf("named %q", v.Slot.Name)
	}
}

func TestAClaimThatNeverEndsIsReportedOnce(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)})
	g.slots = []Slot{{State: Claimed, Tid: 4}}
	g.read()
	if s := g.w.Standings(g.now); len(s) != 0 {
		t.Errorf("standings %+v", s)
	}
	g.none(g.follow(60000*ms, nil))
	if g.told(OddNews) != 1 || g.looks != 0 {
		t.Errorf("news %+v, %d looks", g.news, g.looks)
	}
	if s := g.w.Standings(g.now); len(s) != 1 || s[0].State != "broken" {
		t.Errorf("standings %+v", s)
	}
}

func TestAnImpossibleStateIsReportedOnceAndCountsAsBusy(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)})
	g.slots = []Slot{{State: 200, Beat: start, Tid: 4}}
	g.read()
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, time.Second)
	if g.told(OddNews) != 1 {
		t.Errorf("news %+v", g.news)
	}
}

func TestABeatOfAnotherClockIsReportedAndBelievedAsASignOfLife(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.slots[0].Beat = 0
	g.none(g.follow(30000*ms, func() { g.slots[0].Count++; g.slots[0].Beat = (g.now - start) / 1000 }))
	if g.told(OddNews) != 1 {
		t.Errorf("news %+v", g.news)
	}
	if v := g.follow(unit.Time(time.Hour), nil); v == nil || g.since() > 31100*time.Millisecond {
		t.Errorf("verdict %+v at %v", v, g.since())
	}
}

func TestACoarseClockDoesNotMakeAHangALimitOlder(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(500 * ms)
	g.read()
	g.slots[0].Beat, g.slots[0].Count = start+496*ms, 2 // right after that reading, by a clock that stands for 4 ms
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 1500*time.Millisecond)
}

func TestDatagramsAreJudgedWhenOneCameOrTheLimitWasSet(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)})
	g.read()
	g.none(g.follow(10000*ms, nil))
	g.w.SetWatchdog(g.now, 3*time.Second)
	g.read()
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Silent, 13*time.Second)
	if v.Slot.Source != Watchdog || v.Limit != 3*time.Second {
		t.Errorf("verdict %+v", *v)
	}
	if !g.confirm() {
		t.Error("it falls")
	}
	g.slots = []Slot{{Source: Watchdog, State: Busy, Beat: g.now, Count: 1, Name: "watchdog"}}
	if g.confirm() {
		t.Error("it stands though a datagram came")
	}
	g.to(14000 * ms)
	g.w.SetWatchdog(g.now, time.Minute)
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 74*time.Second)
	g.confirm()
	g.slots[0].Beat, g.slots[0].Count = g.now, 2
	g.confirm()
	g.w.SetWatchdog(g.now, 0)
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 75*time.Second)
}

func TestSilenceNeedsNoPulse(t *testing.T) {
	g := newRig(t, Rule{Silence: 5 * time.Second})
	g.slots = []Slot{{Source: Output, State: Busy, Name: "output"}}
	g.read()
	g.to(4000 * ms)
	g.slots[0].Beat = g.now
	v := g.follow(unit.Time(time.Hour), nil)
	g.expect(v, Silent, 9*time.Second)
	if v.Slot.Source != Output {
		t.Errorf("verdict %+v", *v)
	}
}

func TestEntriesComeAndGoInAnyOrder(t *testing.T) {
	g := newRig(t, Rule{})
	for _, i := range []int{7, 3, 900, 1, 7} { // one twice: the first counts
		g.slots = append(g.slots, Slot{Source: Table, Index: i, State: Busy, Beat: g.now, Limit: time.Second, Tid: i})
	}
	g.read()
	if s := g.w.Standings(g.now); len(s) != 4 || s[0].Slot.Index != 1 || s[3].Slot.Index != 900 {
		t.Fatalf("standings %+v", s)
	}
	g.slots = g.slots[2:3]
	g.read()
	if s := g.w.Standings(g.now); len(s) != 1 || s[0].Slot.Index != 900 {
		t.Fatalf("standings %+v", s)
	}
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, time.Second)
}

func TestAnotherConfigurationGivesOneFullLimit(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(10 * time.Second)}).pulses(1)
	g.to(5000 * ms)
	g.w.SetRule(Rule{Pulse: limits(time.Second)})
	g.read()
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 6*time.Second)

	g = newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.to(5000 * ms)
	g.read()
	g.w.SetRule(Rule{})
	g.none(g.look().Verdict)
	g.none(g.follow(60000*ms, nil))
	if n := g.j.NextTick(); n != 0 {
		t.Errorf("ticks at %v for nothing", n.Sub(start))
	}
}

func TestStandingsTellTheRate(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(10 * time.Second)}).pulses(1)
	for i := range unit.Time(40) {
		g.to(100 * ms * (i + 1))
		g.slots[0].Count += 5
		g.slots[0].Beat = g.now
		g.read()
	}
	g.to(4300 * ms)
	s := g.w.Standings(g.now)[0]
	if s.Rate < 49.9 || s.Rate > 50.1 || s.Age != 300*time.Millisecond || s.State != "busy" {
		t.Errorf("standing %+v, want 50 beats a second, 300 ms old", s)
	}
}

func TestNonsenseIsToldSoOftenAMinute(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	for i := range 10000 {
		g.slots[0].Tid = i + 1
		g.slots[0].State = State(100 + i%2)
		g.read()
	}
	if len(g.news) != maxNews {
		t.Errorf("told %d times, want %d", len(g.news), maxNews)
	}
	g.to(unit.Time(time.Minute))
	g.slots[0].Tid = 1
	g.slots[0].State = 9
	g.read()
	if len(g.news) != maxNews+1 {
		t.Errorf("told %d times, want one more a minute later", len(g.news))
	}
}

func TestAClosedWatchIsSilent(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(3)
	g.w.Close()
	g.w.Close()
	g.to(5000 * ms)
	for _, what := range []What{g.read(), g.look(), g.w.Trigger(g.now), g.w.Failed(g.now, "x", 1, "")} {
		if what.At != 0 || what.Look != nil || what.Verdict != nil {
			t.Errorf("%+v", what)
		}
	}
	if g.j.NextTick() != 0 || g.j.crowd.live != 0 || len(g.j.pace.watches) != 0 {
		t.Errorf("left: tick %v, %d live, %d watches", g.j.NextTick(), g.j.crowd.live, len(g.j.pace.watches))
	}
}
