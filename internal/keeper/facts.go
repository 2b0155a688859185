package keeper

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// maxTell is how many rows are told at one turn of the loop: ten thousand of them may not keep it from its children.
const maxTell = 64

// tell sends what the engine has not heard, as far as it reads. It returns true if there is more that could be sent.
func (k *Keeper) tell() (more bool) {
	e := &k.engine
	if e.conn == nil || !e.hello || e.full {
		return false
	}
	for len(k.fetches) > 0 {
		if !k.tellHeld(k.fetches[0]) {
			return false
		}
		k.fetches = k.fetches[1:]
	}
	for n := 0; len(k.untold) > 0; n++ {
		if n == maxTell {
			return true
		}
		r := k.untold[0]
		if !k.tellRow(r) {
			return false
		}
		r.queued = false
		k.untold[0] = nil
		k.untold = k.untold[1:]
	}
	k.untold = nil
	if k.listing {
		if !k.send(&Message{Kind: Listed, Record: k.daemon}) {
			return false
		}
		k.listing = false
	}
	_ = k.tellAsked() && k.tellResume()
	return false
}

// tellHeld answers a Fetch.
func (k *Keeper) tellHeld(name string) bool {
	fd, ok := k.held[name]
	if !ok {
		return k.send(&Message{Kind: Held, Name: name, Missing: true})
	}
	return k.send(&Message{Kind: Held, Name: name}, fd)
}

// tellRow sends all that is owed of one row, in the order in which it happened: a main process that moved before the end
// of the one it moved to.
func (k *Keeper) tellRow(r *row) bool {
	o := &r.owed
	if o.row {
		m := r.message()
		if !k.send(m, r.descriptors(m, 0)...) {
			return false
		}
		*o = owed{refuses: o.refuses, moved: o.moved}
	}
	if o.spawned {
		m := &Message{Kind: Spawned, Unit: r.unit, Gen: r.gen, Pid: r.main, Start: r.start, At: r.born}
		if !k.send(m, r.descriptors(m, r.gen)...) {
			return false
		}
		o.spawned = false
	}
	if o.moved != nil {
		if !k.send(o.moved) {
			return false
		}
		o.moved = nil
	}
	return k.tellFlag(r, &o.failed, SpawnFailed) && k.tellFlag(r, &o.exited, Exited) && k.tellFlag(r, &o.empty, TreeEmpty) &&
		k.tellFlag(r, &o.refuses, Refusing)
}

// tellFlag sends the fact that a flag stands for, if it is set.
func (k *Keeper) tellFlag(r *row, due *bool, kind Kind) bool {
	if !*due {
		return true
	}
	m := &Message{Kind: kind, Unit: r.unit, Gen: r.gen}
	switch kind {
	case SpawnFailed:
		m.Failure = r.fail
	case Exited:
		m.Pid, m.Exit, m.Empty = r.main, r.knownExit(), r.empty
	case Refusing:
		m.Members = r.tree.Members()
	}
	if !k.send(m) {
		return false
	}
	*due = false
	return true
}

// message is everything known of a row.
func (r *row) message() *Message {
	return &Message{Kind: Row, Unit: r.unit, Record: r.record, Op: r.op, Gen: r.gen, State: r.state, Pid: r.main, Start: r.start, At: r.born,
		Exit: r.knownExit(), Empty: r.empty, Failure: r.fail, Seen: r.seen}
}

// knownExit is how the main process ended; nil also when nobody could tell.
func (r *row) knownExit() *Exit {
	if r.lost {
		return nil
	}
	return r.exit
}

// descriptors are those of one generation, 0 for all, with what the service has stored. Their names go into m.
func (r *row) descriptors(m *Message, gen uint64) []int {
	var fds []int
	for _, f := range r.files {
		if gen == 0 || f.gen == gen && !f.stored() {
			fds = append(fds, f.fd)
			m.Names = append(m.Names, fileName(f))
		}
	}
	return fds
}

// sendAgain is when something is tried again that could not be sent for another reason than that the engine does not
// read: no memory, no descriptor.
const sendAgain = 10 * time.Millisecond

// send sends m. It returns false when the engine does not read or has gone, or nothing can be sent for the moment: the
// loop hears when to try again.
func (k *Keeper) send(m *Message, fds ...int) bool {
	e := &k.engine
	err := e.conn.TrySend(m, fds...)
	if err == nil {
		e.deaf = 0
		return true
	}
	if errors.Is(err, errEncode) {
		k.o.Log.Error("engine", "unit", m.Unit, "error", err)
		return true // and never again: the next message may be fine
	}
	e.full = true
	epoch := e.epoch
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET): // its end will be seen by the reader
	case errors.Is(err, unix.ETOOMANYREFS), !errors.Is(err, ErrFull):
		k.o.Log.Warn("engine", "error", err)
		time.AfterFunc(sendAgain, func() { k.writable <- epoch })
	default:
		if e.deaf == 0 {
			e.deaf = now()
		}
		k.waitWritable()
	}
	return false
}

// waitWritable has the loop told when the engine reads again.
func (k *Keeper) waitWritable() {
	epoch, fd := k.engine.epoch, k.engine.conn.FD()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil { // no descriptor to wait with: look again soon
		time.AfterFunc(sendAgain, func() { k.writable <- epoch })
		return
	}
	go func() {
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(dup), Events: unix.POLLOUT}}, -1)
			if err != unix.EINTR {
				break
			}
		}
		unix.Close(dup)
		k.writable <- epoch
	}()
}
