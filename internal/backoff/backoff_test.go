package backoff

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"example.com/stay/internal/spec"
)

// byDefault is what a service gets whose [restart] is empty, without the jitter.
var byDefault = spec.Restart{When: spec.RestartAlways, Step: 100 * time.Millisecond, MaxDelay: 30 * time.Second, Factor: 2,
	Stable: 10 * time.Second}

func with(change func(*spec.Restart)) spec.Restart {
	p := byDefault
	change(&p)
	return p
}

func TestAfter(t *testing.T) {
	tests := []struct {
		name   string
		policy spec.Restart
		state  State
		uptime time.Duration
		level  float64
		deaths int
		delay  time.Duration
	}{
		{"first death", byDefault, State{}, 0, 1, 1, 0},
		{"second death at once", byDefault, State{1, 1}, 0, 2, 2, 100 * time.Millisecond},
		{"third death at once", byDefault, State{2, 2}, 0, 3, 3, 200 * time.Millisecond},
		{"just below level 2", byDefault, State{1, 1}, time.Second, 1.9, 2, 0},
		{"half of stable forgets half", byDefault, State{4, 4}, 5 * time.Second, 3, 5, 200 * time.Millisecond},
		{"stable forgets all", byDefault, State{9, 9}, 10 * time.Second, 1, 1, 0},
		{"far above stable", byDefault, State{9, 9}, math.MaxInt64, 1, 1, 0},
		{"capped", byDefault, State{20, 20}, 0, 21, 21, 30 * time.Second},
		{"capped beyond every power", byDefault, State{100000, 5}, 0, 100001, 6, 30 * time.Second},
		{"negative uptime counts as none", byDefault, State{1, 1}, -time.Hour, 2, 2, 100 * time.Millisecond},
		{"delay", with(func(p *spec.Restart) { p.Delay = time.Second }), State{}, 0, 1, 1, time.Second},
		{"delay above the cap", with(func(p *spec.Restart) { p.Delay = time.Minute }), State{}, 0, 1, 1, 30 * time.Second},
		{"negative delay", with(func(p *spec.Restart) { p.Delay = -1 }), State{}, 0, 1, 1, 0},
		{"factor 1 is constant", with(func(p *spec.Restart) { p.Factor = 1 }), State{50, 50}, 0, 51, 51, 100 * time.Millisecond},
		{"factor below 1 counts as 1", with(func(p *spec.Restart) { p.Factor = 0.5 }), State{9, 9}, 0, 10, 10, 100 * time.Millisecond},
		{"factor NaN counts as 1", with(func(p *spec.Restart) { p.Factor = math.NaN() }), State{9, 9}, 0, 10, 10, 100 * time.Millisecond},
		{"factor without end", with(func(p *spec.Restart) { p.Factor = math.Inf(1) }), State{9, 9}, 0, 10, 10, 30 * time.Second},
		{"broken level", with(func(p *spec.Restart) { p.Factor = 1.5 }), State{2.5, 3}, 0, 3.5, 4, 183711730},
		{"no step", with(func(p *spec.Restart) { p.Step = 0 }), State{9, 9}, 0, 10, 10, 0},
		{"no step, factor without end", with(func(p *spec.Restart) { p.Step, p.Factor = 0, math.Inf(1) }), State{9, 9}, 0, 10, 10, 0},
		{"no cap is no wait", with(func(p *spec.Restart) { p.MaxDelay = 0 }), State{9, 9}, 0, 10, 10, 0},
		{"negative cap", with(func(p *spec.Restart) { p.MaxDelay = -time.Second }), State{9, 9}, 0, 10, 10, 0},
		{"largest cap", with(func(p *spec.Restart) { p.MaxDelay = math.MaxInt64 }), State{900, 9}, 0, 901, 10, math.MaxInt64},
		{"stable 0 always forgets", with(func(p *spec.Restart) { p.Stable = 0 }), State{9, 9}, 0, 1, 1, 0},
		{"all zero", spec.Restart{}, State{}, 0, 1, 1, 0},
		{"level NaN", byDefault, State{math.NaN(), 3}, 0, 1, 4, 0},
		{"level below 0", byDefault, State{-5, -5}, 0, 1, 1, 0},
		{"level without end", byDefault, State{math.Inf(1), math.MaxInt}, 0, maxLevel, math.MaxInt, 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, delay, giveUp := After(tt.policy, tt.state, tt.uptime, 1)
			if math.Abs(next.Level-tt.level) > 1e-9 || next.Deaths != tt.deaths {
				t.Errorf("state %+v, want level %v, deaths %d", next, tt.level, tt.deaths)
			}
			if delay != tt.delay {
				t.Errorf("delay %v (%d), want %v", delay, delay, tt.delay)
			}
			if giveUp {
				t.Errorf("gave up where give_up is 0")
			}
		})
	}
}

func TestCrashLoopGrowsToTheCapAndFallsBack(t *testing.T) {
	want := []time.Duration{0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000}
	var s State
	for i, w := range want {
		var delay time.Duration
		s, delay, _ = After(byDefault, s, 0, Seed("web", uint64(i)))
		if delay != w*time.Millisecond {
			t.Fatalf("death %d: delay %v, want %v", i+1, delay, w*time.Millisecond)
		}
	}
	last := s.Level
	for s.Level > 1.7 {
		s, _, _ = After(byDefault, s, 6*time.Second, 0)
		if s.Level >= last {
			t.Fatalf("level rose from %v to %v although it ran for more than half of stable", last, s.Level)
		}
		last = s.Level
	}
}

func TestGiveUp(t *testing.T) {
	p := with(func(p *spec.Restart) { p.GiveUp = 3 })
	tests := []struct {
		name    string
		uptimes []time.Duration
		want    bool
	}{
		{"two deaths", []time.Duration{0, 0}, false},
		{"three deaths", []time.Duration{0, 0, 0}, true},
		{"a stable uptime starts a new row", []time.Duration{0, 0, time.Minute}, false},
		{"its death is the first of that row", []time.Duration{0, 0, time.Minute, 0, 0}, true},
		{"nearly stable does not", []time.Duration{0, 0, 10*time.Second - 1}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			var delay time.Duration
			var got bool
			for i, up := range tt.uptimes {
				if got {
					t.Fatalf("gave up after %d deaths", i)
				}
				s, delay, got = After(p, s, up, 0)
			}
			if got != tt.want {
				t.Errorf("gave up: %v, want %v (%+v)", got, tt.want, s)
			}
			if got && delay != 0 {
				t.Errorf("a wait of %v for no next start", delay)
			}
		})
	}
	if _, _, got := After(with(func(p *spec.Restart) { p.GiveUp = -1 }), State{9, 9}, 0, 0); got {
		t.Error("gave up for a negative give_up")
	}
}

func TestJitterSpreads(t *testing.T) {
	tests := []struct {
		name     string
		share    float64
		level    float64
		low, top time.Duration
	}{
		{"a tenth", 0.1, 4, 720 * time.Millisecond, 880 * time.Millisecond},
		{"all of it", 1, 4, 0, 1600 * time.Millisecond},
		{"more than all counts as all", 7, 4, 0, 1600 * time.Millisecond},
		{"at the cap, downwards only", 0.1, 30, 27 * time.Second, 30 * time.Second},
		{"at the cap, half", 0.5, 10, 15 * time.Second, 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := with(func(p *spec.Restart) { p.Jitter = tt.share })
			const n = 2000
			seen := map[time.Duration]int{}
			var low, top, sum time.Duration = math.MaxInt64, 0, 0
			for gen := range uint64(n) {
				_, d, _ := After(p, State{Level: tt.level}, 0, Seed("web", gen))
				seen[d]++
				low, top, sum = min(low, d), max(top, d), sum+d
			}
			if low < tt.low || top > tt.top {
				t.Errorf("waits %v…%v, want within %v…%v", low, top, tt.low, tt.top)
			}
			width := tt.top - tt.low
			if low > tt.low+width/50 || top < tt.top-width/50 {
				t.Errorf("waits %v…%v do not fill %v…%v", low, top, tt.low, tt.top)
			}
			if len(seen) < n*99/100 {
				t.Errorf("%d seeds gave only %d different waits", n, len(seen))
			}
			if mid := tt.low + width/2; tt.level < 9 && (sum/n-mid).Abs() > width/30 {
				t.Errorf("mean wait %v, want about %v", sum/n, mid)
			}
		})
	}
	for _, share := range []float64{0, -1, math.NaN()} {
		p := with(func(p *spec.Restart) { p.Jitter = share })
		if _, d, _ := After(p, State{Level: 4}, 0, 12345); d != 800*time.Millisecond {
			t.Errorf("jitter %v: wait %v, want 800ms", share, d)
		}
	}
}

func TestSeed(t *testing.T) {
	if a, b := Seed("web", 3), Seed("web", 3); a != b {
		t.Errorf("the same death gave seeds %d and %d", a, b)
	}
	// A constant, so that two versions of stay, one after the other on one machine, agree.
	if got, want := Seed("web", 1), uint64(0xeee10a8bf03e97c2); got != want {
		t.Errorf("Seed(web, 1) = %#x, want %#x", got, want)
	}
	seen := map[uint64]string{}
	for _, name := range []string{"", "a", "b", "web", "web.1", "web.11"} {
		for gen := range uint64(2000) {
			s := Seed(name, gen)
			if other, ok := seen[s]; ok {
				t.Fatalf("%q and %q share seed %#x", name, other, s)
			}
			seen[s] = name
		}
	}
}

func TestWants(t *testing.T) {
	tests := []struct {
		when             spec.RestartWhen
		success, failure bool
	}{
		{spec.RestartAlways, true, true},
		{spec.RestartOnFailure, false, true},
		{spec.RestartNever, false, false},
		{"", true, true},
		{"sometimes", true, true},
	}
	for _, tt := range tests {
		p := spec.Restart{When: tt.when}
		if got := Wants(p, true); got != tt.success {
			t.Errorf("%q after success: %v, want %v", tt.when, got, tt.success)
		}
		if got := Wants(p, false); got != tt.failure {
			t.Errorf("%q after failure: %v, want %v", tt.when, got, tt.failure)
		}
	}
}

func TestStateSurvivesJSON(t *testing.T) {
	s, _, _ := After(byDefault, State{Level: 1.25, Deaths: 7}, 1234567, 0)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(text, &back); err != nil || back != s {
		t.Errorf("%+v came back as %+v, %v", s, back, err)
	}
}

func FuzzAfter(f *testing.F) {
	f.Add(int64(0), int64(1e8), int64(3e10), int64(1e10), 2.0, 0.1, 0, 1.0, 1, int64(0), uint64(1))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), math.MaxFloat64, 1.0, math.MaxInt, math.MaxFloat64, math.MaxInt, int64(math.MaxInt64-1), ^uint64(0))
	f.Add(int64(math.MinInt64), int64(math.MinInt64), int64(math.MinInt64), int64(math.MinInt64), math.Inf(-1), math.NaN(), math.MinInt, math.NaN(), math.MinInt, int64(math.MinInt64), uint64(0))
	f.Add(int64(1), int64(1), int64(math.MaxInt64), int64(1), 1.0000001, 1.0, 1, 1e300, 0, int64(0), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, delay, step, limit, stable int64, factor, jitter float64, giveUp int, level float64, deaths int, uptime int64, seed uint64) {
		p := spec.Restart{Delay: time.Duration(delay), Step: time.Duration(step), MaxDelay: time.Duration(limit), Factor: factor,
			Jitter: jitter, Stable: time.Duration(stable), GiveUp: giveUp}
		before := State{Level: level, Deaths: deaths}
		next, wait, up := After(p, before, time.Duration(uptime), seed)
		if !(next.Level >= 1 && next.Level <= maxLevel) || next.Deaths < 1 {
			t.Errorf("state %+v", next)
		}
		if wait < 0 || wait > max(0, p.MaxDelay) {
			t.Errorf("wait %v with max_delay %v", wait, p.MaxDelay)
		}
		if up != (giveUp > 0 && next.Deaths >= giveUp) {
			t.Errorf("gave up: %v after %d deaths, give_up %d", up, next.Deaths, giveUp)
		}
		again, wait2, up2 := After(p, before, time.Duration(uptime), seed)
		if again != next || wait2 != wait || up2 != up {
			t.Error("the same death gave two answers")
		}
	})
}
