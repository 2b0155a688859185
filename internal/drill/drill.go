// Package drill breaks services on purpose and measures how long it takes until that is found and until they are back.
//
// A round waits until the instance is ready and, where a hang is to be found, has shown a sign of life; it sets the restart
// delay back, so that a drill does not push a service into long waits; then it breaks the instance, and waits until its
// successor is ready. Times are the daemon's own, of its events: what travels to the client does not count.
//
// A process that a round has stopped is never left behind stopped: a round that is given up resumes it.
package drill

import (
	"context"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// A Kind is a way to break a service.
type Kind string

// The kinds.
const (
	Kill Kind = "kill" // SIGKILL to the main process
	Hang Kind = "hang" // SIGSTOP to the main process
	Mute Kind = "mute" // the service is left alone; its signs of life are held back
)

// finds says whether a kind is a hang, which something must find.
func (k Kind) finds() bool { return k != Kill }

// A Daemon is what a drill asks: a *client.Client.
type Daemon interface {
	Status(ctx context.Context, target string) ([]api.Instance, error)
	Pulses(ctx context.Context, target string) ([]api.PulseSlot, error)
	Do(ctx context.Context, c api.Command) (api.Result, error)
	LastEvent(ctx context.Context) (uint64, error)
	Events(ctx context.Context, since uint64, follow bool, emit func(api.Event) error) error
	Incidents(ctx context.Context, f client.IncidentFilter) ([]api.Incident, error)
}

// Options say what to do.
type Options struct {
	Target  string        // a service or an instance; the instances of a service take turns
	Kinds   []Kind        // one after the other
	Times   int           // rounds of each kind
	Timeout time.Duration // for a round to be over; 0: a minute and the longest limit of the instance's signs of life
	Pause   time.Duration // between two looks for something that no event tells; 0: 50 ms
}

// A Round is what became of one. Found and Back are meaningful where Problem is "".
type Round struct {
	Number   int           `json:"number"`
	Kind     Kind          `json:"kind"`
	Instance string        `json:"instance"`
	Found    time.Duration `json:"found_ns"`     // Kill: from the signal to the news of the exit; else: from the end of the limit to the verdict
	Back     time.Duration `json:"back_ns"`      // from the signal or the verdict until it was ready again
	Held     time.Duration `json:"held_ns"`      // how much of Found it was held or excused, as when the machine is short of something
	Why      string        `json:"why,omitzero"` // why it was held, as the daemon said; also where Held is 0
	Problem  string        `json:"problem,omitzero"`
}

// Run makes all rounds and calls each with what became of every one. It returns when the rounds are over or ctx ends, whose
// error it returns then. What the daemon refuses ends the drill too.
func Run(ctx context.Context, d Daemon, o Options, each func(Round)) error {
	if o.Pause <= 0 {
		o.Pause = 50 * time.Millisecond
	}
	number := 0
	for _, kind := range o.Kinds {
		for range o.Times {
			list, err := d.Status(ctx, o.Target)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return &api.Error{Code: "not-found", Message: "nothing has that name", Hint: "stay status"}
			}
			r := round{daemon: d, o: o, kind: kind, in: list[number%len(list)]}
			number++
			result, err := r.run(ctx)
			if err != nil {
				return err
			}
			result.Number = number
			each(result)
		}
	}
	return nil
}
