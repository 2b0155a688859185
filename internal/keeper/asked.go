package keeper

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// asked is a signal that was sent to the keeper and is the engine's to act on: HUP until an engine has, TERM and INT
// until all is down.
type asked struct {
	signal   int  // 0: none
	told     bool // to this engine
	open     int  // tellings that this engine has not answered
	answered bool
	at       int64 // since when it waits for an answer, or for what the keeper itself has sent to take effect
	stage    leaveStage
}

// leaveStage is how far the keeper has gone in ending everything without an engine.
type leaveStage int

const (
	notLeaving leaveStage = iota // killing follows when no engine answers
	terminated                   // TERM was sent to all trees
	killedAll                    // KILL was sent
)

// signal takes a signal that was sent to the keeper. The one to go down outweighs HUP, and is not begun again.
func (k *Keeper) signal(s os.Signal) {
	sig, ok := s.(syscall.Signal)
	if !ok || k.asked.goingDown() {
		return
	}
	k.asked = asked{signal: int(sig), at: now(), open: k.asked.open}
	k.o.Log.Info("signal", "signal", sig.String())
}

func (a *asked) goingDown() bool { return a.signal != 0 && a.signal != int(unix.SIGHUP) }

// tellAgain is for an engine that may not have heard it.
func (a *asked) tellAgain() {
	a.told, a.open = false, 0
	if a.answered {
		a.answered, a.at = false, now()
	}
}

// acted takes the engine's answer. It names no signal, so it counts when none is under way for another.
func (k *Keeper) acted() {
	a := &k.asked
	a.open = max(0, a.open-1)
	if !a.told || a.open > 0 {
		return
	}
	if a.goingDown() {
		a.answered = true
	} else {
		*a = asked{}
	}
}

// tellAsked tells the engine of a signal. It returns false when the engine does not read.
func (k *Keeper) tellAsked() bool {
	a := &k.asked
	if a.signal == 0 || a.told || a.stage != notLeaving {
		return true
	}
	if !k.send(&Message{Kind: Asked, Signal: a.signal}) {
		return false
	}
	a.told = true
	a.open++
	return true
}

// watchAsked ends everything by itself when no engine does: TERM to all trees, KILL, and out.
func (k *Keeper) watchAsked(at int64) {
	a := &k.asked
	if !a.goingDown() || a.answered {
		return
	}
	late := at-a.at >= int64(k.limits.Ask)
	switch {
	case a.stage == notLeaving && late:
		k.o.Log.Error("no engine answered: the keeper ends the services itself", "signal", a.signal)
		k.leaving = true
		k.killEngine()
		k.each(func(r *row) { k.endRow(r, false) })
	case a.stage == notLeaving:
		return
	case k.each(nil) == 0:
		k.done = true
		return
	case a.stage == terminated && late:
		k.each(func(r *row) { k.endRow(r, true) })
	case late:
		k.each(func(r *row) { k.o.Log.Error("left behind: it does not die of SIGKILL", "unit", r.unit, "pid", r.main) })
		k.done = true
		return
	default:
		return
	}
	a.stage++
	a.at = at
}

// each calls f for every row that lives, and returns how many.
func (k *Keeper) each(f func(*row)) int {
	n := 0
	for _, r := range k.rows {
		if !r.live() {
			continue
		}
		n++
		if f != nil {
			f(r)
		}
	}
	return n
}

// endRow sends TERM or KILL to all of a tree.
func (k *Keeper) endRow(r *row, kill bool) {
	if kill {
		r.killing, r.killAt = true, now()
		k.killNow(r)
		return
	}
	if r.tree == nil {
		return
	}
	r.tree.Remember()
	if err := r.tree.Signal(unix.SIGTERM, false); err != nil {
		k.o.Log.Warn("signal", "unit", r.unit, "error", err)
	}
	_ = r.tree.Signal(unix.SIGCONT, false)
}
