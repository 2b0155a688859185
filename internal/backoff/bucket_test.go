package backoff

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"example.com/stay/internal/spec"
)

// take takes n tokens at now and returns the waits.
func take(b *Bucket, now int64, n int) []time.Duration {
	var waits []time.Duration
	for range n {
		var w time.Duration
		*b, w = b.Take(now)
		waits = append(waits, w)
	}
	return waits
}

func TestBucketTakesTheBurstThenWaits(t *testing.T) {
	const second = int64(time.Second)
	b := NewBucket(spec.Rate{PerSecond: 10, Burst: 3})
	now := 5 * second
	for i, w := range take(&b, now, 3) {
		if w != 0 {
			t.Fatalf("token %d of the burst: wait %v", i+1, w)
		}
	}
	full := b
	for _, w := range take(&b, now, 2) {
		if w != 100*time.Millisecond {
			t.Errorf("after the burst: wait %v, want 100ms", w)
		}
	}
	if b != full {
		t.Errorf("a refused token changed the bucket: %+v, was %+v", b, full)
	}
	if w := take(&b, now+second/20, 1)[0]; w != 50*time.Millisecond {
		t.Errorf("half a token later: wait %v, want 50ms", w)
	}
	if w := take(&b, now+second/10, 2); w[0] != 0 || w[1] != 100*time.Millisecond {
		t.Errorf("one token later: waits %v, want [0s 100ms]", w)
	}
	if w := take(&b, now+60*second, 4); w[2] != 0 || w[3] == 0 {
		t.Errorf("after a long rest: waits %v, want the burst and no more", w)
	}
}

func TestBucketLimits(t *testing.T) {
	tests := []struct {
		name  string
		rate  spec.Rate
		taken int // of 5 at one moment
		wait  time.Duration
	}{
		{"no rate", spec.Rate{}, 5, 0},
		{"no rate but a burst", spec.Rate{Burst: 2}, 5, 0},
		{"negative", spec.Rate{PerSecond: -1, Burst: 1}, 5, 0},
		{"NaN", spec.Rate{PerSecond: math.NaN(), Burst: 1}, 5, 0},
		{"without end", spec.Rate{PerSecond: math.Inf(1), Burst: 1}, 5, 0},
		{"no burst counts as 1", spec.Rate{PerSecond: 1}, 1, time.Second},
		{"negative burst counts as 1", spec.Rate{PerSecond: 1, Burst: -4}, 1, time.Second},
		{"large burst", spec.Rate{PerSecond: 1, Burst: math.MaxInt}, 5, 0},
		{"one in two seconds", spec.Rate{PerSecond: 0.5, Burst: 2}, 2, 2 * time.Second},
		{"nearly never", spec.Rate{PerSecond: math.SmallestNonzeroFloat64, Burst: 1}, 1, farthest},
		{"above a thousand million a second", spec.Rate{PerSecond: 1e12, Burst: 1}, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBucket(tt.rate)
			taken, last := 0, time.Duration(0)
			for _, w := range take(&b, 1000, 5) {
				if last = w; w == 0 {
					taken++
				}
			}
			if taken != tt.taken || last != tt.wait {
				t.Errorf("%d taken, then wait %v; want %d, %v", taken, last, tt.taken, tt.wait)
			}
		})
	}
}

func TestBucketZeroValueNeverWaits(t *testing.T) {
	var b Bucket
	for i, w := range take(&b, 0, 100) {
		if w != 0 {
			t.Fatalf("token %d: wait %v", i, w)
		}
	}
}

func TestBucketClockSetBack(t *testing.T) {
	b := NewBucket(spec.Rate{PerSecond: 1, Burst: 5})
	take(&b, int64(time.Hour), 5)
	b, w := b.Take(0)
	if w <= 0 || w > time.Second {
		t.Errorf("wait %v after the clock went back an hour, want one token's time at most", w)
	}
	b, w = b.Take(int64(w))
	if w != 0 {
		t.Errorf("wait %v after the wait it had asked for", w)
	}
}

func TestBucketHoldsItsRateOverEveryWindow(t *testing.T) {
	const burst, rate = 7, 200
	b := NewBucket(spec.Rate{PerSecond: rate, Burst: burst})
	var taken []int64
	now := int64(0)
	for now < int64(10*time.Second) {
		var w time.Duration
		if b, w = b.Take(now); w > 0 {
			now += int64(w) // greedy: comes back as soon as it may
			continue
		}
		taken = append(taken, now)
	}
	for i := range taken {
		for j := i; j < len(taken); j++ {
			span := float64(taken[j]-taken[i]) / 1e9
			if n := float64(j - i + 1); n > burst+span*rate+1e-6 {
				t.Fatalf("%v tokens in %v s", n, span)
			}
		}
	}
	if n := len(taken); n < 10*rate {
		t.Errorf("only %d tokens in 10 s at %d/s", n, rate)
	}
}

func TestBucketSurvivesJSON(t *testing.T) {
	b := NewBucket(spec.Rate{PerSecond: 200, Burst: 1000})
	for range 2 {
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var back Bucket
		if err := json.Unmarshal(text, &back); err != nil || back != b {
			t.Errorf("%+v came back as %+v, %v", b, back, err)
		}
		take(&b, 1<<40, 3)
	}
}

func FuzzBucket(f *testing.F) {
	f.Add(200.0, 1000, int64(0), int64(0), int64(0), int64(1), int64(2))
	f.Add(1e-300, math.MaxInt, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MinInt64))
	f.Add(1e300, math.MinInt, int64(math.MinInt64), int64(-1), int64(math.MinInt64), int64(math.MinInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, rate float64, burst int, every, depth, paid, t1, t2 int64) {
		for _, b := range []Bucket{NewBucket(spec.Rate{PerSecond: rate, Burst: burst}), {Every: every, Depth: depth, Paid: paid}} {
			for _, now := range []int64{t1, t2} {
				next, w := b.Take(now)
				if w < 0 || w > farthest {
					t.Fatalf("%+v at %d: wait %d", b, now, w)
				}
				if again, w2 := next.Take(now); w > 0 && (again != next || w2 != w) {
					t.Fatalf("%+v: a refused token changed it to %+v", next, again)
				}
				if w > 0 && now >= 0 && now < farthest {
					if _, again := next.Take(now + int64(w)); again != 0 {
						t.Fatalf("%+v at %d: wait %d, then %d again", b, now, w, again)
					}
				}
				b = next
			}
		}
	})
}
