package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// This file: the answer to a reading: who is to be looked at, who is guilty, when to read again.

// Read takes a reading. The slots are the caller's again afterwards; broken is "", or what is wrong with the page. A reading
// more than asked for does no harm.
func (w *Watch) Read(now unit.Time, slots []Slot, broken string) What {
	if w.closed || w.pending != nil {
		return What{}
	}
	w.absorb(now, slots, broken)
	return w.answer(now, true)
}

// Looked takes looks at late slots, and a reading that is newer than they are.
func (w *Watch) Looked(now unit.Time, slots []Slot, broken string, looks []Look) What {
	if w.closed || w.pending != nil {
		return What{}
	}
	w.absorb(now, slots, broken)
	if w.ready != 0 {
		for i := range looks {
			l := &looks[i]
			if p := w.pulse(l.Source, l.Index); p != nil && p.late != nil && p.late.asking {
				w.consider(p, l, now)
			}
		}
	}
	return w.answer(now, true)
}

// pulse is what is remembered of a slot, nil if nothing.
func (w *Watch) pulse(source Source, index int) *pulse {
	key := (&Slot{Source: source, Index: index}).key()
	for i := range w.pulses {
		if w.pulses[i].slot.key() == key {
			return &w.pulses[i]
		}
	}
	return nil
}

// answer says what is needed next. What was read is judged anew only if there was a reading.
func (w *Watch) answer(now unit.Time, read bool) What {
	if w.closed || w.pending != nil {
		return What{}
	}
	if v := w.sentence(now); v != nil {
		w.pending, w.at = v, 0
		return What{Verdict: v, News: w.takeNews()}
	}
	var look []Ref
	if read {
		look = w.review(now)
	}
	if w.ticket != 0 {
		w.by(w.turnAt(now))
	}
	if w.at != 0 {
		w.at = max(w.at, onGrid(now))
	}
	return What{At: w.at, Look: look, News: w.takeNews()}
}

// turnAt is when to ask the brake again.
func (w *Watch) turnAt(now unit.Time) unit.Time {
	if t := w.judge.brake.turnAt(w); t > now {
		return onGrid(t)
	}
	return now.Add(lookAgain)
}

func (w *Watch) takeNews() []News {
	news := w.news
	w.news = nil
	return news
}

// by has the next reading at t at the latest.
func (w *Watch) by(t unit.Time) {
	if t != 0 && (w.at == 0 || t < w.at) {
		w.at = t
	}
}

// review finds who is late, and when the next can be.
func (w *Watch) review(now unit.Time) (look []Ref) {
	w.at = 0
	alive := 0
	var shortest time.Duration
	for i := range w.pulses {
		p := &w.pulses[i]
		switch {
		case p.slot.State == Claimed:
			w.claims(p, now)
			continue
		case w.ready == 0 || p.slot.Source == Page && w.page.count > 0:
			continue
		case p.slot.State == Paused && p.limit > 0:
			w.by(onGrid(now.Add(p.limit))) // it may come back and hang
		}
		at, kind := w.due(p)
		if at == 0 {
			w.end(p)
			continue
		}
		limit := p.limit
		if kind == TooLong {
			limit = w.rule.Pulse.PauseMax
		} else {
			alive++
		}
		shortest = shorter(shortest, limit)
		if now <= at {
			w.end(p)
			w.by(onGrid(at))
		} else if w.overdue(p, at, kind, now) {
			look = append(look, Ref{Source: p.slot.Source, Index: p.slot.Index, Tid: p.slot.Tid})
		}
	}
	w.count(alive)
	w.judge.pace.set(w, shorter(shortest, w.others(now)))
	return look
}

// shorter is the shorter of two limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// others has the reading come for what is no slot, and returns the shortest limit of it.
func (w *Watch) others(now unit.Time) (limit time.Duration) {
	rule := w.rule.Pulse
	if rule == nil || w.ready == 0 {
		return 0
	}
	w.by(onGrid(now.Add(min(rule.Limit, farthest)))) // somebody may claim a slot
	if t := w.missingAt(); t != 0 {
		w.by(onGrid(t))
		limit = rule.Limit
	}
	if t := w.brokenAt(); t != 0 {
		w.by(onGrid(min(t, now.Add(again(rule.Limit)))))
		limit = rule.Limit
	}
	return limit
}

// claims reports a claim that never ends.
func (w *Watch) claims(p *pulse, now unit.Time) {
	if p.limit <= 0 || p.told&oddClaim != 0 {
		return
	}
	at := w.after(p.entered, p.entered, p.limit)
	if now <= at {
		w.by(onGrid(at))
		return
	}
	w.odd(p, oddClaim, now, "it is being claimed for longer than its limit")
}

// overdue handles a pulse that is late since at, and says whether it is to be looked at now.
func (w *Watch) overdue(p *pulse, at unit.Time, kind Kind, now unit.Time) bool {
	e := p.late
	if e == nil {
		e = &episode{kind: kind, found: now, due: at, crowd: kind == Silent}
		if e.crowd {
			w.judge.crowd.add(at)
		}
		p.late = e
		return w.ask(p, kind, now)
	}
	if e.phase == guilty && !e.asking {
		return w.judge.brake.turn(w, now) && w.ask(p, kind, now)
	}
	if now >= e.next {
		return w.ask(p, kind, now)
	}
	w.by(e.next)
	return false
}

// ask has a late pulse looked at, and again later if no answer comes. It returns true.
func (w *Watch) ask(p *pulse, kind Kind, now unit.Time) bool {
	p.late.asking = true
	w.later(p, kind, now)
	return true
}
