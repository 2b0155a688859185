package probe

import (
	"testing"
	"time"
)

// TestClock: a clock is told moments, as its timer would.
func TestClock(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, c := range []struct {
		name string
		span int
		ran  []int // when it ran, in ms
		over bool  // by the last of them
		late int   // ms
	}{
		{"before the first tick", 2000, nil, false, 0},
		{"every tick in time", 2000, []int{250, 500, 750}, false, 0},
		{"as late as may be", 2000, []int{270, 540}, false, 0},
		{"a bit later", 2000, []int{271}, false, 21},
		{"to the end", 2000, []int{250, 500, 750, 1000, 1250, 1500, 1750, 2000}, true, 0},
		{"small delays count as time", 160, []int{25, 50, 75, 100, 125, 150, 160}, true, 0},
		{"stopped for five seconds", 2000, []int{250, 5250}, false, 4750},
		{"stopped, and then to the end", 2000, []int{250, 5250, 5500, 5750, 6000, 6250, 6500, 6750}, true, 4750},
		{"stopped over its end", 100, []int{20, 40, 60, 80, 900}, true, 800},
		{"stopped over its end, earlier", 100, []int{20, 40, 60, 900}, false, 820},
		{"starved all the time", 2000, []int{300, 600, 900, 1200, 1500, 1800, 2100}, false, 350},
		{"a short one", 5, []int{5}, true, 0},
		{"a short one, late", 5, []int{50}, true, 45},
	} {
		over := 0
		k := Watch(time.Hour, func() { over++ })
		begin := k.last
		k.every = min(max(ms(c.span)/8, slack), time.Second)
		k.left, k.next = ms(c.span), min(k.every, ms(c.span))
		at := 0
		for _, at = range c.ran {
			k.tick(begin.Add(ms(at)))
		}
		if (over == 1) != c.over || over > 1 {
			t.Errorf("%s: over %d times, want %v", c.name, over, c.over)
		}
		if got := k.stop(begin.Add(ms(at))); got != ms(c.late) {
			t.Errorf("%s: stood still for %v, want %d ms", c.name, got, c.late)
		}
		before := over
		k.tick(begin.Add(time.Hour)) // one that was under way when it was stopped
		if k.timer.Stop(); over != before || k.stop(begin.Add(time.Hour)) != ms(c.late) {
			t.Errorf("%s: it goes on after its end", c.name)
		}
	}
}

// TestClockStopsLate: nobody looked from the last tick to the end.
func TestClockStopsLate(t *testing.T) {
	k := Watch(8*time.Hour, func() { t.Error("over") })
	if got := k.stop(k.last.Add(k.next + time.Minute)); got != time.Minute {
		t.Errorf("stood still for %v", got)
	}
}

// TestClockRuns: a real one comes to its end, and not before.
func TestClockRuns(t *testing.T) {
	begin, over := time.Now(), make(chan time.Time, 1)
	k := Watch(brief, func() { over <- time.Now() })
	if took := (<-over).Sub(begin); took < brief-time.Millisecond {
		t.Errorf("over after %v of %v", took, brief)
	}
	k.Stop()
}
