package judge

import (
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: what a look at a late thread means.

// consider takes the look at a late pulse.
func (w *Watch) consider(p *pulse, l *Look, now unit.Time) {
	at, kind := w.due(p)
	if at == 0 || now <= at { // its limit has grown, or a stall was found
		w.end(p)
		return
	}
	e := p.late
	before := e.look
	e.look, e.kind, e.asking = *l, kind, false
	if e.look.At == 0 {
		e.look.At = now
	}
	_, limit := w.silence(p, kind, now)
	switch why := excuse(l); {
	case ended(l) && p.slot.Tid != 0:
		w.lose(p, now)
	case why != "":
		w.hold(p, excused, now)
		w.tellOnce(p, ExcusedNews, why, now)
	case e.phase == excused: // no more
		p.grace = now
		p.held += now.Sub(e.held)
		w.end(p)
	case now-e.found >= unit.Time(min(limit, farthest/holdLimits)*holdLimits):
		e.convict(now)
	case ended(l): // its process has; that is for others to find
		w.hold(p, doubt, now)
	default:
		w.weigh(p, before, limit, now)
	}
}

// weigh decides on a late pulse whose thread lives and is not excused.
func (w *Watch) weigh(p *pulse, before Look, limit time.Duration, now unit.Time) {
	e, j := p.late, w.judge
	switch starving(&before, &e.look, p.slot.Tid) {
	case open:
		w.hold(p, doubt, now)
		return
	case yes:
		w.hold(p, starved, now)
		w.tellOnce(p, HeldNews, e.look.lack(), now)
		return
	}
	pressed := e.look.Tight || j.stalls.end() != 0 && now-j.stalls.end() <= unit.Time(max(limit, time.Second))
	if e.crowd && pressed && j.crowd.holds(e.due, limit, w.lateAround(e.due, limit)) {
		w.hold(p, crowded, now)
		if j.crowd.tell(now, e.next) {
			w.tell(now, CrowdNews, &p.slot, "")
		}
		return
	}
	e.convict(now)
}

// convict finds a late pulse guilty.
func (e *episode) convict(now unit.Time) { e.phase, e.judged = guilty, now }

// hold does not condemn a late pulse before the next look.
func (w *Watch) hold(p *pulse, ph phase, now unit.Time) {
	e := p.late
	e.phase = ph
	if e.held == 0 && ph != doubt {
		e.held = now
	}
	w.later(p, e.kind, now)
}

// tellOnce tells in each episode once that a pulse is in this phase.
func (w *Watch) tellOnce(p *pulse, kind NewsKind, text string, now unit.Time) {
	if bit := uint8(1) << p.late.phase; p.late.told&bit == 0 {
		p.late.told |= bit
		w.tell(now, kind, &p.slot, text)
	}
}

// lose handles a late pulse whose thread has gone without leaving it.
func (w *Watch) lose(p *pulse, now unit.Time) {
	if p.told&oddLost == 0 {
		p.told |= oddLost
		w.tell(now, LostNews, &p.slot, "")
	}
	if w.rule.Pulse != nil && w.rule.Pulse.Lost == spec.LostRestart {
		p.late.kind = Lost
		p.late.convict(now)
		return
	}
	w.end(p)
	p.lost = true
}

// ended says whether the thread of a look lives no more.
func ended(l *Look) bool { return l.Gone || l.State == 'Z' || l.State == 'X' }

// excuse says who else keeps a thread from beating, "" if nobody does.
func excuse(l *Look) string {
	switch {
	case ended(l):
		return ""
	case l.Traced || l.State == 't':
		return "traced"
	case l.Frozen:
		return "frozen"
	case l.InLog:
		return "its log is not drained"
	}
	return ""
}

// lack says what a starving thread lacks.
func (l *Look) lack() string {
	if l.State == 'D' {
		return "it waits for input or output, and so do others"
	}
	return "it wants to run, and gets no processor"
}

// An opinion is what a look, or two, say of a question.
type opinion uint8

const (
	no   opinion = iota
	yes          //
	open         // it takes another look
)

// starving says whether a thread wants to run and cannot, from the last two looks at it. What is not told by
// /proc/PID/schedstat is the wait that goes on: it is added when it ends. So a thread that was runnable at both looks and has
// not run starves, whatever its counters say; and who stands alone for a pulse has to have run half of the time to be called
// running.
func starving(before, l *Look, tid int) opinion {
	second := before.At != 0 && before.State == l.State
	switch l.State {
	case 'R':
		ran, waited := l.Ran-before.Ran, l.Waited-before.Waited
		switch {
		case !second:
			return open
		case waited > ran, ran <= 0, tid != 0 && 2*ran < l.At.Sub(before.At):
			return yes
		}
	case 'D':
		switch {
		case !second:
			return open
		case l.IO > before.IO, l.IO == 0: // 0: this kernel does not tell
			return yes
		}
	case 0: // it could not be read
		if !second {
			return open
		}
	}
	return no
}

// later has a late pulse looked at again.
func (w *Watch) later(p *pulse, kind Kind, now unit.Time) {
	_, limit := w.silence(p, kind, now)
	p.late.next = onGrid(now.Add(again(limit)) - 1)
	w.by(p.late.next)
}
