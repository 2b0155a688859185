package judge

import (
	"fmt"
	"slices"
	"time"

	"example.com/stay/internal/unit"
)

// This file: what a reading changes in what is remembered.

// absorb takes a reading.
func (w *Watch) absorb(now unit.Time, slots []Slot, broken string) {
	w.round++
	before := w.readAt
	if before == 0 {
		before = w.from
	}
	found, hint := 0, 0
	for i := range slots {
		s := &slots[i]
		if s.Source >= sources {
			continue
		}
		if s.State == Free {
			w.seen = w.seen || s.Source == Page && (s.Count > 0 || s.Beat > w.from)
			continue
		}
		if p := w.find(s, &hint); p != nil && p.round != w.round {
			w.update(p, s, before, now)
			found++
		}
	}
	found += w.absorbWatchdog(before, now)
	w.troubled(now, broken)
	if found < len(w.pulses) {
		w.forget(now, broken != "")
	}
	w.readAt = now
}

// absorbWatchdog has datagrams judged that were announced, while none has come: nobody reads a slot of them yet.
func (w *Watch) absorbWatchdog(before, now unit.Time) int {
	if w.watchdog.limit == 0 {
		return 0
	}
	s := Slot{Source: Watchdog, State: Busy, Name: "watchdog"}
	hint := len(w.pulses)
	if p := w.find(&s, &hint); p != nil && p.round != w.round {
		if p.slot.Count > 0 { // it has come before
			s = p.slot
		}
		w.update(p, &s, before, now)
		return 1
	}
	return 0
}

// find returns what is remembered of s, or room for it; nil when there is none. Hint is where it probably stands, and then
// where the next does.
func (w *Watch) find(s *Slot, hint *int) *pulse {
	key := s.key()
	i := *hint
	if i >= len(w.pulses) || w.pulses[i].slot.key() != key {
		var found bool
		i, found = slices.BinarySearchFunc(w.pulses, key, func(p pulse, key uint64) int {
			switch k := p.slot.key(); {
			case k < key:
				return -1
			case k > key:
				return 1
			}
			return 0
		})
		if !found {
			if len(w.pulses) >= maxPulses {
				return nil
			}
			w.pulses = slices.Insert(w.pulses, i, pulse{slot: Slot{Source: s.Source, Index: s.Index}, round: w.round - 1})
		}
	}
	*hint = i + 1
	return &w.pulses[i]
}

// forget drops what the last reading did not have. Slots of a page that could not be read are kept.
func (w *Watch) forget(now unit.Time, broken bool) {
	kept := w.pulses[:0]
	for i := range w.pulses {
		p := &w.pulses[i]
		if p.round == w.round || broken && p.slot.Source == Page {
			kept = append(kept, *p)
			continue
		}
		w.relive(p, now)
	}
	clear(w.pulses[len(kept):])
	w.pulses = kept
}

// update takes the reading of one slot. Between before and now nobody has read it.
func (w *Watch) update(p *pulse, s *Slot, before, now unit.Time) {
	old := p.slot
	fresh := old.State == Free || !same(&old, s)
	if fresh && old.State != Free {
		w.relive(p, now)
		*p = pulse{}
	}
	p.round = w.round
	p.slot = *s
	if s.Name == "" && !fresh {
		p.slot.Name = old.Name
	}
	var odd bool
	if p.limit, odd = w.limit(s); odd {
		w.odd(p, oddLimit, now, fmt.Sprintf("a limit of %v is out of bounds: %v counts", s.Limit, p.limit))
	}
	if fresh || stored(&old, s) {
		w.revive(p, &old, fresh, before, now)
	}
	p.measure(now)
}

// revive takes a sign of life: something was stored in a slot, or somebody claimed it.
func (w *Watch) revive(p *pulse, old *Slot, fresh bool, before, now unit.Time) {
	s := &p.slot
	p.seen = now
	p.lost = false
	switch {
	case s.State == Claimed:
	case old.State != Free && s.Beat == old.Beat: // something else was stored; when is not known
		p.life = max(p.life, now)
	default:
		p.life = lifeOf(s, before, now, w.extend())
		if !fresh && s.Beat < w.born-tolerance && s.Count != old.Count {
			w.odd(p, oddBeat, now, "the time of a beat is before the birth of its process")
		}
	}
	switch {
	case fresh && s.State == Paused: // perhaps long ago, for an engine that is new
		p.entered = min(p.life, now)
	case fresh || old.State != s.State || s.State == Paused: // who stores in a pause has come back in between
		p.entered = now
	}
	if s.Progress != 0 && s.State.busy() && (fresh || old.Progress != s.Progress || !old.State.busy()) {
		p.grew = now
	}
	w.notice(p, now)
	if p.late == nil || refuted(p.late.kind, old, s) {
		w.relive(p, now)
	}
}

// notice takes from a slot what concerns more than its silence.
func (w *Watch) notice(p *pulse, now unit.Time) {
	s := &p.slot
	if s.State > Idle {
		w.odd(p, oddState, now, "its state is none that a slot can have: it counts as busy")
	}
	if s.State != Claimed && (s.Source == Page || s.Source == Watchdog && s.Count > 0) {
		w.seen = true
	}
}

// refuted says whether what was stored since speaks against a verdict of this kind.
func refuted(k Kind, old, s *Slot) bool {
	switch k {
	case Stuck:
		return old.Progress != s.Progress || !s.State.busy()
	}
	return stored(old, s)
}

// relive ends the episode of a pulse that lives, or whose writer has left it.
func (w *Watch) relive(p *pulse, now unit.Time) {
	e := p.late
	p.held = 0
	if e == nil {
		return
	}
	if e.phase != excused {
		p.relived++
	}
	if e.phase == guilty || e.phase == starved {
		w.tell(now, LateNews, &p.slot, "")
	}
	w.end(p)
}

// end ends the episode of a pulse.
func (w *Watch) end(p *pulse) {
	if e := p.late; e != nil {
		if e.crowd {
			w.judge.crowd.remove(e.due)
		}
		p.late = nil
	}
}

// odd reports something about a slot once.
func (w *Watch) odd(p *pulse, what oddity, now unit.Time, text string) {
	if p.told&what == 0 {
		p.told |= what
		w.tell(now, OddNews, &p.slot, text)
	}
}

// troubled notes whether the page could be read.
func (w *Watch) troubled(now unit.Time, broken string) {
	t := &w.page
	if broken == "" || w.rule.Pulse == nil {
		*t = trouble{}
		return
	}
	if t.count == 0 {
		t.since = now
	}
	t.text = broken
	if t.count++; t.count == 2 {
		w.tell(now, BrokenNews, nil, broken)
	}
}

// extend is how far a beat may be in the future.
func (w *Watch) extend() time.Duration {
	if w.rule.Pulse == nil {
		return 0
	}
	return min(max(0, w.rule.Pulse.ExtendMax), farthest)
}
