package keeper

import (
	"encoding/json"
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

// Options are all a keeper needs. All fields are wanted, but for Held, EngineArgs and Limits.
type Options struct {
	Exe        *os.File            // stayd's own file: engine and exec stage always run from it, whatever happens to the path
	EngineArgs []string            // after "stayd engine"
	Forest     Forest              //
	Held       map[string]*os.File // descriptors for the engine, by name; the keeper holds copies
	HeldOnly   bool                // nobody else needs them: the files are closed
	Log        *slog.Logger        // must not block
	Stderr     *os.File            // for the engine
	Stdout     *os.File            // for the engine; nil: Stderr
	Limits     Limits

	// StartTime returns the start time of a process as /proc has it, 0 if it is not there. nil: it is always 0, and a
	// keeper that dies cannot be replaced.
	StartTime func(pid int) uint64
	// Handover is what the program left that this process was before; nil: it was none.
	Handover *Handover
	// Become executes another program as this process, which finds a Handover in the descriptor. It returns only with an
	// error. nil: this keeper takes no upgrade.
	Become func(program *os.File, handover int) error
	// Flush has what was logged be written, if that does not take long; nil: nothing.
	Flush func()
	// Orphaned is the engine of a keeper that has died: it goes on with this one, which has to adopt what the other had.
	// nil: the keeper starts an engine of its own.
	Orphaned *Orphaned
	// Mirror is where the table is mirrored; a Dir of "" is nowhere.
	Mirror Mirror
	// Rescued is the table of a keeper that was killed together with its engine; nil: it begins with an empty one. Its
	// processes must be nobody's, and the Forest an Adopter.
	Rescued *Image
}

// Orphaned is an engine without a keeper.
type Orphaned struct {
	Pid  int
	Conn *Conn // the keeper's end
}

// An Adopter is a Forest that can take over trees of a keeper that has died.
type Adopter interface {
	// Adopt returns the tree of that name. Pid is its main process, 0 if it has none any more.
	Adopt(name string, pid int, start uint64, mark string, out uint64) Tree
}

// A Regrower is a Forest whose trees survive another program of this process.
type Regrower interface {
	// State is what Regrow needs of a tree of this forest.
	State(Tree) json.RawMessage
	Regrow(name string, state json.RawMessage) (Tree, error)
}

// Limits are how long the keeper waits for what. A field that is zero has its default, which stands beside it.
type Limits struct {
	Tick    time.Duration // between two looks at the engine; 1 s
	Silence time.Duration // of an engine that was ready, until it is replaced; 5 s
	Start   time.Duration // of an engine that is not ready yet; 30 s
	Ask     time.Duration // between Asked and an answer, and between TERM and KILL without an engine; 10 s
	Refuse  time.Duration // after SIGKILL, until it is said who is still there; 2 s
	Leave   time.Duration // until an engine that was told to end is killed, and one that was killed is given up; 1 s
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&l.Tick, time.Second)
	set(&l.Silence, 5*time.Second)
	set(&l.Start, 30*time.Second)
	set(&l.Ask, 10*time.Second)
	set(&l.Refuse, 2*time.Second)
	set(&l.Leave, time.Second)
	return l
}
