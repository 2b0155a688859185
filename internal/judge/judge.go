package judge

import (
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

const (
	grid       = unit.Time(2 * time.Millisecond)  // of all moments that a Watch asks for
	tolerance  = unit.Time(20 * time.Millisecond) // how late a tick may be without being a stall; slack of the writers' coarse clocks
	shortTick  = 50 * time.Millisecond
	longTick   = time.Second
	minLimit   = 10 * time.Millisecond
	lookAgain  = time.Second         // a late thread that cannot be judged yet is looked at again after its limit, or this
	holdLimits = 10                  // a late pulse is held for as many of its limits at most
	farthest   = time.Duration(1e18) // bounds all spans, so that no sum with a moment overflows; 31 years
)

// A Judge holds what concerns all pulses: stalls, the crowd and the brake.
type Judge struct {
	began  unit.Time
	lived  unit.Time // when the engine before this one was last alive; 0: not told
	last   unit.Time // the last Tick
	stalls stalls
	crowd  crowd
	brake  brake
	pace   pace
}

// New returns a judge that begins at now. Nothing before it counts as silence, unless Lived says otherwise.
func New(now unit.Time) *Judge {
	j := &Judge{began: now, last: now}
	j.brake.set(0, 0, now)
	return j
}

// Lived tells when the engine before this one was last alive: the time between is a stall, what was before is not. It is
// called before the first Watch. A moment after New is not believed.
func (j *Judge) Lived(until unit.Time) {
	if until > 0 && until <= j.began {
		j.lived = until
		j.stalls.add(until, j.began)
	}
}

// SetBrake sets how many verdicts a minute there may be; 0: the larger of 5 and 10 % of instances; -1: no brake. What was
// saved up is kept.
func (j *Judge) SetBrake(perMinute, instances int) { j.brake.set(perMinute, instances, j.last) }

// Tick says that the engine runs at now: call it first whenever it wakes. More often than needed does no harm.
//
// When it comes more than 20 ms late, the engine did not run for a while, and perhaps nobody did: that is a stall. A long
// one may have begun up to a tick before it could be noticed, which counts too; of a short one only the delay counts, or a
// machine that is merely busy would be excused for most of its time.
func (j *Judge) Tick(now unit.Time) {
	if now <= j.last {
		return
	}
	if due := j.NextTick(); due != 0 && now-due > tolerance {
		tick, late := due-j.last, now-due
		j.stalls.add(due-min(max(0, late-tick), tick), now)
	}
	j.last = now
}

// NextTick is the moment at which Tick has to be called again; 0 while no pulse lives.
func (j *Judge) NextTick() unit.Time {
	if j.pace.shortest == 0 {
		return 0
	}
	return j.last.Add(min(max(j.pace.shortest/8, shortTick), longTick))
}

// Watch returns the memory of one generation, whose process was made at born.
func (j *Judge) Watch(r Rule, born unit.Time) *Watch {
	w := &Watch{judge: j, rule: r, born: born, from: born}
	if born < j.began && j.lived == 0 {
		w.from = j.began
	}
	j.pace.enter(w)
	return w
}

// A Rule is what the configuration says about one instance.
type Rule struct {
	Pulse        *spec.Pulse   // nil: no page and no watchdog
	Silence      time.Duration // 0: not judged
	StartTimeout time.Duration
}

// onGrid is the first moment of the grid after t.
func onGrid(t unit.Time) unit.Time { return (t/grid + 1) * grid }

// again is how long to wait before a late thread is looked at again.
func again(limit time.Duration) time.Duration { return min(limit, lookAgain) }
