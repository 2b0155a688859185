package keeper

import (
	"time"

	"golang.org/x/sys/unix"
)

// treeInterval is between two looks at trees that nothing tells about, and between two SIGKILLs to one that does not
// obey.
const treeInterval = 20 * time.Millisecond

// lookShare bounds what looking at trees may cost: after a look that took a time t, the next one waits lookShare × t.
const lookShare = 4

// A treeWatch is the rows whose trees have to be looked at: the main process has gone and there are others, or all of it
// is to be killed.
type treeWatch struct {
	pending map[*row]bool
	next    time.Time // the next look
	free    time.Time // not before: looking would cost too much
	killed  time.Time // SIGKILL was last repeated
}

// watch adds a row.
func (w *treeWatch) watch(r *row) {
	if at := time.Now().Add(treeInterval); len(w.pending) == 0 || w.next.After(at) {
		w.next = at
	}
	w.pending[r] = true
}

// soon has the next look come as soon as may be.
func (w *treeWatch) soon() { w.next = w.free }

// lookAtTrees looks whether trees without a main process have become empty, and kills on where that was ordered.
func (k *Keeper) lookAtTrees() {
	w := &k.trees
	begin := time.Now()
	kill := begin.Sub(w.killed) >= treeInterval
	if kill {
		w.killed = begin
	}
	for r := range w.pending {
		k.lookAtTree(r, kill)
	}
	end := time.Now()
	w.free = end.Add(lookShare * end.Sub(begin))
	w.next = end.Add(max(treeInterval, lookShare*end.Sub(begin)))
}

func (k *Keeper) lookAtTree(r *row, kill bool) {
	if r.alien != nil && r.state == Alive && r.alien.reaped() {
		k.alienLost(r)
	}
	switch {
	case r.tree == nil:
		delete(k.trees.pending, r)
	case r.state == Ended && r.tree.Empty():
		k.treeEmpty(r)
		r.owed.empty = !r.owed.exited // an Exited that is still to be told says it too
		k.owe(r)
	case r.killing:
		if kill {
			k.killOn(r)
		}
	case r.state == Alive && (r.alien == nil || r.alien.ended == 0):
		delete(k.trees.pending, r)
	}
}

// treeEmpty notes that nothing is left.
func (k *Keeper) treeEmpty(r *row) {
	r.empty, r.killing = true, false
	k.removeTree(r)
}

func (k *Keeper) removeTree(r *row) {
	delete(k.trees.pending, r)
	r.unfollow()
	if r.tree == nil {
		return
	}
	k.empties = append(k.empties, r.tree)
	r.tree = nil
	r.owed.refuses = false
}

// removeEmpties removes up to n trees that nobody needs any more, and says whether there are more.
func (k *Keeper) removeEmpties(n int) (more bool) {
	for ; n > 0 && len(k.empties) > 0; n-- {
		if err := k.empties[0].Remove(); err != nil {
			k.o.Log.Warn("remove tree", "error", err)
		}
		k.empties[0] = nil
		k.empties = k.empties[1:]
	}
	if len(k.empties) == 0 {
		k.empties = nil
	}
	return k.empties != nil
}

// killTree takes the order.
func (k *Keeper) killTree(r *row, m *Message) {
	switch {
	case m.Gen < r.gen:
		return
	case m.Gen > r.gen && r.live():
		k.o.Log.Error("internal error: kill of a generation beside a live tree of another refused", "unit", r.unit,
			"generation", m.Gen, "alive", r.gen)
		return
	case m.Gen > r.gen: // its Spawn never came, and shall not be executed any more
		r.gen, r.state, r.main, r.born = m.Gen, NoProcess, 0, 0
		r.exit, r.fail, r.lost = nil, nil, false
		r.owed = owed{row: r.owed.row, moved: r.owed.moved, empty: true}
		k.owe(r)
		return
	case !r.live(): // it ended before: say so again, the engine may have missed it
		r.owed.failed = r.state == NotBorn
		r.owed.exited = r.state == Ended
		r.owed.empty = r.state != NotBorn
		k.owe(r)
		return
	}
	if !r.killing {
		r.killing, r.killAt = true, now()
	}
	k.killNow(r)
}

// killNow sends SIGKILL to what there is now; lookAtTrees repeats it until nothing is left.
func (k *Keeper) killNow(r *row) {
	if r.tree == nil || r.main == 0 {
		return // it is not made yet, and will not be: refused looks at killing
	}
	if r.unreaped() {
		_ = unix.Kill(r.main, unix.SIGKILL)
	}
	if err := r.tree.Kill(); err != nil {
		k.o.Log.Warn("kill tree", "unit", r.unit, "error", err)
	}
	k.trees.watch(r)
}

// killOn repeats SIGKILL, and after a while tells who does not die of it.
func (k *Keeper) killOn(r *row) {
	if err := r.tree.Kill(); err != nil {
		k.o.Log.Warn("kill tree", "unit", r.unit, "error", err)
	}
	if !r.named && now()-r.killAt > int64(k.limits.Refuse) {
		r.named = true
		r.owed.refuses = true
		k.owe(r)
	}
}

// signalTree takes the order.
func (k *Keeper) signalTree(r *row, m *Message) {
	if m.Gen != r.gen || !r.live() || r.tree == nil {
		return
	}
	r.tree.Remember()
	all, group := m.To == "tree" || r.state != Alive, m.To == "group"
	send := func(sig unix.Signal) error {
		switch {
		case all || group:
			return r.tree.Signal(sig, !all)
		case r.alien != nil:
			return r.alien.signal(sig)
		}
		return unix.Kill(r.main, sig) // its own child or an adopted one, not reaped: the pid is still its
	}
	if err := send(unix.Signal(m.Signal)); err != nil && err != unix.ESRCH {
		k.o.Log.Warn("signal", "unit", r.unit, "signal", m.Signal, "error", err)
	}
	if m.Cont {
		_ = send(unix.SIGCONT)
	}
}
