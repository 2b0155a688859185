package api

import (
	"context"
	"time"
)

// An Event is one thing that happened, in the order of Seq. It is a line of the journal and of GET /v1/events.
//
// Numbers have no holes but those that are told: by an event of kind "gap", or by After of a daemon's first event.
type Event struct {
	Seq        uint64    `json:"seq"`
	Time       time.Time `json:"time"`
	MonoNS     int64     `json:"mono_ns"`       // CLOCK_MONOTONIC, which begins again with each boot
	Kind       string    `json:"kind"`          // see Kinds
	Name       string    `json:"name,omitzero"` // the instance
	From       State     `json:"from,omitzero"` //
	To         State     `json:"to,omitzero"`   //
	Generation uint64    `json:"generation,omitzero"`
	Pid        int       `json:"pid,omitzero"`
	Message    string    `json:"message"` // a plain phrase

	Wanted bool `json:"wanted,omitzero"` // of "state" and "exit": it is to be up
	Job    bool `json:"job,omitzero"`    // of "state" and "exit": it is a job, which ends

	Cause    Cause  `json:"cause,omitzero"`     // of "exit", "oom" and "hang": why it ended, or will
	Code     int    `json:"code,omitzero"`      // of "exit"
	Signal   string `json:"signal,omitzero"`    // of "exit": "KILL", without SIG
	UptimeMS int64  `json:"uptime_ms,omitzero"` // of "exit"
	Expected bool   `json:"expected,omitzero"`  // of "exit": it was asked for, or was a success that nothing follows

	By      *Caller `json:"by,omitzero"`      // of "command": who asked
	Verb    string  `json:"verb,omitzero"`    // of "command": "restart", "apply", "down", …
	Target  string  `json:"target,omitzero"`  // of "command": a service, an instance, a glob or "all"
	Command uint64  `json:"command,omitzero"` // of "result": the Seq of the command
	Error   string  `json:"error,omitzero"`   // of "command": why it was refused; of "result": what did not get there

	Boot    string             `json:"boot,omitzero"`    // of "engine" and "checkpoint": the kernel's boot_id
	First   bool               `json:"first,omitzero"`   // of "engine": the daemon is a new one, nothing ran before it
	After   uint64             `json:"after,omitzero"`   // of "engine": the last event that was kept of the daemon before; numbers between were never given, or were lost with the machine
	Missing uint64             `json:"missing,omitzero"` // of "gap": how many events
	States  map[State][]string `json:"states,omitzero"`  // of "checkpoint": instances by what they are; several lines tell of all
}

// The kinds of events.
const (
	KindState      = "state"      // an instance is something else now
	KindExit       = "exit"       // a generation ended, or could not be made
	KindOOM        = "oom"        // the "exit" before, by a SIGKILL, was the kernel's for want of memory
	KindHang       = "hang"       // a verdict: it will be restarted for that
	KindLate       = "late"       // a pulse was late and came back before anything was done
	KindHeld       = "held"       // a pulse is late, and there is a reason not to act
	KindPulse      = "pulse"      // something else about a pulse
	KindCheck      = "check"      // a check began to fail, or works again
	KindJob        = "job"        // what became of a time at which a job was to run
	KindCommand    = "command"    // somebody asked for something; with Error: it was refused
	KindResult     = "result"     // what became of a command
	KindEngine     = "engine"     // an engine started, or leaves
	KindKeeper     = "keeper"     // a keeper was replaced
	KindLog        = "log"        // a log cannot be written, or can again
	KindGap        = "gap"        // events are missing here
	KindAlive      = "alive"      // nothing happened for some minutes, and stay was there
	KindCheckpoint = "checkpoint" // what all instances are
)

// Bookkeeping says whether events of a kind are there for computation only, and are not shown unless asked for.
func Bookkeeping(kind string) bool { return kind == KindAlive || kind == KindCheckpoint }

// An EventFilter chooses among events. The zero value chooses all that are kept, but those of bookkeeping.
type EventFilter struct {
	Since   uint64    // only with higher numbers
	From    time.Time // not older than this; zero: no matter
	Targets []string  // of these services or instances, or of what globs over both match; nil and "all": any, and those of no instance
	Kinds   []string  // nil: all but bookkeeping
	Follow  bool      // go on with each new one
}

// A Caller is who asked for something, as the kernel knows the other end of the socket.
type Caller struct {
	UID int `json:"uid"`
	Pid int `json:"pid,omitzero"` // at the time of connect(2)
}

type callerKey struct{}

// WithCaller returns a context that says who asks. It is for the server's side of this API.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who asks, nil if nobody said.
func CallerOf(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return &c
	}
	return nil
}
