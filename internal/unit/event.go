package unit

import (
	"time"

	"example.com/stay/internal/spec"
)

// An EventKind is a kind of thing that happens to a unit.
type EventKind uint8

// The events. Those after Reset come from outside stay's own decisions and carry Gen; one of another generation is
// dropped.
const (
	Start     EventKind = iota // want it up; Once set: for one run; Later set: but do not begin
	Stop                       // want it down; Held set: but not before its dependents are
	Restart                    // a new generation, without delay; the reason stands in Reason
	Reload                     // tell it to read its files again
	Reset                      // counters and delay to zero; a given-up unit is tried again
	DepsMet                    // all it needs is ready
	DepsUnmet                  // something it needs is not ready now; who runs goes on running
	DepLost                    // something it needs was lost for good: it has to end
	Deadline                   // its Deadline has come

	Spawned       // a process was made: Pid
	SpawnFailed   // none was made, none is left: End
	Exited        // Pid ended: End; Empty set: and nothing is left of its tree
	TreeEmpty     // nothing is left of the tree
	MainMoved     // the main process is now Pid
	ReadyNoted    // the service is ready
	StoppingNoted // the service said that it is ending
	Hung          // the judge's verdict; its Reason: Hang, Probe or OverLimit
	Recovered     // the verdict was withdrawn
	ProbeFailed   // a check failed too often
	WentOver      // over a limit of its own
	EvidenceTaken // the snapshot of a hung process is written
	ExtendNoted   // the service needs For from now for its start or its end
	ResetNoted    // the service takes its deaths so far for forgotten
	eventKinds
)

var eventNames = [eventKinds]string{"Start", "Stop", "Restart", "Reload", "Reset", "DepsMet", "DepsUnmet", "DepLost", "Deadline", "Spawned",
	"SpawnFailed", "Exited", "TreeEmpty", "MainMoved", "ReadyNoted", "StoppingNoted", "Hung", "Recovered", "ProbeFailed",
	"WentOver", "EvidenceTaken", "ExtendNoted", "ResetNoted"}

// String returns the name of the event.
func (k EventKind) String() string { return name(eventNames[:], int(k)) }

// outside says whether the event is about one generation's process.
func (k EventKind) outside() bool { return k >= Spawned }

// An Event is one thing that happened.
type Event struct {
	Kind   EventKind
	For    time.Duration // ExtendNoted
	Gen    uint64        // outside events: the generation they are about
	Pid    int
	At     Time   // Spawned: when the process was made; 0: now
	Empty  bool   // Exited: the tree is empty too
	Once   bool   // Start
	Later  bool   // Start: it is wanted, but not now: its time will come
	Held   bool   // Stop
	Now    bool   // Stop: SIGKILL, without asking first
	Reason Reason // Restart, Stop, Hung: why
	End    End    // Exited, SpawnFailed
}

// An ActionKind is a kind of order to the keeper, or evidence to take.
type ActionKind uint8

// The actions.
const (
	NoAction     ActionKind = iota
	Spawn                   // make the process of generation Gen
	Signal                  // send Signal to To
	KillTree                // SIGKILL to everything in the tree; harmless to repeat
	TakeEvidence            // look at the process, then EvidenceTaken
)

var actionNames = [...]string{"-", "Spawn", "Signal", "KillTree", "TakeEvidence"}

// String returns the name of the action.
func (k ActionKind) String() string { return name(actionNames[:], int(k)) }

// An Action is what has to be done now.
type Action struct {
	Kind   ActionKind
	Gen    uint64
	Signal spec.Signal
	To     spec.StopTo
}
