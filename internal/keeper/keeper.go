package keeper

import (
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Forest is where the trees of processes grow. The keeper calls it from its loop only.
type Forest interface {
	// Plant prepares a tree for one generation. The name is fit for a file name.
	Plant(name string) (Tree, error)
	// Kind says in a phrase how trees are kept.
	Kind() string
}

// A Tree is all processes of one generation. Zombies do not count.
type Tree interface {
	CgroupFD() (fd int, ok bool)              // to be born in; the caller closes it
	Rooted(pid int, mark string, out uint64)  // the main process is born; out is the inode of its log pipe
	Ended()                                   // the main process has been reaped: its pid means nothing any more
	Remember()                                // who is there now belongs to it, whatever it does later
	Contains(pid int) bool                    //
	Empty() bool                              // cheap
	Kill() error                              // SIGKILL to all; to be called again until Empty
	Signal(sig unix.Signal, group bool) error // to all, or to the process group of the main process
	Members() []Member                        //
	Remove() error                            // the tree is empty and not needed any more
}

// Options are all a keeper needs. All fields are wanted, but for Held and EngineArgs.
type Options struct {
	Exe        *os.File            // stayd's own file: engine and exec stage always run from it, whatever happens to the path
	EngineArgs []string            // after "stayd engine"
	Forest     Forest              //
	Held       map[string]*os.File // descriptors for the engine, by name
	Log        *slog.Logger        // must not block
	Stderr     *os.File            // for the engine
}

const (
	tick          = time.Second      // between two looks at the engine
	silenceLimit  = 5 * time.Second  // of an engine that was ready
	startLimit    = 30 * time.Second // of an engine that is not ready yet
	askLimit      = 10 * time.Second // between Asked and an answer, and between TERM and KILL without an engine
	lateness      = 500 * time.Millisecond
	emptyInterval = 20 * time.Millisecond // between two looks at trees that have lost their main process
	refuseAfter   = 2 * time.Second       // SIGKILL sent, still there: say who
)

// A Keeper is the state of the loop. Nothing in it is touched by another goroutine.
type Keeper struct {
	o     Options
	about About

	rows   map[string]*row
	byPid  map[int]*row // main processes not yet reaped, stages included
	daemon []byte       // the daemon's own record
	held   map[string]int

	engine  engineState
	untold  []*row // rows with something the engine has not heard, in order
	listing bool   // Listed is owed
	asked   asked
	pending map[*row]bool // main process gone, tree not empty
	orphans orphanLog
	early   map[int]waited // children that ended before the forker said who they are
	waiting []forkJob      // not yet given to the forker
	forking bool           // the forker has one

	children chan chan struct{}
	forked   chan forkResult
	jobs     chan forkJob
	staged   chan stageResult
	messages chan incoming
	writable chan int // epoch of the connection
	signals  chan os.Signal
	null     *os.File
	done     bool
}

// Run is the life of a keeper: it returns when the engine has ordered Shutdown, or when it had to do that itself. The
// caller has made the process a child subreaper (or it is PID 1), and must not start, wait for or signal any process.
func Run(o Options) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	k := &Keeper{
		o:     o,
		rows:  map[string]*row{},
		byPid: map[int]*row{},
		held:  map[string]int{},
		early: map[int]waited{},

		pending:  map[*row]bool{},
		children: make(chan chan struct{}),
		forked:   make(chan forkResult, 1),
		jobs:     make(chan forkJob, 1),
		staged:   make(chan stageResult),
		messages: make(chan incoming),
		writable: make(chan int),
		signals:  make(chan os.Signal, 16),
		null:     null,
	}
	for name, f := range o.Held {
		k.held[name] = int(f.Fd())
	}
	k.about = About{Pid: os.Getpid(), Started: time.Now().UnixNano(), Trees: o.Forest.Kind()}
	startThreads()
	catchSignals(k.signals)
	go forker(k.jobs, k.forked)
	go waiter(k.children)
	k.startEngine()
	k.startFork()
	k.loop()
	k.endEngine()
	return nil
}

// loop handles one thing at a time. What the engine has to hear goes out after each.
func (k *Keeper) loop() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	look := time.NewTimer(time.Hour)
	defer look.Stop()
	for !k.done {
		var again <-chan time.Time
		if len(k.pending) > 0 {
			look.Reset(emptyInterval)
			again = look.C
		}
		select {
		case ack := <-k.children:
			k.reap()
			close(ack)
		case r := <-k.forked:
			k.forkDone(r)
		case r := <-k.staged:
			k.stageDone(r)
		case in := <-k.messages:
			k.receive(in)
		case epoch := <-k.writable:
			if epoch == k.engine.epoch {
				k.engine.full = false
			}
		case s := <-k.signals:
			k.signal(s)
		case <-ticker.C:
			k.watch()
		case <-again:
			k.lookAtTrees()
		}
		k.startFork()
		k.tell()
	}
}

// now is CLOCK_MONOTONIC in nanoseconds, as every process of this boot reads it.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
