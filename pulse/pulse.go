package pulse

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Err returns one of these, or an error that says what is wrong with the page.
var (
	ErrOutside = errors.New("not under stay, or no pulse is configured: STAY_PULSE is not set")
	ErrFull    = errors.New("all slots of the pulse page are taken: set pulse.slots in the service's file to more")
	ErrClosed  = errors.New("the pulse is closed")
	ErrCut     = errors.New("somebody cut the pulse page off")
)

// A Pulse is one heartbeat: a slot of the page that was claimed. It is made by Start.
type Pulse struct {
	slot atomic.Pointer[slot]   // nil: does nothing
	why  atomic.Pointer[reason] // why it does nothing
	page *page
}

// A reason is an error that can be kept in an atomic pointer.
type reason struct{ error }

// Start claims a slot for a loop, makes the first beat, and says busy.
//
// The name says which loop it is, in up to 24 bytes of UTF-8; more is cut off, at a character. Names need not differ. The
// limit is the longest time between two beats that is no hang. 0: the one that is configured for the service. stay counts
// no less than 10 ms and no more than the service's limit_max.
//
// It never returns nil. If there is nothing to claim the pulse does nothing, and Err says why.
func Start(name string, limit time.Duration) *Pulse {
	return start(name, limit, 0)
}

// StartThread is Start for a loop that has a thread of its own, which stay then names, looks at when the pulse is late, and
// misses when it ends. It locks the calling goroutine to its thread, and only that goroutine should beat; to undo it call
// runtime.UnlockOSThread after Close.
//
// A program in a pid namespace of its own uses Start: its threads have other numbers than those that stay sees.
func StartThread(name string, limit time.Duration) *Pulse {
	runtime.LockOSThread()
	return start(name, limit, threadID())
}

func start(name string, limit time.Duration, tid int) *Pulse {
	pg, err := here()
	if err != nil {
		return dead(err)
	}
	return pg.start(name, limit, tid)
}

// dead is a pulse that does nothing.
func dead(why error) *Pulse {
	p := &Pulse{}
	p.why.Store(&reason{why})
	return p
}

// Err says why the pulse does nothing: ErrOutside, ErrFull, ErrClosed, ErrCut, or what is wrong with the page. It is nil as
// long as beats reach the page. A program need not care.
func (p *Pulse) Err() error {
	if p.live() != nil {
		return nil
	}
	if p != nil {
		if why := p.why.Load(); why != nil {
			return why.error
		}
	}
	return errors.New("the pulse was not made by Start")
}

// live is the slot, nil if there is none to write to.
func (p *Pulse) live() *slot {
	if p == nil {
		return nil
	}
	return p.slot.Load()
}

// Beat says that the loop goes on.
func (p *Pulse) Beat() {
	s := p.live()
	if s == nil {
		return
	}
	whole, old := false, debug.SetPanicOnFault(true)
	defer func() { // as guard does, which asks for a panic every time: a ns
		debug.SetPanicOnFault(old)
		if !whole {
			p.fault(recover())
		}
	}()
	s.beat(now())
	whole = true
}

// write calls f with the slot, if there is one.
func (p *Pulse) write(f func(*slot)) {
	s := p.live()
	if s == nil {
		return
	}
	defer p.guard(debug.SetPanicOnFault(true))
	f(s)
}

// Progress sets the number that stands for work done; it should grow, and 0 means that it is not used. Where the service's
// file has pulse.progress, a busy loop whose beats come while its number stands still is stuck. The pulse is busy from then
// on; if it was idle or paused this is a beat, else it is not.
func (p *Pulse) Progress(n uint64) {
	p.write(func(s *slot) {
		atomic.StoreUint64(&s.progress, n)
		if atomic.LoadUint32(&s.state) != stateBusy {
			s.set(stateBusy)
		}
	})
}

// Note says what the loop does now, in up to 64 bytes of UTF-8; more is cut off, at a character. stay shows it, above all when
// the pulse is late. It is no beat.
func (p *Pulse) Note(text string) {
	p.write(func(s *slot) { storeText(s.note[:], text) })
}

// Idle says that the loop goes on and has nothing to do: beats are expected as before, progress is not.
func (p *Pulse) Idle() {
	p.write(func(s *slot) { s.set(stateIdle) })
}

// Busy says that the loop works. It ends Idle and Pause.
func (p *Pulse) Busy() {
	p.write(func(s *slot) { s.set(stateBusy) })
}

// Pause says that there will be no beats until Resume. A beat alone does not end it.
func (p *Pulse) Pause() {
	p.write(func(s *slot) { atomic.StoreUint32(&s.state, statePaused) })
}

// Resume ends Pause: beats are expected from now on. The pulse is busy, whatever it was before Pause.
func (p *Pulse) Resume() { p.Busy() }

// Extend beats d in advance: the next beat may come d later than the limit says, counted from now. stay grants no more than
// the service's extend_max, and any beat ends it. Without an end in sight use Pause.
func (p *Pulse) Extend(d time.Duration) {
	p.write(func(s *slot) {
		at := now()
		s.beat(at + min(max(int64(d), 0), math.MaxInt64-at))
	})
}

// Close gives the slot back. Nothing is expected of the loop from then on, and the pulse does nothing any more. It may be
// called twice.
func (p *Pulse) Close() {
	if p == nil {
		return
	}
	p.why.CompareAndSwap(nil, &reason{ErrClosed})
	s := p.slot.Swap(nil)
	if s == nil {
		return
	}
	defer p.guard(debug.SetPanicOnFault(true))
	atomic.StoreUint32(&s.state, stateFree)
}

// guard is what a store into the page is deferred with, and with the goroutine's old setting of debug.SetPanicOnFault.
func (p *Pulse) guard(old bool) {
	debug.SetPanicOnFault(old)
	if r := recover(); r != nil {
		p.fault(r)
	}
}

// fault ends the pulse instead of the program if the panic is a fault inside the page (SIGBUS: its file was cut off). All other
// panics go on.
func (p *Pulse) fault(r any) {
	if !p.page.holds(r) {
		panic(r)
	}
	p.why.Store(&reason{fmt.Errorf("pulse page %q: %w", p.page.place, ErrCut)})
	p.slot.Store(nil)
}
