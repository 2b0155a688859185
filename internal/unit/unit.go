// Package unit is the state machine of one instance: what is wanted of it, what goes on with it, and why.
//
// Step is a total, pure function: a Unit, the service it is an instance of, the time and one event go in; the next Unit
// and at most one Action come out. It knows no clock, no process and no other unit. The engine stores the Unit as JSON
// with every order, so a Unit is plain comparable data and everything that must outlive the engine stands in it.
//
// Promises, each of them fuzzed:
//   - A unit never has two live generations: a Spawn is ordered only in a phase that has no process, and Gen grows with
//     each.
//   - Nobody leaves a phase that has a process but by Exited and TreeEmpty of that generation (or SpawnFailed).
//   - One Deadline per unit; its meaning follows from Phase. Zero means none.
//   - A phase that waits for the kernel to do something has a Deadline.
//   - Step never panics and never returns more than one order, so an order and the record that goes with it are one
//     message to the keeper.
package unit

import (
	"time"

	"example.com/stay/internal/backoff"
)

// A Time is a moment on CLOCK_MONOTONIC in nanoseconds, the same clock in every process of one boot.
type Time int64

// Add returns the moment d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the span from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// A Want is what the operator asked for. It never says what goes on.
type Want uint8

// The wants.
const (
	Down Want = iota // no process
	Up               // a process, always
	Once             // one run
)

// A Phase is what goes on. A process exists in Starting, Ready, Examining, Dumping, Stopping and Killing, may exist in
// Spawning, and exists in no other.
type Phase uint8

// The phases; after each, those that may follow.
const (
	Idle      Phase = iota // Blocked, Spawning
	Blocked                // Spawning, Idle
	Spawning               // Starting, Ready, Killing, Backoff, Failed, Idle, Blocked
	Starting               // Ready, Examining, Stopping, Killing, Backoff, Failed, Idle
	Ready                  // Examining, Stopping, Killing, Backoff, Failed, Idle
	Examining              // Ready, Starting, Dumping, Stopping, Killing, Backoff, Failed, Idle
	Dumping                // Stopping, Killing, Backoff, Failed, Idle
	Stopping               // Killing, Backoff, Failed, Idle, Blocked, Spawning
	Killing                // Backoff, Failed, Idle, Blocked, Spawning
	Backoff                // Spawning, Blocked, Idle
	Failed                 // Spawning, Blocked, Idle
	phases
)

// A Reason says why a unit is as it is, or why it ended.
type Reason uint8

// The reasons.
const (
	NoReason     Reason = iota
	ByOperator          // somebody asked for it
	ExitCode            // the process ended with a code
	Signalled           // the process was ended by a signal
	SpawnError          // no process came to be: stage and errno
	StartTimeout        // not ready within start_timeout
	Hang                // a pulse or the output was silent
	Probe               // a check failed too often
	OverLimit           // over a limit of its own
	Dependency          // something it needs was lost
	ByItself            // the service said STOPPING=1
	KeeperDeath         // the keeper was dead when it ended: no status
	Changed             // an apply changed what it was started with
	RunTimeout          // a run of a job took longer than its timeout
	reasons
)

// An End is how a generation ended, or why no process came of it.
type End struct {
	Reason Reason `json:"reason"`
	Gen    uint64 `json:"gen,omitzero"`
	Code   int    `json:"code,omitzero"`   // exit code, where Signal is 0
	Signal int    `json:"signal,omitzero"` // the signal that ended it
	Core   bool   `json:"core,omitzero"`
	Stage  string `json:"stage,omitzero"` // SpawnError: where
	Errno  int    `json:"errno,omitzero"` // SpawnError: why
	Text   string `json:"text,omitzero"`  // SpawnError: the path or value
	At     Time   `json:"at,omitzero"`
	Uptime int64  `json:"uptime,omitzero"` // ns from its start to its end; 0 if it never ran
}

// A Unit is the record of one instance.
type Unit struct {
	Want     Want          `json:"want"`
	Phase    Phase         `json:"phase"`
	Reason   Reason        `json:"reason"`            // of the phase: in Stopping and Killing, why it has to end
	Gen      uint64        `json:"gen"`               // of the process, or of the last one
	Pid      int           `json:"pid,omitzero"`      // 0: the main process has gone, or is not known yet
	Since    Time          `json:"since"`             // when Phase began
	Started  Time          `json:"started,omitzero"`  // when this generation's process was made
	Deadline Time          `json:"deadline,omitzero"` // when to look again; 0 = no need
	DepsMet  bool          `json:"deps_met,omitzero"` // all it needs is ready
	Held     bool          `json:"held,omitzero"`     // Want is Down, but who depends on it goes first
	WasReady bool          `json:"was_ready,omitzero"`
	Restart  backoff.State `json:"restart"`
	Delay    int64         `json:"delay,omitzero"`    // ns of the current Backoff
	Restarts int           `json:"restarts,omitzero"` // of a service; a job runs again
	Done     bool          `json:"done,omitzero"`     // a job: a run has succeeded
	Last     End           `json:"last,omitzero"`
}

// HasProcess says whether a process exists or may exist.
func (u Unit) HasProcess() bool {
	switch u.Phase {
	case Spawning, Starting, Ready, Examining, Dumping, Stopping, Killing:
		return true
	}
	return false
}

var phaseNames = [phases]string{"Idle", "Blocked", "Spawning", "Starting", "Ready", "Examining", "Dumping", "Stopping",
	"Killing", "Backoff", "Failed"}

// String returns the name of the phase.
func (p Phase) String() string { return name(phaseNames[:], int(p)) }

var wantNames = [...]string{"Down", "Up", "Once"}

// String returns the name of the want.
func (w Want) String() string { return name(wantNames[:], int(w)) }

var reasonNames = [reasons]string{"none", "operator", "exit code", "signal", "spawn error", "start timeout", "hang", "probe",
	"over limit", "dependency", "by itself", "keeper death", "changed", "run timeout"}

// String returns the name of the reason.
func (r Reason) String() string { return name(reasonNames[:], int(r)) }

func name(table []string, i int) string {
	if i < len(table) {
		return table[i]
	}
	return "?"
}
