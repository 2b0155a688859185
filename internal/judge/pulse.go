package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// A pulse is what is remembered of one slot. Its silence counts from the latest of: the last sign of life, the end of its
// last excuse, and the moment the instance became ready.
type pulse struct {
	slot    Slot          // as it was read last
	limit   time.Duration // that counts; 0: it is not judged
	life    unit.Time     // its last sign of life; in the future: extended
	seen    unit.Time     // when that was read
	grace   unit.Time     // end of the last excuse
	grew    unit.Time     // when its progress was seen to change, or to begin
	entered unit.Time     // when its state was first read

	late    *episode // nil: it is not late
	lost    bool     // its thread has gone; it is not judged before it beats again
	relived int      // how often it was late and beat again

	held time.Duration // how long it was held or excused in episodes before this one, since its last sign of life

	told  oddity // what was reported once
	round uint32 // of the reading that had it last

	rateAt    unit.Time
	rateCount uint64
	rate      float64
}

// An oddity is a set of things that are reported once.
type oddity uint8

const (
	oddState oddity = 1 << iota
	oddLimit
	oddClaim
	oddBeat
	oddLost
)

// An episode is the time in which a pulse is late: from the first reading that showed it to its next sign of life.
type episode struct {
	kind   Kind
	found  unit.Time // when it was found late
	due    unit.Time // when it became late
	crowd  bool      // it is counted in the crowd
	phase  phase     //
	asking bool      // for a look
	next   unit.Time // when to look (again)
	look   Look      // the last one; At 0: none
	judged unit.Time // when it was last found guilty
	held   unit.Time // since when it was held or excused; 0: it was not
	told   uint8     // bits of the phases that news told
}

// A phase says why a late pulse is not condemned.
type phase uint8

const (
	unseen  phase = iota // nobody has looked
	doubt                // it takes a second look
	starved              // it wants to run and cannot
	crowded              // so many others are late
	excused              // somebody else holds it
	guilty               // it waits for the brake
)

// alive says whether a slot in this state beats; impossible states count as busy.
func (s State) alive() bool { return s != Free && s != Claimed && s != Paused }

// busy says whether progress is judged.
func (s State) busy() bool { return s.alive() && s != Idle }

// key orders slots.
func (s *Slot) key() uint64 { return uint64(s.Source)<<32 | uint64(uint32(s.Index)) }

// same says whether b is a later reading of the writer of a, and not of one that claimed the slot after it.
func same(a, b *Slot) bool {
	return a.Tid == b.Tid && b.Count >= a.Count && (a.Name == "" || b.Name == "" || a.Name == b.Name)
}

// stored says whether the writer has stored anything between two readings.
func stored(a, b *Slot) bool {
	return a.Beat != b.Beat || a.Count != b.Count || a.Progress != b.Progress || a.State != b.State || a.Limit != b.Limit
}

// lifeOf is the last sign of life of a slot that was read at now, and in which something was stored since the reading at
// before. A time that is not between the two is impossible: then it was alive now, in doubt. One in the future is an
// extension, and counts up to extend.
func lifeOf(s *Slot, before, now unit.Time, extend time.Duration) unit.Time {
	switch {
	case s.Beat > now:
		return min(s.Beat, now.Add(extend))
	case s.Beat >= before-tolerance:
		return max(s.Beat, before)
	}
	return now
}

// measure keeps the rate of beats up to date.
func (p *pulse) measure(now unit.Time) {
	const least = unit.Time(500 * time.Millisecond)
	if p.rateAt == 0 || p.slot.Count < p.rateCount {
		p.rateAt, p.rateCount = now, p.slot.Count
		return
	}
	if d := now - p.rateAt; d >= least {
		p.rate = float64(p.slot.Count-p.rateCount) / (float64(d) / 1e9)
		p.rateAt, p.rateCount = now, p.slot.Count
	}
}
