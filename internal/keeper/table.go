package keeper

import (
	"encoding/json"

	"golang.org/x/sys/unix"
)

// A row is one unit in the table. There are as many as units, so it has no room for what few of them need.
type row struct {
	unit   string
	record json.RawMessage
	op     uint64 // the last order executed
	gen    uint64 // the highest generation seen
	state  State
	main   int    // pid of the main process; stays after its end
	start  uint64 // start time of main, as /proc has it
	born   int64  // CLOCK_MONOTONIC, ns
	exit   *Exit
	lost   bool // exit has no status: the parent of the main process took it
	fail   *Failure
	tree   Tree
	empty  bool // nothing is left of the generation
	seen   uint64

	stage   bool   // the exec stage is still under way
	alien   *alien // the main process is no child of the keeper
	mark    string //
	out     uint64 // inode of the log pipe
	killing bool   // KillTree was ordered for gen
	killAt  int64  // when
	named   bool   // who refuses to die was told
	files   []file
	owed    owed
	queued  bool // in Keeper.untold
	changed bool // in Keeper.mirror.changed
	entry   extent
}

// A file is a descriptor held for one unit.
type file struct {
	name string
	gen  uint64
	fd   int
	pipe uint64 // its inode; 0: it is no pipe
}

// newFile is a descriptor to be held.
func newFile(name string, gen uint64, fd int) file {
	f := file{name: name, gen: gen, fd: fd}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		f.pipe = st.Ino
	}
	return f
}

// owed is what the engine has not heard of a row.
type owed struct {
	row, spawned, failed, exited, empty, refuses bool
	moved                                        *Message
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
	k.change(r)
	if !r.queued {
		r.queued = true
		k.untold = append(k.untold, r)
	}
}

// maxLogs is how many log pipes are kept of one unit: its own, and those of generations whose output nobody has read to
// the end yet. A disk that is so slow may not keep a service from coming back.
const maxLogs = 16

// maxHeld is how many descriptors of other names are kept of one unit: together, a message can carry them.
const maxHeld = maxFiles - maxLogs - maxStored

// hold keeps fd in place of what had that name, or beside it if the service stored it. It returns false if there are too
// many.
func (r *row) hold(name string, gen uint64, fd int) bool {
	f := newFile(name, gen, fd)
	if f.stored() {
		return r.store(name, gen, fd)
	}
	r.drop(name, 0)
	if r.count(func(f file) bool { return f.name != LogPipe && !f.stored() }) >= maxHeld {
		return false
	}
	r.files = append(r.files, f)
	return true
}

// holdLog keeps a log pipe beside those of older generations. If there are too many, the oldest is closed, and holdLog
// returns its generation.
func (r *row) holdLog(gen uint64, fd int) (lost uint64) {
	n := 0
	for _, f := range r.files {
		if f.name != LogPipe {
			continue
		}
		if n++; lost == 0 || f.gen < lost {
			lost = f.gen
		}
	}
	if n < maxLogs {
		lost = 0
	} else {
		r.drop(LogPipe, lost)
	}
	r.files = append(r.files, newFile(LogPipe, gen, fd))
	return lost
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

// unreaped says whether the pid in main is still that of the main process, because nobody but the keeper can reap it.
func (r *row) unreaped() bool { return r.main != 0 && r.exit == nil && r.alien == nil && r.live() }

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

// take returns the end of the process that had this pid and ended not before since, and forgets it.
func (o *orphanLog) take(pid int, since int64) (Exit, bool) {
	for n := o.next - 1; n >= 0 && n >= o.next-len(o.ring); n-- { // the last one first: pids are used again
		w := &o.ring[n%len(o.ring)]
		if w.pid == pid && pid > 0 && w.exit.At >= since {
			x := w.exit
			*w = waited{}
			return x, true
		}
	}
	return Exit{}, false
}
