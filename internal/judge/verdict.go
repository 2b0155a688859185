package judge

import (
	"example.com/stay/internal/unit"
)

// This file: from guilt to a verdict, and whether that stands.

// sentence returns the verdict that is due now, if it is its turn at the brake. Who is guilty only by an older look waits for
// a new one.
func (w *Watch) sentence(now unit.Time) *Verdict {
	brake := &w.judge.brake
	v, stays := w.candidate(now)
	switch {
	case v == nil && !stays:
		brake.leave(w)
		return nil
	case v == nil:
		return nil
	case !brake.turn(w, now):
		if brake.enter(w) {
			w.tell(now, BrakeNews, &v.Slot, v.about())
		}
		return nil
	}
	brake.take(w, now)
	w.triggered = false
	return v
}

// about says what a verdict is about that is not about a slot, "" for the others.
func (v *Verdict) about() string {
	switch v.Kind {
	case Triggered:
		return "it triggered its own watchdog"
	case Failing:
		return "its check " + v.Check + " fails"
	case Broken:
		return "its pulse page is broken"
	case Missing:
		return "no pulse of it came up in time"
	}
	return ""
}

// candidate is the worst of what speaks against the instance; stays says that something does, but not by what is known now.
func (w *Watch) candidate(now unit.Time) (v *Verdict, stays bool) {
	switch {
	case w.triggered:
		v = &Verdict{Kind: Triggered}
	case w.ready == 0:
		return nil, false
	case w.failing != nil:
		c := *w.failing
		v = &c
	case w.page.count >= 2 && now > w.brokenAt():
		v = &Verdict{Kind: Broken, Message: w.page.text, Limit: w.rule.Pulse.Limit}
		v.Silence = now.Sub(max(w.page.since, w.ready) + w.judge.stalls.since(max(w.page.since, w.ready)))
	case w.missing(now):
		limit := w.rule.StartTimeout
		if limit <= 0 {
			limit = w.rule.Pulse.Limit
		}
		v = &Verdict{Kind: Missing, Limit: limit, Silence: now.Sub(w.born + w.judge.stalls.since(w.born))}
	default:
		if v, stays = w.worst(now); v == nil {
			return nil, stays
		}
	}
	v.Late, v.Fine = w.tally(now)
	return v, true
}

func (w *Watch) missing(now unit.Time) bool {
	at := w.missingAt()
	return at != 0 && now > at
}

// worst is the verdict on the pulse that is silent for longest, by its limit, of those that were found guilty now.
func (w *Watch) worst(now unit.Time) (v *Verdict, stays bool) {
	most := -1.0
	for i := range w.pulses {
		p := &w.pulses[i]
		if p.late == nil || p.late.phase != guilty {
			continue
		}
		stays = true
		silence, limit := w.silence(p, p.late.kind, now)
		if ratio := float64(silence) / float64(max(limit, 1)); p.late.judged == now && ratio > most {
			most = ratio
			v = &Verdict{Kind: p.late.kind, Slot: p.slot, Silence: silence, Limit: limit, Held: p.held}
			if p.late.held != 0 {
				v.Held += now.Sub(p.late.held)
			}
		}
	}
	return v, stays
}

// tally counts the pulses that are late, and the live ones that are not.
func (w *Watch) tally(now unit.Time) (late, fine int) {
	if w.page.count > 0 {
		return 0, 0
	}
	for i := range w.pulses {
		switch at, _ := w.due(&w.pulses[i]); {
		case at == 0:
		case now > at && w.ready != 0:
			late++
		case w.pulses[i].slot.State.alive():
			fine++
		}
	}
	return late, fine
}

// Confirm takes the last reading before the first signal, and says whether the verdict stands. If it does not, the Watch goes
// on as if it had never been, and the brake gets its token back.
//
// A verdict for silence, a pause or a lost thread falls if anything was stored in the slot since: a beat, its count, progress,
// state or limit, or if it was left or claimed again. Stuck falls if the number changed or the slot is not busy any more, Missing if a pulse lives, Broken if the page can be read, Failing if the check Passed. Triggered stands:
// the service said so itself. A page that has just become unreadable shows nothing, and what rests on it falls; it is judged
// as Broken in its time.
//
// A Watch that has given no verdict, because the engine that got one has died since, says whether a pulse is late now. If none
// is, everything has one full limit from now: what the last engine knew of excuses is lost.
func (w *Watch) Confirm(now unit.Time, slots []Slot, broken string) (bool, What) {
	v := w.pending
	switch {
	case w.closed || v != nil && w.stands(v, slots, broken):
		return true, What{}
	case v != nil:
		w.pending = nil
		w.judge.brake.back()
		w.absorb(now, slots, broken)
		return false, w.answer(now, true)
	}
	w.absorb(now, slots, broken)
	if late, _ := w.tally(now); late > 0 {
		return true, What{}
	}
	if w.ready != 0 {
		w.Ready(now)
	}
	return false, w.answer(now, true)
}

// stands says whether a reading does not speak against a verdict.
func (w *Watch) stands(v *Verdict, slots []Slot, broken string) bool {
	switch v.Kind {
	case Triggered:
		return true
	case Failing:
		return w.failing != nil
	case Broken:
		return broken != ""
	case Missing:
		for i := range slots {
			if s := &slots[i]; (s.Source == Page || s.Source == Watchdog) && s.State != Free && s.State != Claimed {
				return false
			}
		}
		return true
	}
	for i := range slots {
		if s := &slots[i]; s.key() == v.Slot.key() {
			return same(&v.Slot, s) && !refuted(v.Kind, &v.Slot, s)
		}
	}
	return v.Slot.Source == Watchdog && v.Slot.Count == 0 // announced, and none came
}
