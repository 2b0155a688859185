package keeper

import (
	"encoding/json"

	"golang.org/x/sys/unix"
)

// A row is one unit in the table.
type row struct {
	unit   string
	record json.RawMessage
	op     uint64 // the last order executed
	gen    uint64 // the highest generation seen
	state  State
	main   int   // pid of the main process; stays after its end
	born   int64 // CLOCK_MONOTONIC
	exit   *Exit
	fail   *Failure
	tree   Tree
	empty  bool // nothing is left of the generation
	seen   uint64

	stage   bool   // the exec stage is still under way
	mark    string //
	out     uint64 // inode of the log pipe
	killing bool   // KillTree was ordered for gen
	killAt  int64  // when
	named   bool   // who refuses to die was told
	files   []file
	owed    owed
	queued  bool // in Keeper.untold
}

// A file is a descriptor held for one unit.
type file struct {
	name string
	gen  uint64
	fd   int
}

// owed is what the engine has not heard of a row.
type owed struct {
	row, spawned, failed, exited, empty, refuses bool
	moved                                        *Message
}

func (o owed) any() bool {
	return o.row || o.spawned || o.failed || o.exited || o.empty || o.refuses || o.moved != nil
}

// row returns the row of a unit, made if it is new.
func (k *Keeper) row(unit string) *row {
	r := k.rows[unit]
	if r == nil {
		r = &row{unit: unit, empty: true}
		k.rows[unit] = r
	}
	return r
}

// owe marks what to tell the engine; tell sends it when it can.
func (k *Keeper) owe(r *row) {
	if !r.queued {
		r.queued = true
		k.untold = append(k.untold, r)
	}
}

func (r *row) hold(name string, gen uint64, fd int) {
	r.drop(name, 0)
	r.files = append(r.files, file{name: name, gen: gen, fd: fd})
}

// holdAlso keeps fd beside those of the same name of older generations: their output may not be read to the end.
func (r *row) holdAlso(name string, gen uint64, fd int) {
	r.files = append(r.files, file{name: name, gen: gen, fd: fd})
}

// drop closes the descriptors of that name and generation (0 = any).
func (r *row) drop(name string, gen uint64) {
	kept := r.files[:0]
	for _, f := range r.files {
		if f.name == name && (gen == 0 || f.gen == gen) {
			unix.Close(f.fd)
			continue
		}
		kept = append(kept, f)
	}
	r.files = kept
}

// live says whether a process of the unit exists or is being made.
func (r *row) live() bool { return !r.empty || r.state == InSpawn || r.state == Alive }

// orphanLog remembers how the last adopted processes ended, for a Main that comes too late.
type orphanLog struct {
	ring [64]waited
	next int
}

// waited is what wait4 said of a child.
type waited struct {
	pid  int
	exit Exit
}

func (o *orphanLog) add(w waited) {
	o.ring[o.next%len(o.ring)] = w
	o.next++
}

// take returns the end of pid and forgets it.
func (o *orphanLog) take(pid int) (Exit, bool) {
	for i := range o.ring {
		if o.ring[i].pid == pid && pid != 0 {
			x := o.ring[i].exit
			o.ring[i] = waited{}
			return x, true
		}
	}
	return Exit{}, false
}
