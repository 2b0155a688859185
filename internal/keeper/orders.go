package keeper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of names, in bytes. That of a unit becomes part of a file name; that of a descriptor has what a service calls it.
const (
	maxName     = 200
	maxFileName = 300
)

// maxFetches bounds the answers that wait for an engine that asks and does not read.
const maxFetches = 64

// fileName is how a descriptor of a unit is named on the wire: its generation stands after the last slash, 0 for the unit's.
func fileName(f file) string { return FileName(f.name, f.gen) }

// FileName names a descriptor of a unit on the wire.
func FileName(name string, gen uint64) string { return name + "/" + strconv.FormatUint(gen, 10) }

// ParseFileName takes apart the name of a descriptor that came with a Row or Spawned.
func ParseFileName(s string) (name string, gen uint64) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, 0
	}
	gen, _ = strconv.ParseUint(s[i+1:], 10, 64)
	return s[:i], gen
}

// order executes one message of the engine. The descriptors in fds are the message's.
func (k *Keeper) order(m *Message, fds []int) {
	kept := 0
	defer func() { CloseAll(fds[kept:]) }()
	switch {
	case len(m.Unit) > maxName || len(m.Name) > maxFileName:
		k.o.Log.Error("internal error: order refused: its name is too long", "kind", m.Kind, "unit", short(m.Unit), "name", short(m.Name))
		return
	case !k.engine.hello && m.Kind != Hello:
		k.o.Log.Error("internal error: order refused: the engine has not said hello", "kind", short(string(m.Kind)))
		return
	}
	switch m.Kind {
	case Hello:
		k.hello(m)
	case Ready:
		k.engineReady()
	case Ping: // it was heard
	case Acted:
		k.acted()
	case List:
		k.list()
	case Hold:
		kept = k.hold(m, fds)
	case Fetch:
		k.fetch(m)
	case Adopt:
		kept = k.adopt(m, fds)
	case Drop:
		k.drop(m)
	case Forget:
		k.forget(m.Unit)
	case Shutdown:
		k.shutdown()
	case Upgrade:
		kept = k.takeUpgrade(m, fds)
	case SpawnOrder:
		kept = k.numbered(m, fds)
	case SignalTo, KillTree, Note, Main:
		k.numbered(m, nil)
	default:
		k.o.Log.Warn("engine said what this keeper does not know", "kind", short(string(m.Kind)))
	}
}

// short keeps what a confused engine says from filling the log.
func short(s string) string { return s[:min(len(s), 60)] }

// numbered executes an order that has a number, once: first the record is stored, then it is done. It says how many of
// the descriptors are taken.
func (k *Keeper) numbered(m *Message, fds []int) (kept int) {
	if m.Unit == "" {
		if m.Kind == Note && len(m.Record) > 0 {
			k.daemon, k.mirror.daemon = m.Record, true
		}
		return 0
	}
	r := k.row(m.Unit)
	if m.Op <= r.op {
		k.o.Log.Warn("order refused: its number was seen", "unit", m.Unit, "kind", m.Kind, "number", m.Op, "last", r.op)
		return 0
	}
	r.op = m.Op
	if len(m.Record) > 0 {
		r.record = m.Record
	}
	r.seen = max(r.seen, m.Seen)
	k.change(r)
	switch m.Kind {
	case SpawnOrder:
		return k.spawn(r, m, fds)
	case SignalTo:
		k.signalTree(r, m)
	case KillTree:
		k.killTree(r, m)
	case Main:
		k.moveMain(r, m)
	}
	return 0
}

// list makes every row and what comes with it owed again.
func (k *Keeper) list() {
	k.untold = k.untold[:0]
	names := make([]string, 0, len(k.rows))
	for name, r := range k.rows {
		r.queued = false
		r.owed = owed{row: true, refuses: r.named && r.tree != nil}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		k.owe(k.rows[name])
	}
	k.listing = true
	k.asked.tellAgain()
}

func (k *Keeper) hold(m *Message, fds []int) (kept int) {
	if len(fds) == 0 {
		k.o.Log.Error("hold refused: its descriptor is missing", "unit", m.Unit, "name", m.Name)
		return 0
	}
	if m.Unit != "" {
		if !k.row(m.Unit).hold(m.Name, m.Gen, fds[0]) {
			k.o.Log.Error("hold refused: too many descriptors", "unit", m.Unit, "name", m.Name)
			return 0
		}
		k.change(k.row(m.Unit))
		return 1
	}
	if old, ok := k.held[m.Name]; ok {
		unix.Close(old)
	}
	k.held[m.Name] = fds[0]
	k.keep(m.Name, fds[0])
	return 1
}

func (k *Keeper) fetch(m *Message) {
	if len(k.fetches) >= maxFetches {
		k.o.Log.Error("internal error: fetch refused: the engine does not read the answers", "name", m.Name)
		return
	}
	k.fetches = append(k.fetches, m.Name)
}

func (k *Keeper) drop(m *Message) {
	if m.Unit != "" {
		if r := k.rows[m.Unit]; r != nil {
			r.drop(m.Name, m.Gen)
			k.change(r)
		}
		return
	}
	if fd, ok := k.held[m.Name]; ok {
		unix.Close(fd)
		delete(k.held, m.Name)
		k.unkeep(m.Name)
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
	k.unreflect(r)
	if i := slices.Index(k.untold, r); i >= 0 {
		k.untold = slices.Delete(k.untold, i, i+1)
	}
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
