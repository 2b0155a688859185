package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// A Source is where a sign of life comes from.
type Source uint8

// The sources.
const (
	Page     Source = iota // a slot of the pulse page
	Watchdog               // WATCHDOG=1 datagrams
	Output                 // anything written to the log: silence
	Table                  // an entry of an old table
	sources
)

// A State is that of a slot, with the numbers of the page's layout.
type State uint8

// The states of a slot. Any other number is impossible, is reported once, and counts as Busy.
const (
	Free    State = 0
	Claimed State = 1 // being claimed: neither live nor late; for longer than the limit it is reported as broken
	Busy    State = 2
	Paused  State = 3
	Idle    State = 4
)

// A Slot is one pulse as it was read just now.
type Slot struct {
	Source   Source
	Index    int           // in the page or table; 0 for the other sources
	State    State         //
	Beat     unit.Time     // of the last beat; in the future: extended
	Count    uint64        // beats so far
	Limit    time.Duration // its own; 0: the configured one
	Tid      int           // 0: no thread stands for it
	Progress uint64        // 0: not used
	Name     string        //
	Note     string        //
}

// A Look is what the edge saw of the thread of a late slot; where the slot names none, of all threads of the main process.
// What could not be read is zero.
type Look struct {
	Source Source
	Index  int
	At     unit.Time     // when it was seen
	Gone   bool          // there is no such thread, or it is none of this tree's
	State  byte          // as in /proc/PID/stat: 'R', 'S', 'D', 'T', 't', …; of several threads: R before D before the others
	Traced bool          // somebody has it on a leash: a debugger may hold it
	Frozen bool          // its cgroup is frozen
	InLog  bool          // blocked in a write to its log, which stay has not drained since it blocked
	Waited time.Duration // waiting for a processor, since it was born
	Ran    time.Duration // running, since it was born
	IO     time.Duration // PSI: time in which somebody on this machine waited for I/O; grows
	Tight  bool          // PSI says that processors, memory or I/O are short now
}

// What tells what a Watch needs next, and what it found. Each answer replaces the one before.
type What struct {
	At      unit.Time // call Read at this moment, or when something happened; 0: no need. It is in the future
	Look    []Ref     // look at these now, then call Looked; nil: there is nobody to look at
	Verdict *Verdict  // the instance hangs; the Watch is silent from then until Confirm
	News    []News    // for events, in order; each is told once
}

// A Ref names one slot.
type Ref struct {
	Source Source
	Index  int
	Tid    int
}

// A Kind is a kind of verdict.
type Kind uint8

// The kinds of verdicts.
const (
	Silent    Kind = iota // a pulse, datagrams, output or an entry did not come
	Stuck                 // it beats, but its number stands still
	TooLong               // paused for longer than pause_max
	Missing               // required, and none is live at the end of the start timeout
	Lost                  // its thread ended without leaving, and lost = "restart"
	Broken                // the page cannot be read, or is not one
	Triggered             // the service itself asked for it: WATCHDOG=trigger
	Failing               // a check failed too often
	kinds
)

// A Verdict is the judge's word: this instance hangs.
type Verdict struct {
	Kind     Kind
	Slot     Slot          // as it was read last; zero for Missing, Broken, Triggered and Failing
	Silence  time.Duration // without stalls and excuses; for Stuck since the number last grew
	Limit    time.Duration //
	Held     time.Duration // how long it was held or excused before
	Late     int           // pulses that are late, this one included
	Fine     int           // live pulses that are not
	Check    string        // Failing: which
	Failures int           // Failing: in a row
	Message  string        // Failing: the last answer; Broken: what is wrong
}

// A NewsKind is a kind of thing worth an event.
type NewsKind uint8

// The kinds of news.
const (
	LateNews    NewsKind = iota // late, and beat again before it was killed
	HeldNews                    // late and starved: held; Text says of what
	CrowdNews                   // late together with so many others that it is the machine; told once for all of them
	BrakeNews                   // a verdict waits for the brake; Text says which, if it is not about a slot
	ExcusedNews                 // late and excused; Text says why
	LostNews                    // its thread ended without leaving
	OddNews                     // an impossible state, a limit out of bounds, a claim that never ends; Text says what
	BrokenNews                  // the page cannot be read; Text says why
	newsKinds
)

// News is one thing worth an event.
type News struct {
	Kind NewsKind
	Slot Slot
	Text string
}
