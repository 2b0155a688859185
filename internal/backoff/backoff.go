// Package backoff decides whether a process that ended is started again, and when.
//
// It is pure: the policy is a spec.Restart, the memory between two deaths is a State that the caller keeps (it is plain
// comparable data and survives JSON), and uptimes come in as values. Every function is total: whatever a damaged record
// or an odd configuration holds, no wait is negative or longer than max_delay, and a State that comes out is finite.
//
// Waits are spread by a hash of the service's name and generation, not by chance: two hundred services that died
// together do not come back together, and the same death gives the same wait in every engine that looks at it.
package backoff

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"

	"example.com/stay/internal/spec"
)

// maxLevel keeps a level finite and exact. With any factor above 1.0001 the wait has reached max_delay long before.
const maxLevel = 1 << 20

// A State is what is remembered of the deaths so far. The zero value is a service that never died.
type State struct {
	Level  float64 `json:"level"`  // rises by 1 with each death, falls with uptime; 0…2^20
	Deaths int     `json:"deaths"` // in a row with no stable uptime between them, the last one included
}

// After returns what a death after uptime makes of s, and how long to wait before the next start. The wait is p.Delay
// while the level is below 2, else p.Step × p.Factor^(level−2), in both cases up to p.MaxDelay and spread by p.Jitter.
// An uptime of p.Stable or more forgets every earlier death. With giveUp there is no next start and the wait is 0.
func After(p spec.Restart, s State, uptime time.Duration, seed uint64) (next State, delay time.Duration, giveUp bool) {
	forget := forgotten(p.Stable, uptime)
	next.Level = min(level(s.Level)*(1-forget)+1, maxLevel)
	next.Deaths = 1
	if forget < 1 && s.Deaths > 0 {
		next.Deaths = s.Deaths
		if s.Deaths < math.MaxInt {
			next.Deaths++
		}
	}
	if p.GiveUp > 0 && next.Deaths >= p.GiveUp {
		return next, 0, true
	}
	return next, spread(wait(p, next.Level), p.MaxDelay, p.Jitter, seed), false
}

// Wants says whether p asks for another start after an end that was a success or not. A RestartWhen nobody knows is
// taken as always: keeping a service up is the default.
func Wants(p spec.Restart, success bool) bool {
	switch p.When {
	case spec.RestartNever:
		return false
	case spec.RestartOnFailure:
		return !success
	default:
		return true
	}
}

// Seed hashes a name and a generation. It is the same in every process and version of stay.
func Seed(name string, gen uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // a hash.Hash never returns an error
	h.Write(binary.LittleEndian.AppendUint64([]byte{0}, gen))
	return h.Sum64()
}

// forgotten is the share of the past that uptime makes good, 0…1. A stable of 0 forgets at once.
func forgotten(stable, uptime time.Duration) float64 {
	switch {
	case uptime >= stable:
		return 1
	case uptime <= 0:
		return 0
	}
	return float64(uptime) / float64(stable)
}

// level is l, or the nearest level there can be.
func level(l float64) float64 {
	if !(l > 0) { // NaN too
		return 0
	}
	return min(l, maxLevel)
}

// wait is the delay of a level before it is spread, 0…p.MaxDelay.
func wait(p spec.Restart, level float64) time.Duration {
	if level < 2 {
		return max(0, min(p.Delay, p.MaxDelay))
	}
	if p.Step <= 0 {
		return 0
	}
	factor := p.Factor
	if !(factor >= 1) { // NaN too
		factor = 1
	}
	return within(float64(p.Step)*math.Pow(factor, level-2), p.MaxDelay)
}

// spread moves d by up to ± share of itself, evenly over seeds. What would pass limit is mirrored at it and not cut,
// else half of all services in a long outage would wait exactly limit and come back in one moment.
func spread(d, limit time.Duration, share float64, seed uint64) time.Duration {
	if d <= 0 || !(share > 0) { // NaN too
		return d
	}
	v := float64(d) * (1 + min(share, 1)*signed(seed))
	if top := float64(limit); v > top {
		v = top - (v - top)
	}
	return within(v, limit)
}

// Jitter is a part of d, at least 0 and less than d, evenly over seeds.
func Jitter(d time.Duration, seed uint64) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(mixed(seed) % uint64(d))
}

// signed maps a seed to −1…1, evenly.
func signed(seed uint64) float64 { return float64(mixed(seed)>>11)/(1<<52) - 1 }

// mixed is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): FNV alone leaves seeds of neighbouring generations close
// together.
func mixed(seed uint64) uint64 {
	seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
	seed = (seed ^ seed>>27) * 0x94d049bb133111eb
	return seed ^ seed>>31
}

// within is v cut to 0…limit. A float64 beyond the range of int64 must not be converted: the result is up to the machine.
func within(v float64, limit time.Duration) time.Duration {
	switch {
	case !(v > 0): // NaN too
		return 0
	case v >= float64(limit):
		return max(0, limit)
	}
	return time.Duration(v)
}
