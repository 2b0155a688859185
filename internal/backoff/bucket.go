package backoff

import (
	"math"
	"time"

	"example.com/stay/internal/spec"
)

// farthest bounds the spans inside a Bucket, in nanoseconds (36 years), so that no sum of two of them overflows.
const farthest = 1 << 60

// A Bucket is a token bucket as plain data: two numbers of the rate and one moment. The zero value never makes anybody
// wait.
type Bucket struct {
	Every int64 `json:"every"` // ns until one token comes back; 0 = no limit
	Depth int64 `json:"depth"` // ns of tokens that may be borrowed ahead: burst − 1 of them
	Paid  int64 `json:"paid"`  // when the tokens taken so far have all come back, in ns of the caller's clock
}

// NewBucket returns a full bucket. A rate whose PerSecond is not above 0 or not finite is no limit, a Burst below 1
// counts as 1. Rates above 1e6 a second are kept to within a thousandth.
func NewBucket(r spec.Rate) Bucket {
	if !(r.PerSecond > 0) || math.IsInf(r.PerSecond, 1) {
		return Bucket{}
	}
	every := max(1, min(math.Round(1e9/r.PerSecond), farthest))
	depth := min(every*float64(max(r.Burst, 1)-1), farthest)
	return Bucket{Every: int64(every), Depth: int64(depth), Paid: math.MinInt64}
}

// Take takes a token at now, in nanoseconds of a clock that does not go back. A wait of 0 means it was taken; else none
// was, and there will be one after that wait. No wait is longer than one token takes to come back, not even after a clock
// that went back all the same.
func (b Bucket) Take(now int64) (Bucket, time.Duration) {
	if b.Every <= 0 {
		return b, 0
	}
	every, depth := min(b.Every, farthest), max(0, min(b.Depth, farthest))
	now = max(-farthest, min(now, math.MaxInt64-2*farthest))
	b.Paid = min(max(b.Paid, now), now+depth+every)
	if ahead := b.Paid - now; ahead > depth {
		return b, time.Duration(ahead - depth)
	}
	b.Paid += every
	return b, 0
}
