package keeper

import "errors"

// tell sends what the engine has not heard, as far as it reads.
func (k *Keeper) tell() {
	e := &k.engine
	if e.conn == nil || !e.hello || e.full {
		return
	}
	for len(k.untold) > 0 {
		r := k.untold[0]
		if !k.tellRow(r) {
			return
		}
		r.queued = false
		k.untold = k.untold[1:]
	}
	k.untold = nil
	if k.listing && k.send(&Message{Kind: Listed, Record: k.daemon}) {
		k.listing = false
	}
	if k.asked.signal != 0 && !k.asked.told && !k.listing {
		k.asked.told = k.send(&Message{Kind: Asked, Signal: k.asked.signal})
	}
}

// tellRow sends all that is owed of one row, in the order in which it happened.
func (k *Keeper) tellRow(r *row) bool {
	o := &r.owed
	if o.row {
		if !k.send(r.message()) {
			return false
		}
		if len(r.files) > maxFiles { // more than a message carries: never for a sane engine
			k.o.Log.Error("too many descriptors of one unit", "unit", r.unit, "count", len(r.files))
		}
		*o = owed{refuses: o.refuses, moved: o.moved}
	}
	steps := []struct {
		due  *bool
		make func() *Message
	}{
		{&o.spawned, r.spawnedMessage},
		{&o.failed, func() *Message { return &Message{Kind: SpawnFailed, Unit: r.unit, Gen: r.gen, Failure: r.fail} }},
		{&o.exited, func() *Message {
			return &Message{Kind: Exited, Unit: r.unit, Gen: r.gen, Pid: r.main, Exit: r.exit, Empty: r.empty}
		}},
		{&o.empty, func() *Message { return &Message{Kind: TreeEmpty, Unit: r.unit, Gen: r.gen} }},
		{&o.refuses, func() *Message {
			return &Message{Kind: Refusing, Unit: r.unit, Gen: r.gen, Members: r.tree.Members()}
		}},
	}
	for _, s := range steps {
		if !*s.due {
			continue
		}
		if !k.send(s.make()) {
			return false
		}
		*s.due = false
	}
	if o.moved != nil {
		if !k.send(o.moved) {
			return false
		}
		o.moved = nil
	}
	return true
}

// message is everything known of a row.
func (r *row) message() *Message {
	return &Message{Kind: Row, Unit: r.unit, Record: r.record, Op: r.op, Gen: r.gen, State: r.state, Pid: r.main, At: r.born,
		Exit: r.exit, Empty: r.empty, Failure: r.fail, Seen: r.seen}
}

func (r *row) spawnedMessage() *Message {
	return &Message{Kind: Spawned, Unit: r.unit, Gen: r.gen, Pid: r.main, At: r.born}
}

// send sends m with the descriptors that belong to it. It returns false when the engine does not read or has gone.
func (k *Keeper) send(m *Message) bool {
	e := &k.engine
	var fds []int
	if r := k.rows[m.Unit]; r != nil && (m.Kind == Row || m.Kind == Spawned) {
		for _, f := range r.files {
			if len(fds) < maxFiles && (m.Kind == Row || f.gen == r.gen) {
				fds = append(fds, f.fd)
				m.Names = append(m.Names, fileName(f))
			}
		}
	}
	err := e.conn.TrySend(m, fds...)
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrFull):
		e.full = true
		k.waitWritable()
	default: // its end will be seen by the reader
		e.full = true
	}
	return false
}
