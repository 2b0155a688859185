package keeper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileName is how a descriptor of a unit is named on the wire: its generation stands after a slash, 0 for the unit's.
func fileName(f file) string { return f.name + "/" + strconv.FormatUint(f.gen, 10) }

// ParseFileName takes apart the name of a descriptor that came with a Row or Spawned.
func ParseFileName(s string) (name string, gen uint64) {
	name, g, _ := strings.Cut(s, "/")
	gen, _ = strconv.ParseUint(g, 10, 64)
	return name, gen
}

// order executes one message of the engine. The descriptors in fds are the message's.
func (k *Keeper) order(m *Message, fds []int) {
	kept := 0
	switch m.Kind {
	case Hello:
		k.hello(m)
	case Ready:
		k.engineReady()
	case Ping:
	case Acted:
		k.asked.answered = true
	case List:
		k.list()
	case Hold:
		kept = k.hold(m, fds)
	case Fetch:
		k.fetch(m)
	case Drop:
		k.drop(m)
	case Forget:
		k.forget(m.Unit)
	case Shutdown:
		k.shutdown()
	case SpawnOrder, SignalTo, KillTree, Note, Main:
		k.numbered(m)
	default:
		k.o.Log.Warn("engine said what this keeper does not know", "kind", m.Kind)
	}
	CloseAll(fds[kept:])
}

// numbered executes an order that has a number, once: first the record is stored, then it is done.
func (k *Keeper) numbered(m *Message) {
	if m.Unit == "" {
		k.daemon = m.Record
		return
	}
	r := k.row(m.Unit)
	if m.Op <= r.op {
		k.o.Log.Warn("order refused: its number was seen", "unit", m.Unit, "kind", m.Kind, "number", m.Op, "last", r.op)
		return
	}
	r.op = m.Op
	if len(m.Record) > 0 {
		r.record = m.Record
	}
	r.seen = max(r.seen, m.Seen)
	switch m.Kind {
	case SpawnOrder:
		k.spawn(r, m)
	case SignalTo:
		k.signalTree(r, m)
	case KillTree:
		k.killTree(r, m)
	case Main:
		k.moveMain(r, m)
	}
}

// list makes every row and what comes with it owed again.
func (k *Keeper) list() {
	k.untold = k.untold[:0]
	names := make([]string, 0, len(k.rows))
	for name, r := range k.rows {
		r.queued = false
		r.owed = owed{row: true, refuses: r.owed.refuses && r.tree != nil}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		k.owe(k.rows[name])
	}
	k.listing = true
	k.asked.told = false
}

func (k *Keeper) hold(m *Message, fds []int) (kept int) {
	if len(fds) == 0 {
		return 0
	}
	if m.Unit != "" {
		k.row(m.Unit).hold(m.Name, m.Gen, fds[0])
		return 1
	}
	if old, ok := k.held[m.Name]; ok {
		unix.Close(old)
	}
	k.held[m.Name] = fds[0]
	return 1
}

func (k *Keeper) fetch(m *Message) {
	fd, ok := k.held[m.Name]
	answer := &Message{Kind: Held, Name: m.Name, Missing: !ok}
	var err error
	if ok {
		err = k.engine.conn.TrySend(answer, fd)
	} else {
		err = k.engine.conn.TrySend(answer)
	}
	if err != nil {
		k.o.Log.Warn("answer to fetch", "name", m.Name, "error", err)
	}
}

func (k *Keeper) drop(m *Message) {
	if m.Unit != "" {
		if r := k.rows[m.Unit]; r != nil {
			r.drop(m.Name, m.Gen)
		}
		return
	}
	if fd, ok := k.held[m.Name]; ok {
		unix.Close(fd)
		delete(k.held, m.Name)
	}
}

func (k *Keeper) forget(unit string) {
	r := k.rows[unit]
	if r == nil || r.live() {
		return
	}
	for _, f := range r.files {
		unix.Close(f.fd)
	}
	delete(k.rows, unit)
	if i := slices.Index(k.untold, r); i >= 0 {
		k.untold = slices.Delete(k.untold, i, i+1)
	}
}

func (k *Keeper) signalTree(r *row, m *Message) {
	if m.Gen != r.gen || !r.live() {
		return
	}
	sig := unix.Signal(m.Signal)
	var err error
	switch {
	case r.tree == nil:
		return
	case m.To == "tree" || r.state != Alive:
		r.tree.Remember()
		err = r.tree.Signal(sig, false)
	case m.To == "group":
		r.tree.Remember()
		err = r.tree.Signal(sig, true)
	default:
		r.tree.Remember()
		err = unix.Kill(r.main, sig) // its own child or an adopted one, not reaped: the pid is still its
	}
	if err != nil && err != unix.ESRCH {
		k.o.Log.Warn("signal", "unit", r.unit, "signal", m.Signal, "error", err)
	}
	if m.Cont && r.state == Alive {
		_ = unix.Kill(r.main, unix.SIGCONT)
	}
}

func (k *Keeper) killTree(r *row, m *Message) {
	switch {
	case m.Gen > r.gen: // its Spawn never came, and shall not be executed any more
		r.gen, r.state, r.empty = m.Gen, NoProcess, true
		r.exit, r.fail = nil, nil
		r.owed.empty = true
		k.owe(r)
		return
	case m.Gen < r.gen:
		return
	}
	if !r.live() { // it ended before: say so again, the engine may have missed it
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
		return // the forker has it: forkDone comes back here
	}
	if r.state == Alive || r.state == InSpawn {
		_ = unix.Kill(r.main, unix.SIGKILL)
	}
	if err := r.tree.Kill(); err != nil {
		k.o.Log.Warn("kill tree", "unit", r.unit, "error", err)
	}
	k.pending[r] = true
}

// moveMain makes another process of the tree the main one.
func (k *Keeper) moveMain(r *row, m *Message) {
	answer := &Message{Kind: MainMoved, Unit: r.unit, Gen: m.Gen, Pid: m.Pid}
	defer func() {
		r.owed.moved = answer
		k.owe(r)
	}()
	if m.Gen != r.gen || !r.live() || r.tree == nil {
		answer.Missing = true
		return
	}
	if m.Pid == r.main && r.state == Alive {
		return
	}
	if r.tree.Contains(m.Pid) {
		delete(k.byPid, r.main)
		r.main, r.state, r.exit = m.Pid, Alive, nil
		r.owed.exited = false
		k.byPid[m.Pid] = r
		r.tree.Rooted(m.Pid, r.mark, r.out)
		delete(k.pending, r)
		return
	}
	if x, ok := k.orphans.take(m.Pid); ok {
		delete(k.byPid, r.main)
		r.main = m.Pid
		k.mainEnded(r, x)
		return
	}
	answer.Missing = true
}

// shutdown ends the keeper, if nothing lives that it would leave behind.
func (k *Keeper) shutdown() {
	for _, r := range k.rows {
		if r.live() {
			k.o.Log.Error(fmt.Sprintf("shutdown refused: %q is still alive", r.unit))
			return
		}
	}
	k.done = true
}
