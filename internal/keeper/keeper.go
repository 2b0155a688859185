package keeper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Keeper is the state of the loop. Nothing in it is touched by another goroutine.
type Keeper struct {
	o      Options
	limits Limits
	about  About

	rows   map[string]*row
	byPid  map[int]*row // main processes not yet reaped, stages included
	daemon []byte       // the daemon's own record
	held   map[string]int

	engine  engineState
	untold  []*row   // rows with something the engine has not heard, in order
	listing bool     // Listed is owed
	fetches []string // names whose Held is owed
	asked   asked
	trees   treeWatch
	mirror  mirroring
	orphans orphanLog
	waiting []forkJob // processes to be made
	fork    func(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error)
	empties []Tree // to be removed, when there is nothing more urgent

	children chan chan struct{}
	kick     chan struct{} // for the waiter: there is a child
	staged   chan stageResult
	messages chan incoming
	writable chan int // epoch of the connection
	gone     chan alienEnd
	signals  chan os.Signal
	null     *os.File
	leaving  bool // the keeper ends the services by itself: nothing is started any more

	upgrading *upgrading // the program is about to be changed
	back      *os.File   // the program before, until an engine of this one is ready
	resume    bool       // Resume is owed
	leaver    int        // epoch of the engine of the program before; 0: it was none
	done      bool

	abandoned bool // what there was to adopt went with the engine
}

// ErrAbandoned is what Run returns of a keeper whose engine died before it had handed over what another keeper held. The
// services live, and the mirror of the keeper before is as that left it: who begins with it can carry on.
var ErrAbandoned = errors.New("the engine died before it had handed over the services")

// Run is the life of a keeper: it returns when the engine has ordered Shutdown, or when it had to do that itself. The
// caller has made the process a child subreaper (or it is PID 1), and must not start, wait for or signal any process.
func Run(o Options) error {
	k, err := newKeeper(o)
	if err != nil {
		return err
	}
	defer k.null.Close()
	if err := closeOnExec(); err != nil { // whoever started us may have left something open
		return err
	}
	startThreads()
	catchSignals(k.signals)
	if o.Rescued != nil {
		k.rescue(o.Rescued)
	}
	if o.Handover != nil {
		k.fork = forkClean
		k.takeOver(o.Handover)
	}
	k.startMirror()
	switch {
	case o.Orphaned != nil:
		k.takeEngine(o.Orphaned)
	case o.Handover != nil:
		k.takeEngineOver(o.Handover)
	default:
		k.startEngine()
	}
	go waiter(k.children, k.kick)
	k.loop()
	k.endEngine()
	k.removeEmpties(len(k.empties))
	if k.abandoned {
		return ErrAbandoned
	}
	return nil
}

func newKeeper(o Options) (*Keeper, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		o:      o,
		limits: o.Limits.withDefaults(),
		rows:   map[string]*row{},
		byPid:  map[int]*row{},
		held:   map[string]int{},
		fork:   syscall.ForkExec,
		trees:  treeWatch{pending: map[*row]bool{}},

		children: make(chan chan struct{}),
		kick:     make(chan struct{}, 1),
		staged:   make(chan stageResult),
		messages: make(chan incoming),
		writable: make(chan int),
		gone:     make(chan alienEnd),
		signals:  make(chan os.Signal, 16),
		null:     null,
	}
	for name, f := range o.Held {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("hold %q: %w", name, err)
		}
		k.held[name] = fd
		if o.HeldOnly {
			f.Close()
		}
	}
	k.about = About{Pid: os.Getpid(), Started: time.Now().UnixNano(), Trees: o.Forest.Kind()}
	return k, nil
}

// again is always ready: the loop comes back at once for what it left undone.
var again = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// loop handles one thing at a time, none of which takes long: of children and untold rows a bounded number is taken, one
// process is made, and the rest waits for its next turn beside everything else. What the engine has to hear goes out after
// each.
func (k *Keeper) loop() {
	ticker := time.NewTicker(k.limits.Tick)
	defer ticker.Stop()
	look := time.NewTimer(time.Hour)
	defer look.Stop()
	more := true
	for !k.done {
		var due <-chan time.Time
		if len(k.trees.pending) > 0 {
			look.Reset(time.Until(k.trees.next))
			due = look.C
		}
		var rest <-chan struct{}
		if more {
			rest = again
		}
		select {
		case ack := <-k.children:
			k.reap()
			close(ack)
		case r := <-k.staged:
			k.stageDone(r)
		case in := <-k.messages:
			k.receive(in)
		case epoch := <-k.writable:
			if epoch == k.engine.epoch {
				k.engine.full = false
			} else if epoch < 0 {
				k.notLeft()
			}
		case g := <-k.gone:
			k.alienEnded(g)
		case s := <-k.signals:
			k.signal(s)
		case <-ticker.C:
			k.watch()
		case <-due:
			k.lookAtTrees()
		case <-rest:
		}
		k.goOn()
		more = k.makeOne()
		more = k.tell() || more
		more = k.removeEmpties(1) || more
		if !more { // what is told comes first
			more = k.reflect()
		}
	}
}

// now is CLOCK_MONOTONIC in nanoseconds, as every process of this boot reads it.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
