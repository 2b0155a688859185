package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// A Watch is what is remembered of the pulses of one generation.
type Watch struct {
	judge    *Judge
	rule     Rule
	born     unit.Time
	from     unit.Time // nothing before it counts as silence
	ready    unit.Time // everything has one full limit from then; 0: not ready
	readAt   unit.Time // the last reading; 0: none
	round    uint32    // of readings
	pulses   []pulse   // in the order of their slots' keys
	alive    int       // of them are counted in the crowd's live ones
	seen     bool      // a page slot or watchdog has lived
	page     trouble   // what is wrong with the page
	watchdog watchdog  // what the service asked for itself

	triggered bool
	failing   *Verdict // a check that has failed too often
	pending   *Verdict // waits for Confirm
	ticket    uint64   // of the brake's queue; 0: not in it
	at        unit.Time

	index    int           // in the pace
	shortest time.Duration // in the pace
	closed   bool

	news   []News // of the call that is being answered
	minute unit.Time
	told   int // news since minute
}

// A watchdog is what WATCHDOG_USEC asked for.
type watchdog struct {
	limit time.Duration // 0: as configured
	since unit.Time
}

// A trouble is a page that cannot be read.
type trouble struct {
	text  string    // "" there is none
	since unit.Time // the first reading that had it
	count int       // of readings
}

// maxPulses bounds what is remembered: page slots and entries of tables beyond are not judged.
const maxPulses = 8192

// maxNews is how much a watch tells in a minute. A service can store nonsense faster than anybody can read.
const maxNews = 32

// SetRule goes on with another configuration, with one full limit for everything.
func (w *Watch) SetRule(r Rule) {
	w.rule = r
	if w.ready != 0 {
		w.ready = max(w.ready, w.judge.last)
	}
	for i := range w.pulses {
		p := &w.pulses[i]
		w.end(p)
		p.told &^= oddLimit
		p.limit, _ = w.limit(&p.slot)
	}
	w.page = trouble{}
}

// Ready says that the instance became ready at now; what was late before starts anew.
func (w *Watch) Ready(now unit.Time) {
	w.ready = max(1, now)
	for i := range w.pulses {
		w.end(&w.pulses[i])
	}
}

// IsReady says whether it was told that the instance is ready.
func (w *Watch) IsReady() bool { return w.ready != 0 }

// SetWatchdog takes WATCHDOG_USEC: the limit of datagrams from now on, 10 ms at least; the first has to come within it. With 0
// or less the configured limit is back.
func (w *Watch) SetWatchdog(now unit.Time, limit time.Duration) {
	w.watchdog = watchdog{since: now}
	if limit > 0 {
		w.watchdog.limit = min(max(limit, minLimit), farthest)
	}
}

// Trigger takes WATCHDOG=trigger: a verdict that passes the brake like others, in each phase of the instance.
func (w *Watch) Trigger(now unit.Time) What {
	w.triggered = true
	return w.answer(now, false)
}

// Failed takes the bad answer of a check that has failed too often; it passes the brake like others. Nothing counts before the
// instance is ready.
func (w *Watch) Failed(now unit.Time, check string, failures int, message string) What {
	if w.ready != 0 {
		w.failing = &Verdict{Kind: Failing, Check: check, Failures: failures, Message: message}
	}
	return w.answer(now, false)
}

// Passed takes a good answer of a check: what Failed said of it does not stand any more.
func (w *Watch) Passed(check string) {
	if w.failing != nil && w.failing.Check == check {
		w.failing = nil
	}
}

// Close forgets the watch: its generation has ended. Nothing of it may be called afterwards but Close.
func (w *Watch) Close() {
	if w.closed {
		return
	}
	w.closed = true
	for i := range w.pulses {
		w.end(&w.pulses[i])
	}
	w.count(0)
	w.judge.brake.leave(w)
	w.judge.pace.leave(w)
	w.pulses, w.news = nil, nil
}

// count notes how many pulses of w are alive.
func (w *Watch) count(alive int) {
	w.judge.crowd.live += alive - w.alive
	w.alive = alive
}

// tell keeps something for the events of the answer.
func (w *Watch) tell(now unit.Time, kind NewsKind, s *Slot, text string) {
	if now-w.minute >= unit.Time(time.Minute) || w.minute == 0 {
		w.minute, w.told = now, 0
	}
	if w.told++; w.told > maxNews {
		return
	}
	n := News{Kind: kind, Text: text}
	if s != nil {
		n.Slot = *s
	}
	w.news = append(w.news, n)
}

// limit is the limit that counts for a slot, 0 if there is none; and whether its own is out of bounds.
func (w *Watch) limit(s *Slot) (limit time.Duration, odd bool) {
	var configured time.Duration
	if w.rule.Pulse != nil {
		configured = min(w.rule.Pulse.Limit, farthest)
	}
	switch s.Source {
	case Page:
		if s.Limit == 0 || configured <= 0 {
			return configured, false
		}
		most := min(max(w.rule.Pulse.LimitMax, configured, minLimit), farthest)
		if s.Limit < 0 || s.Limit > most { // below 0: more than an int64 can say
			return most, true
		}
		return max(s.Limit, minLimit), s.Limit < minLimit
	case Watchdog:
		if w.watchdog.limit != 0 {
			return w.watchdog.limit, false
		}
		return configured, false
	case Output:
		return min(w.rule.Silence, farthest), false
	}
	if s.Limit == 0 {
		return configured, false
	}
	if s.Limit < 0 {
		return farthest, false
	}
	return min(max(s.Limit, minLimit), farthest), false
}
