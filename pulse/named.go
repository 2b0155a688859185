package pulse

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Named is Start for a program that ends before the next beat, such as one that a script calls: it goes on with the live
// pulse of that name that no thread stands for, and claims a slot only if there is none. Two programs that come at the same
// moment get the same pulse.
//
// A pulse that it found is as it was, busy, idle or paused, and has not beaten; a limit other than 0 replaces its own. The
// program ends without Close, and the pulse lives on: from then on stay expects a beat from whoever comes next, until one
// closes or pauses it.
func Named(name string, limit time.Duration) *Pulse {
	pg, err := here()
	if err != nil {
		return dead(err)
	}
	return pg.named(name, limit)
}

func (pg *page) named(name string, limit time.Duration) (p *Pulse) {
	p = &Pulse{page: pg}
	defer p.guard(debug.SetPanicOnFault(true))
	pg.naming.Lock()
	defer pg.naming.Unlock()
	if pg.awaitNames() {
		defer pg.file.unlock(namesAt)
	}
	s := pg.find(name)
	if s == nil {
		return pg.start(name, limit, 0)
	}
	if limit > 0 {
		atomic.StoreUint64(&s.limitNS, uint64(limit))
	}
	p.slot.Store(s)
	return p
}

// find looks for a live pulse without a thread.
func (pg *page) find(name string) *slot {
	var wanted slot
	storeText(wanted.name[:], name)
	for i := range pg.slots {
		s := &pg.slots[i]
		switch atomic.LoadUint32(&s.state) {
		case stateBusy, stateIdle, statePaused:
			if atomic.LoadUint32(&s.tid) == 0 && s.hasName(&wanted.name) {
				return s
			}
		}
	}
	return nil
}

func (s *slot) hasName(name *[nameSize / 8]uint64) bool {
	for i := range name {
		if atomic.LoadUint64(&s.name[i]) != name[i] {
			return false
		}
	}
	return true
}

// Who looks for a name and may claim one holds a lock on the byte of the page at namesAt, in its magic. It is held for some
// µs; a holder that was stopped just then is not waited for.
const (
	namesAt    = 0
	namesTries = 200
	namesAgain = time.Millisecond
)

func (pg *page) awaitNames() bool {
	for range namesTries {
		if pg.file.lock(namesAt) {
			return true
		}
		time.Sleep(namesAgain)
	}
	return false
}
