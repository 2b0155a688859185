// Package control answers clients: HTTP/1.1 and JSON on one unix socket that the keeper holds. It is a table of routes,
// each with the access it needs; it decides nothing about services and keeps no state but the connections it serves.
package control

import (
	"context"
	"time"

	"example.com/stay/api"
)

// An Engine is what the routes ask. Every method may be called from many goroutines, returns when ctx ends, and returns
// an *api.Error where it refuses; ctx says who asks (api.CallerOf). Answers are the caller's own: nobody changes them afterwards.
type Engine interface {
	// Status returns one Instance each for target ("" or "all": every one; else a service, an instance or a glob), sorted
	// by name and number. An unknown name is "not-found"; a glob may match nothing.
	Status(ctx context.Context, target string) ([]api.Instance, error)
	// Show returns the effective settings of a service, secrets hidden.
	Show(ctx context.Context, service string) (api.Service, error)
	// Do takes a command and, unless it says NoWait, returns when every instance got there or failed to.
	Do(ctx context.Context, c api.Command) (api.Result, error)
	// Run makes a transient service and starts it.
	Run(ctx context.Context, r api.Run) (api.Result, error)
	// Apply reads the configuration file again. On an error nothing changed.
	Apply(ctx context.Context) ([]api.Change, error)
	// Plan says what Apply would do now.
	Plan(ctx context.Context) ([]api.Change, error)
	// Events calls emit with each event that f chooses, as far back as the journal goes, then, with Follow, with each new one
	// until ctx ends or emit fails. A reader that is too slow gets an event of kind "gap".
	Events(ctx context.Context, f api.EventFilter, emit func(api.Event) error) error
	// Logs calls emit with the lines of the past that q chooses, merged by time, then, with Follow, with each new one that fits,
	// also of instances that appear later, until ctx ends or emit fails.
	Logs(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error) error
	// Rotate begins a new file of the log of each instance that targets name (none: all); where a line is unfinished, when it ends.
	Rotate(ctx context.Context, targets []string) error
	// Pulses returns every sign of life of what target names ("" or "all": all there are, entries of old tables that are
	// nobody's included), sorted by instance.
	Pulses(ctx context.Context, target string) ([]api.PulseSlot, error)
	// Incidents returns the incidents of what target names since a moment, newest first, at most n (0: all that are kept).
	// Those of services that are no more are found by their exact name.
	Incidents(ctx context.Context, target string, since time.Time, n int) ([]api.Incident, error)
	// Incident returns one incident. An unknown id is "not-found".
	Incident(ctx context.Context, id string) (*api.Incident, error)
	// Upgrade checks the program at path, an absolute one, and begins to become it. It returns before that is done; Version
	// says what came of it.
	Upgrade(ctx context.Context, path string) (api.Upgrade, error)
	// Shutdown stops everything in reverse order and returns when all is down; the daemon leaves when the answer is out.
	// With now set, everything is killed at once.
	Shutdown(ctx context.Context, now bool) error
	// Version says who answers.
	Version(ctx context.Context) (api.Daemon, error)
}
