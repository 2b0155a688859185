package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/oldtable"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
	"example.com/stay/sysv"
)

// This file: old heartbeat tables. A goroutine watches each (package oldtable). Entries of services go to the judge; what
// becomes of the others is decided there.

// An oldTable is one table of the configuration.
type oldTable struct {
	spec   spec.OldTable
	number int // tells its entries from those of others, as long as the engine lives
	cancel context.CancelFunc
	shown  atomic.Pointer[oldtable.Shown] // the last look
	held   map[string]holding             // what the loop was last told, by instance
	told   bool                           // of the watching goroutine: the loop knows of somebody's entries
}

// A holding are the entries of the processes of one generation.
type holding struct {
	gen   uint64
	slots []judge.Slot
}

// readingTime is how much later than its limit an entry is late for the judge: the look at the limit has arrived by then.
const readingTime = 50 * time.Millisecond

// tableBits is how many bits of a slot's index are that of the entry; above them stands the number of the table.
const tableBits = 16

// followTables begins to watch the tables of the configuration, and leaves those that are not in it any more.
func (e *Engine) followTables() {
	wanted := e.cfg.Daemon.OldTables
	e.tables = slices.DeleteFunc(e.tables, func(t *oldTable) bool {
		if slices.Contains(wanted, t.spec) {
			return false
		}
		t.cancel()
		held := t.held
		t.held = nil
		for name := range held {
			e.noteTables(name)
		}
		return true
	})
	for _, sp := range wanted {
		if !slices.ContainsFunc(e.tables, func(t *oldTable) bool { return t.spec == sp }) {
			e.tables = append(e.tables, e.watchTable(sp))
		}
	}
}

// watchTable has a goroutine watch one table until the engine ends.
func (e *Engine) watchTable(sp spec.OldTable) *oldTable {
	ctx, cancel := context.WithCancel(context.Background())
	t := &oldTable{spec: sp, number: e.tableCount, cancel: cancel}
	e.tableCount++
	go oldtable.Watch(ctx, oldtable.Options{
		Shm:  sysv.Key(uint32(sp.Shm)),
		Sem:  sysv.Key(uint32(sp.Sem)),
		Kill: sp.Action == spec.TableKill,
		Clock: func() (time.Duration, time.Time) {
			mono, wall := e.o.Now()
			return time.Duration(mono), wall
		},
		Owner: e.treeOf,
		Show: func(s oldtable.Shown) {
			t.shown.Store(&s)
			e.tellTable(t, s.Rows)
		},
		Say: func(text string) { e.post(func() { e.event(event{kind: "pulse", text: text}) }) },
	})
	return t
}

// tellTable tells the loop of entries that are the judge's, from the goroutine that watches the table. It is told at each
// look, changed or not: it may not have known the process yet.
func (e *Engine) tellTable(t *oldTable, rows []oldtable.Row) {
	held := t.holdings(rows)
	if len(held) == 0 && !t.told {
		return
	}
	t.told = len(held) > 0
	e.post(func() { e.holdTable(t, held) })
}

// holdings are the entries that are the judge's, by instance. Those of survivors of an earlier generation are nobody's.
func (t *oldTable) holdings(rows []oldtable.Row) map[string]holding {
	held := map[string]holding{}
	for _, r := range rows {
		h := held[r.Who.Owner]
		if !t.judged(r) || r.Who.Gen < h.gen {
			continue
		}
		if r.Who.Gen > h.gen {
			h = holding{gen: r.Who.Gen}
		}
		h.slots = append(h.slots, slotOf(r))
		held[r.Who.Owner] = h
	}
	return held
}

// holdTable takes what a table has for the judge.
func (e *Engine) holdTable(t *oldTable, held map[string]holding) {
	was := t.held
	t.held = held
	for name := range was {
		if _, ok := held[name]; !ok {
			e.noteTables(name)
		}
	}
	for name := range held {
		e.noteTables(name)
	}
}

// judged says whether the judge has the word on an entry.
func (t *oldTable) judged(r oldtable.Row) bool {
	return t.spec.Action == spec.TableKill && r.Alive && r.Who.Owner != "" && r.Who.Why == "" && r.Entry.Timeout > 0
}

// entryIndex is where the entry of a slot stands in its table.
func entryIndex(s judge.Slot) int { return s.Index & (1<<tableBits - 1) }

func slotOf(r oldtable.Row) judge.Slot {
	return judge.Slot{Source: judge.Table, Index: r.Entry.Index, State: judge.Busy, Beat: unit.Time(r.Beat), Count: r.Beats,
		Limit: r.Entry.Timeout + readingTime, Name: r.Entry.Name}
}

// noteTables tells the judge what all tables together have of one instance.
func (e *Engine) noteTables(name string) {
	in := e.insts[name]
	if in == nil {
		return
	}
	var slots []judge.Slot
	for _, t := range e.tables {
		if h := t.held[name]; h.gen == in.u.Gen {
			for _, s := range h.slots {
				s.Index |= t.number << tableBits
				slots = append(slots, s)
			}
		}
	}
	if slots != nil || in.pulse.table != nil {
		e.tableNoted(in, in.u.Gen, slots)
	}
}

// tableSlots are the entries of old tables that the judge does not show: those of nobody, and of tables that are only shown.
// Of instances, those for which is says yes.
func (e *Engine) tableSlots(is func(instance string) bool) []api.PulseSlot {
	var list []api.PulseSlot
	for _, t := range e.tables {
		shown := t.shown.Load()
		if shown == nil {
			continue
		}
		for _, r := range shown.Rows {
			if !t.judged(r) && is(r.Who.Owner) {
				list = append(list, e.tableSlot(t, r))
			}
		}
	}
	return list
}

func (e *Engine) tableSlot(t *oldTable, r oldtable.Row) api.PulseSlot {
	s := api.PulseSlot{Name: r.Who.Owner, Source: "table", Slot: r.Entry.Index, Pulse: r.Entry.Name, State: "busy", Pid: r.Entry.Pid,
		AgeMS: ms(time.Duration(e.now) - r.Beat), LimitMS: ms(max(0, r.Entry.Timeout)), Count: r.Beats, Late: r.Late, Why: r.Why,
		Note: fmt.Sprintf("table %s", sysv.Key(uint32(t.spec.Shm)))}
	switch {
	case r.Entry.Pid <= 1:
		s.State = "broken"
	case !r.Alive:
		s.State = "lost"
	}
	return s
}
