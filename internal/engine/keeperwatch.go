package engine

import (
	"time"

	"example.com/stay/internal/unit"
)

// A keeperWatch decides about a keeper that says nothing. It says something once a second (a Ping, if nothing else), so nobody
// looks before it has been quiet for longer. Only silence that the engine was there for counts: a look that comes late proves
// that the engine, or the machine, did not run, and then nobody knows whether the keeper could. It is plain data; time comes in.
type keeperWatch struct {
	heard  unit.Time     // when the keeper last said anything; 0: it is not watched
	looked unit.Time     // the last look since then; 0: none
	quiet  time.Duration // silence that counts
	roused bool
}

const (
	keeperCalm    = 1500 * time.Millisecond // silence that is none
	keeperLook    = 500 * time.Millisecond  // between two looks after that
	keeperLate    = 250 * time.Millisecond  // a look that comes so much later does not count
	keeperSilence = 5 * time.Second         // that counts, until SIGCONT; the same again until SIGKILL
)

// A keeperAct is what to do about a keeper.
type keeperAct int

// What can be done about a keeper.
const (
	leaveKeeper keeperAct = iota
	rouseKeeper           // SIGCONT: somebody may have stopped it
	killKeeper            // SIGKILL: another one takes over
)

// said notes that the keeper said something. It begins the watch.
func (w *keeperWatch) said(now unit.Time) { *w = keeperWatch{heard: max(now, 1)} }

// next is when to look, 0 for never.
func (w *keeperWatch) next() unit.Time {
	switch {
	case w.heard == 0:
		return 0
	case w.looked == 0:
		return w.heard.Add(keeperCalm)
	}
	return w.looked.Add(keeperLook)
}

// look is called when next has come, and all that the keeper has said was heard.
func (w *keeperWatch) look(now unit.Time) keeperAct {
	due := w.next()
	if due == 0 || now < due {
		return leaveKeeper
	}
	since := w.looked
	if since == 0 {
		since = w.heard
	}
	w.looked = now
	if now.Sub(due) < keeperLate {
		w.quiet += now.Sub(since)
	}
	switch {
	case w.quiet >= 2*keeperSilence:
		w.quiet = 0 // should it not die of it: once more
		return killKeeper
	case w.quiet >= keeperSilence && !w.roused:
		w.roused = true
		return rouseKeeper
	}
	return leaveKeeper
}
