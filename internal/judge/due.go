package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// This file: when something is late. All moments are without the stalls that are known now.

// due is when a pulse becomes late, and of what; 0: never.
func (w *Watch) due(p *pulse) (unit.Time, Kind) {
	if p.lost {
		return 0, Silent
	}
	rule := w.rule.Pulse
	switch s := &p.slot; {
	case s.State == Paused:
		if rule == nil || rule.PauseMax <= 0 {
			return 0, TooLong
		}
		return w.after(p.entered, p.entered, rule.PauseMax), TooLong
	case !s.State.alive() || p.limit <= 0:
		return 0, Silent
	default:
		at, kind := w.silentAt(p), Silent
		if rule != nil && rule.Progress > 0 && s.Progress != 0 && s.State.busy() && s.Source == Page {
			from := max(p.grew, p.grace)
			if t := w.after(from, from, rule.Progress); t < at {
				at, kind = t, Stuck
			}
		}
		return at, kind
	}
}

// silentAt is when a live pulse has been silent for its limit.
func (w *Watch) silentAt(p *pulse) unit.Time {
	from, stalled := w.silentFrom(p)
	return w.after(from, stalled, p.limit)
}

// silentFrom is when the silence of a pulse begins, and from when on stalls shorten it: an extension is shortened by those in
// it.
func (w *Watch) silentFrom(p *pulse) (from, stalled unit.Time) {
	least := max(p.grace, w.ready)
	if p.slot.Source == Watchdog {
		least = max(least, w.watchdog.since)
	}
	if p.life <= least {
		return least, least
	}
	return p.life, max(least, min(p.life, p.seen))
}

// after is the moment at which limit is over since from, and not before the instance has been ready for as long.
func (w *Watch) after(from, stalled unit.Time, limit time.Duration) unit.Time {
	if from < w.ready {
		from, stalled = w.ready, w.ready
	}
	return from.Add(min(limit, farthest)) + w.judge.stalls.since(stalled)
}

// missingAt is the end of the time in which a required pulse has to come up; 0: none has to, or one has.
func (w *Watch) missingAt() unit.Time {
	rule := w.rule.Pulse
	if rule == nil || !rule.Required || w.seen {
		return 0
	}
	at := w.born.Add(min(w.rule.StartTimeout, farthest)) + w.judge.stalls.since(w.born)
	if w.rule.StartTimeout <= 0 || at < w.ready {
		at = w.after(w.ready, w.ready, rule.Limit)
	}
	if j := w.judge; w.born < j.began { // the engine before this one may have seen one
		if at <= max(j.lived, w.from) {
			w.seen = true
			return 0
		}
		at = max(at, w.after(j.began, j.began, rule.Limit))
	}
	return at
}

// brokenAt is when a page has been unreadable for the limit; 0: it is readable.
func (w *Watch) brokenAt() unit.Time {
	if w.page.count == 0 || w.rule.Pulse == nil {
		return 0
	}
	return w.after(w.page.since, w.page.since, w.rule.Pulse.Limit)
}

// silence is how long a pulse has been late of kind, with its limit.
func (w *Watch) silence(p *pulse, kind Kind, now unit.Time) (time.Duration, time.Duration) {
	var from, stalled unit.Time
	limit := p.limit
	switch kind {
	case Stuck:
		from, limit = max(p.grew, p.grace, w.ready), w.rule.Pulse.Progress
		stalled = from
	case TooLong:
		from, limit = max(p.entered, w.ready), w.rule.Pulse.PauseMax
		stalled = from
	default:
		from, stalled = w.silentFrom(p)
	}
	return now.Sub(from + w.judge.stalls.since(stalled)), limit
}
