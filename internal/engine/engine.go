package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/backoff"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/graph"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/page"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// Options are all an engine needs.
type Options struct {
	Conn      *keeper.Conn
	Version   string
	Fresh     bool                                 // forget the records: three engines died of something in them
	Load      func() (*spec.Config, spec.Errors)   // reads the configuration files
	Only      []string                             // services to start instead of all that are enabled
	MemoryDir string                               // for notify sockets; never on a disk
	Socket    string                               // the control socket's path, for STAY_SOCKET
	ID        string                               // of this daemon, in the mark of its trees
	Log       *slog.Logger                         //
	Serve     func(net.Listener, *Engine) error    // answers clients on the listener, until the process ends
	Now       func() (mono unit.Time, w time.Time) // both clocks; nil: the machine's
	Zone      func(string) (*time.Location, error) // a time zone by its name, from memory: Load has asked for it before; "" is the machine's own
	Stdout    io.Writer                            // gets every line of output too, as in a container; nil: nobody does
	Syslog    string                               // socket of the system's log; "": /dev/log
	NewKeeper func(conn int) (func(), error)       // starts a keeper that adopts, with its end of the connection, and returns what kills it; nil: the engine leaves with its keeper
	Fault     func(at string)                      // for tests: called before and after each message is sent, and after each is received; nil: nobody
}

// An Engine is the state of the loop. Other goroutines reach it through do only.
type Engine struct {
	o    Options
	link link

	cfg        *spec.Config
	agenda     agenda // that came with cfg
	daemon     daemonRecord
	about      keeper.About
	keeperFD   int            // the keeper's pidfd, -1: none
	copies     map[string]int // of what the keeper holds for the daemon as a whole
	graph      *graph.Graph
	tracker    *graph.Tracker
	services   []*service // by graph index
	insts      map[string]*inst
	helpers    map[string]*helper // by the name of their unit
	busy       int                // instances that are not down and idle
	leavers    bool               // some instance may have to be forgotten
	touched    []*inst            // changed in this batch: orders, records and readers are owed
	dirty      []*service         // their status for the graph is to be computed again
	unready    []*service         // without a ready instance, and needed by somebody
	heap       deadlines
	readings   deadlines // when to read signs of life
	timetables deadlines // when jobs with times look at the clock
	jobTimes   *jobTimes
	judge      *judge.Judge
	alive      aliveMark
	slotList   []judge.Slot // scratch of slots
	pageBuf    page.Buffer
	clerk      *clerk
	relays     relays
	tables     []*oldTable
	tableCount int // so far
	bucket     backoff.Bucket
	queue      []*inst // due for a crash restart, waiting for the bucket; in the order of the graph
	queueAt    unit.Time
	log        *slog.Logger
	store      *capture.Store
	legacy     []*os.File // of store, for the next engine; nil: none
	events     events
	diary      diary
	version    uint64 // of the snapshot
	answering  bool   // recovered, and clients are served
	snap       *snapshot
	now        unit.Time
	wall       time.Time
	down       []func() // called when all is down
	late       []output // log pipes that nobody reads yet
	answers    []func() // to clients, due when the orders of this batch are with the keeper

	storeWatch storeWatch

	keeperWatch keeperWatch
	keeperSince unit.Time // when this keeper took over from one that had died; 0: none had

	short   bool  // descriptors were lost; see cutOff
	makeWay error // why the next engine is to go on; nil: this one does

	requests chan func()
	facts    chan fact
	loop     chan struct{} // closed when the loop has ended
}

// Run recovers or starts, and runs until the keeper is told to shut down, or has gone.
func Run(o Options) error {
	if o.Now == nil {
		o.Now = clocks
	}
	e := newEngine(o)
	defer close(e.loop)
	control, err := e.recover()
	if err != nil {
		return err
	}
	go e.link.read(e.facts)
	e.batch()
	e.checkpoint()
	e.keepBooks()
	e.link.send(&keeper.Message{Kind: keeper.Ready})
	e.answering = true
	go e.captureRest()
	go func() {
		if err := o.Serve(control, e); err != nil {
			e.log.Error("control socket", "error", err)
		}
	}()
	if err := e.run(); err != errLeft {
		return err
	}
	return nil
}

// newEngine is an engine that knows nothing yet.
func newEngine(o Options) *Engine {
	e := &Engine{
		o:          o,
		link:       link{conn: o.Conn, fault: o.Fault},
		insts:      map[string]*inst{},
		log:        o.Log,
		requests:   make(chan func(), 64),
		facts:      make(chan fact, 256),
		loop:       make(chan struct{}),
		heap:       unitDeadlines(),
		readings:   readings(),
		timetables: timetables(),
		alive:      aliveMark{fd: -1},
		clerk:      newClerk(o.Log),
		diary:      noDiary(),
	}
	now, _ := o.Now()
	e.judge = judge.New(now)
	e.tick()
	return e
}

var errKeeperGone = errors.New("the keeper has gone")

// errLeft ends the loop of a daemon that was shut down.
var errLeft = errors.New("shut down")

func (e *Engine) run() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if e.makeWay != nil {
			return e.makeWay
		}
		if e.daemon.Mode == goingDown && e.busy == 0 {
			e.leave()
		}
		e.arm(timer)
		select { // what the keeper says comes first, datagrams and clients after it
		case f := <-e.facts:
			if err := e.fact(f); err != nil {
				return err
			}
		default:
			select {
			case f := <-e.facts:
				if err := e.fact(f); err != nil {
					return err
				}
			case r := <-e.requests:
				e.tick()
				r()
			case <-timer.C:
				e.tick()
				e.lookAtKeeper()
			}
		}
		e.batch()
	}
}

// tick reads the clocks: everything in one batch happens at one moment.
func (e *Engine) tick() {
	e.now, e.wall = e.o.Now()
	e.judge.Tick(e.now)
	if e.judge.NextTick() != 0 {
		e.markAlive()
	}
}

// clocks reads the machine's clocks.
func clocks() (unit.Time, time.Time) { return unit.Time(monotonic()), time.Now() }

// do has the loop run f, and waits until it did. It fails when ctx or the loop ends.
func (e *Engine) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	return e.doUntil(ctx, done, func() { f(); close(done) })
}

// change is do for what an operator asks for: it returns when the keeper has all that follows from f, so that what was
// answered outlives this engine.
func (e *Engine) change(ctx context.Context, f func()) error {
	done := make(chan struct{})
	return e.doUntil(ctx, done, func() {
		f()
		e.answers = append(e.answers, func() { close(done) })
	})
}

func (e *Engine) doUntil(ctx context.Context, done <-chan struct{}, f func()) error {
	select {
	case e.requests <- f:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.loop:
		return errors.New("the engine is leaving")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.loop:
		return errors.New("the engine is leaving")
	}
}

// post has the loop run f some time, from a goroutine at the edge.
func (e *Engine) post(f func()) {
	select {
	case e.requests <- f:
	case <-e.loop:
	}
}

// batch makes all that follows from what was stepped: the graph first, until nothing moves any more, then due
// deadlines, then orders and records, then readers.
func (e *Engine) batch() {
	for again := true; again; again = len(e.touched) > 0 {
		e.settleGraph()
		for e.dueNow() {
			e.settleGraph()
		}
		e.flushTouched()
		for _, in := range e.touched {
			in.touched = false
			e.publish(in)
		}
		e.touched = e.touched[:0]
		if e.leavers {
			e.reapLeavers()
		}
	}
	for _, f := range e.answers {
		e.link.afterwards(f)
	}
	e.answers = e.answers[:0]
}

func (e *Engine) flushTouched() {
	for i := 0; i < len(e.touched); i++ {
		e.hearEarly(e.touched[i])
		e.tendJob(e.touched[i])
		e.tendChecks(e.touched[i]) // what a check runs is killed before the instance is touched
		e.flush(e.touched[i])
	}
}

// allDown is the last word of a daemon.
const allDown = "all is down"

// leaveWithin is how long a daemon that leaves waits for its journal to be in the files.
const leaveWithin = time.Second

// leave ends the daemon: everything is down.
func (e *Engine) leave() {
	for _, f := range e.down {
		e.link.afterwards(f)
	}
	e.down = nil
	if e.daemon.Left {
		return
	}
	e.daemon.Left = true
	e.event(event{kind: api.KindEngine, text: allDown})
	kept := e.closeJournal()
	e.after(50*time.Millisecond, func() { // the answers to clients go out first
		go func() {
			select {
			case <-kept:
			case <-time.After(leaveWithin): // its disk is full or does not answer
			}
			e.link.send(&keeper.Message{Kind: keeper.Shutdown})
		}()
	})
}

// after has the loop run f when d has passed.
func (e *Engine) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() { e.post(func() { f() }) })
}

// fail is a refusal to start at all.
func fail(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
