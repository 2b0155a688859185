package judge

import (
	"fmt"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

// growing is a thread whose counters grow with each look.
func growing(state byte, ran, waited, io time.Duration) func(Ref) Look {
	n := time.Duration(0)
	return func(Ref) Look {
		n++
		return Look{State: state, Ran: n * ran, Waited: n * waited, IO: n * io}
	}
}

func TestRule4WhoWantsToRunIsHeldWhileItStarves(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name string
		look func(Ref) Look
		at   time.Duration // of the verdict
		held bool
	}{
		{"asleep", growing('S', 0, 0, 0), second, false},
		{"stopped", growing('T', 0, 0, 0), second, false},
		{"running without a beat", growing('R', 900*time.Millisecond, 100*time.Millisecond, 0), 2 * second, false},
		{"waiting more than running", growing('R', 300*time.Millisecond, 700*time.Millisecond, 0), 11 * second, true},
		{"in the queue all the time, which no counter shows", growing('R', 0, 0, 0), 11 * second, true},
		{"in the queue for most of the time, which no counter shows", growing('R', 3*time.Millisecond, 0, 0), 11 * second, true},
		{"waiting for a disk that everybody waits for", growing('D', 0, 0, time.Millisecond), 11 * second, true},
		{"waiting for a disk that nobody waits for", func(Ref) Look { return Look{State: 'D', IO: time.Hour} }, 2 * second, false},
		{"waiting for a disk, and nothing tells who else does", growing('D', 0, 0, 0), 11 * second, true},
		{"not to be read", growing(0, 0, 0, 0), 2 * second, false},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, Rule{Pulse: limits(second)}).pulses(1)
			g.seen = c.look
			v := g.follow(unit.Time(time.Hour), nil)
			if v == nil || g.since() < c.at || g.since() > c.at+25*time.Millisecond {
				t.Fatalf("verdict %+v at %v, want it at %v", v, g.since(), c.at)
			}
			want := 0
			if c.held {
				want = 1
			}
			if g.told(HeldNews) != want || len(g.news) != want || c.held != (v.Held > 7*second) {
				t.Errorf("news %+v, verdict %+v", g.news, *v)
			}
		})
	}
}

func TestRule4WhoStarvesAndBeatsAgainIsNotKilled(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.seen = growing('R', time.Millisecond, time.Second, 0)
	g.none(g.follow(5000*ms, nil))
	if s := g.w.Standings(g.now)[0]; s.Why != "starved" {
		t.Errorf("it stands there as %+v", s)
	}
	g.beat(0)
	g.seen = nil
	g.expect(g.follow(unit.Time(time.Hour), nil), Silent, 6*time.Second)
	if s := g.w.Standings(g.now)[0]; s.Late != 1 || g.told(LateNews) != 1 {
		t.Errorf("standing %+v, news %+v", s, g.news)
	}
}

func TestRule4ThreadsOfAProcessAreRunningWhenTheyRunMoreThanTheyWait(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(1)
	g.slots[0].Tid = 0
	g.read()
	g.seen = growing('R', 20*time.Millisecond, 0, 0) // others of its threads, perhaps; it sleeps
	if v := g.follow(unit.Time(time.Hour), nil); v == nil || g.since() > 2100*time.Millisecond {
		t.Errorf("verdict %+v at %v", v, g.since())
	}
}

func TestRule4SecondLookComesAfterASecondAtMost(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{100 * time.Millisecond: 200 * time.Millisecond, time.Minute: 61 * time.Second} {
		g := newRig(t, Rule{Pulse: limits(limit)}).pulses(1)
		g.seen = func(Ref) Look { return Look{State: 'D', IO: time.Hour} }
		v := g.follow(unit.Time(time.Hour), nil)
		if v == nil || g.since() < want || g.since() > want+10*time.Millisecond {
			t.Errorf("limit %v: verdict %+v at %v, want it at %v", limit, v, g.since(), want)
		}
	}
}

// hall is a judge with instances of one pulse each, all born and ready at start.
type hall struct {
	j       *Judge
	now     unit.Time
	watches []*Watch
	slots   [][]Slot
}

func newHall(n int, r Rule) *hall {
	h := &hall{j: New(start), now: start}
	for i := range n {
		w := h.j.Watch(r, start)
		w.Ready(start)
		h.watches = append(h.watches, w)
		h.slots = append(h.slots, []Slot{{State: Busy, Tid: 10 + i, Beat: start, Name: fmt.Sprint("web.", i)}})
		w.Read(start, h.slots[i], "")
	}
	return h
}

func (h *hall) to(t unit.Time) {
	for n := h.j.NextTick(); n != 0 && n < start+t; n = h.j.NextTick() {
		h.j.Tick(n)
	}
	h.now = start + t
	h.j.Tick(h.now)
}

// gather has the first pulses silent since the given moments and the others beat now, and returns what is found when all
// late ones are looked at.
func (h *hall) gather(since []unit.Time, l Look) (verdicts, news int) {
	for i := range h.watches {
		if i >= len(since) {
			h.slots[i][0].Beat, h.slots[i][0].Count = h.now, h.slots[i][0].Count+1
		}
		h.watches[i].Read(h.now, h.slots[i], "")
	}
	for i := range since {
		l.At = h.now
		what := h.watches[i].Looked(h.now, h.slots[i], "", []Look{l})
		if what.Verdict != nil {
			verdicts++
		}
		for _, n := range what.News {
			if n.Kind == CrowdNews {
				news++
			}
		}
	}
	return verdicts, news
}

func TestRule4TheCrowdIsHeldUnderPressure(t *testing.T) {
	tests := []struct {
		name    string
		live    int
		since   []unit.Time // of the late ones
		tight   bool
		stalled bool
		held    bool
	}{
		{"half of all, under pressure", 8, []unit.Time{6000, 6100, 6800, 6900}, true, false, true},
		{"all, after a stall", 3, []unit.Time{6000, 6000, 6000}, false, true, true},
		{"without pressure", 3, []unit.Time{6000, 6000, 6000}, false, false, false},
		{"less than half", 9, []unit.Time{6000, 6100, 6800, 6900}, true, false, false},
		{"two of two", 2, []unit.Time{6000, 6000}, true, false, false},
		{"not together", 4, []unit.Time{1000, 2100, 3200, 4300}, true, false, false},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			h := newHall(c.live, Rule{Pulse: limits(time.Second)})
			h.j.SetBrake(-1, 0)
			for i, s := range c.since {
				h.to(s * ms)
				h.slots[i][0].Beat, h.slots[i][0].Count = h.now, 1
				h.watches[i].Read(h.now, h.slots[i], "")
			}
			h.to(8000 * ms)
			if c.stalled {
				h.now += 300 * ms
				h.j.Tick(h.now)
			}
			verdicts, news := h.gather(c.since, Look{State: 'S', Tight: c.tight})
			if c.held && (verdicts != 0 || news != 1) || !c.held && (verdicts != len(c.since) || news != 0) {
				t.Errorf("%d verdicts, %d news", verdicts, news)
			}
			for i := range c.since {
				if why := h.watches[i].Standings(h.now)[0].Why; c.held != (why == "crowd") {
					t.Errorf("%d stands there as %q", i, why)
				}
			}
		})
	}
}

// TestRule4OneProcessIsNoCrowd: a stopped program with many pulses is judged, also on a machine that is short of everything.
func TestRule4OneProcessIsNoCrowd(t *testing.T) {
	now := unit.Time(1000 * ms)
	j := New(now)
	j.SetBrake(-1, 0)
	w := j.Watch(Rule{Pulse: limits(time.Second)}, now)
	w.Ready(now)
	var slots []Slot
	var looks []Look
	for i := range 6 {
		slots = append(slots, Slot{Index: i, State: Busy, Beat: now, Count: 1, Tid: 70 + i})
	}
	w.Read(now, slots, "")
	for now < 2100*ms {
		now += 50 * ms
		j.Tick(now)
	}
	if what := w.Read(now, slots, ""); len(what.Look) != len(slots) {
		t.Fatalf("looks at %+v", what.Look)
	}
	for i := range slots {
		looks = append(looks, Look{Index: i, At: now, State: 'T', Tight: true})
	}
	if what := w.Looked(now, slots, "", looks); what.Verdict == nil || what.Verdict.Late != len(slots) {
		t.Errorf("%+v", what)
	}
}

func TestRule4TheCrowdIsHeldForTenLimits(t *testing.T) {
	h := newHall(4, Rule{Pulse: limits(time.Second)})
	h.j.SetBrake(-1, 0)
	since := make([]unit.Time, 3)
	for s := unit.Time(1100); s < 11000; s += 1002 {
		h.to(s * ms)
		verdicts, news := h.gather(since, Look{State: 'S', Tight: true})
		if first := s == 1100; verdicts != 0 || first != (news == 1) {
			t.Fatalf("after %d ms: %d verdicts, %d news", s, verdicts, news)
		}
	}
	h.to(11200 * ms)
	if verdicts, _ := h.gather(since, Look{State: 'S', Tight: true}); verdicts != 3 {
		t.Errorf("%d verdicts after ten limits, want 3", verdicts)
	}
	for _, w := range h.watches {
		w.Close()
	}
	if c := &h.j.crowd; c.live != 0 || len(c.late) != 0 {
		t.Errorf("the crowd has %d live and %v late though all have gone", c.live, c.late)
	}
}

func TestRule4WhoLeavesTheCrowdIsJudged(t *testing.T) {
	h := newHall(6, Rule{Pulse: limits(time.Second)})
	h.to(1100 * ms)
	if verdicts, _ := h.gather(make([]unit.Time, 4), Look{State: 'S', Tight: true}); verdicts != 0 {
		t.Fatalf("%d verdicts", verdicts)
	}
	h.to(2200 * ms)
	if verdicts, _ := h.gather(make([]unit.Time, 1), Look{State: 'S', Tight: true}); verdicts != 1 {
		t.Errorf("the only one that is still late has %d verdicts", verdicts)
	}
}
