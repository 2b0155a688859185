package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

const (
	patience   = time.Minute      // for a round, beyond the limit of the instance's signs of life
	signTime   = 20 * time.Second // for a ready instance to show a sign of life
	resumeTime = 5 * time.Second  // for SIGCONT, when everything else was given up
	storeTime  = 3 * time.Second  // for an incident to be stored
)

// A round is one that goes on.
type round struct {
	daemon Daemon
	o      Options
	kind   Kind
	in     api.Instance // as it is before it is broken

	since  uint64        // the last event before
	limit  time.Duration // the longest of its signs of life
	broken int64         // CLOCK_MONOTONIC, when it was broken; 0: not yet
	found  int64         // when the exit or the hang was found
	back   int64         // when its successor was ready
	why    string        // why it was held
}

// errBack ends the reading of events: the instance is back.
var errBack = errors.New("back")

// A lost is a round whose instance did not come back, and how.
type lost struct{ how string }

func (l *lost) Error() string { return l.how }

// run makes the round. An error is one that ends the drill; what went wrong with the instance is in the Round.
func (r *round) run(ctx context.Context) (Round, error) {
	timeout := r.o.Timeout
	if timeout <= 0 {
		timeout = patience
	}
	inTime, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := r.prepare(inTime)
	if err == nil {
		if r.o.Timeout <= 0 {
			inTime, cancel = context.WithTimeout(ctx, patience+r.limit)
			defer cancel()
		}
		err = r.breakIt(inTime)
	}
	result := Round{Kind: r.kind, Instance: r.in.Name, Why: r.why}
	var gone *lost
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case errors.As(err, &gone):
		result.Problem, err = gone.how, nil
	case errors.Is(err, context.DeadlineExceeded):
		result.Problem, err = r.tooLate(ctx), nil
	case err == nil:
		result.Back = time.Duration(r.back - r.begun())
		result.Found, result.Held, err = r.detection(ctx)
	}
	return result, err
}

// target names the instance, and never all instances of its service.
func (r *round) target() string {
	if r.in.Number == 1 {
		return r.in.Service + ".1"
	}
	return r.in.Name
}

// prepare waits until the instance is ready and alive, and sets its restart delay back.
func (r *round) prepare(ctx context.Context) error {
	for _, c := range []api.Command{{Verb: api.Reset}, {Verb: api.Wait, For: "ready"}} {
		c.Target = r.target()
		if err := failure(r.daemon.Do(ctx, c)); err != nil {
			return err
		}
	}
	if r.kind.finds() {
		if err := r.awaitSign(ctx); err != nil {
			return err
		}
	}
	list, err := r.daemon.Status(ctx, r.target())
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0].Pid == 0 {
		return &lost{"it is not running: nothing was broken"}
	}
	r.in = list[0]
	r.since, err = r.daemon.LastEvent(ctx)
	return err
}

// failure is what a command did not get to.
func failure(result api.Result, err error) error {
	if err == nil && len(result.Failures) > 0 {
		err = &lost{result.Failures[0].Message + ": nothing was broken"}
	}
	return err
}

// awaitSign waits until the instance has shown that it lives: what never lived is not found hanging.
func (r *round) awaitSign(ctx context.Context) error {
	inTime, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	for {
		list, err := r.daemon.Pulses(inTime, r.target())
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return r.noSign()
		}
		if err != nil {
			return err
		}
		alive := false
		for _, s := range list {
			if slices.Contains([]string{"busy", "idle", "ok"}, s.State) {
				alive = true
				r.limit = max(r.limit, milliseconds(s.LimitMS))
			}
		}
		if alive {
			return nil
		}
		select {
		case <-time.After(r.o.Pause):
		case <-ctx.Done():
			return ctx.Err()
		case <-inTime.Done():
			return r.noSign()
		}
	}
}

func (r *round) noSign() error {
	return &api.Error{Code: "refused", Message: fmt.Sprintf("%q shows no sign of life: nothing would find it hanging", r.in.Name),
		Hint: "give it a pulse, a check or silence in the file; stay drill --kill needs none"}
}

// breakIt breaks the instance and waits until its successor is ready.
func (r *round) breakIt(ctx context.Context) error {
	c := api.Command{Target: r.target(), Verb: api.Signal, Signal: "KILL"}
	switch r.kind {
	case Hang:
		c.Signal = "STOP"
		defer func() {
			if r.back == 0 {
				r.resume(ctx)
			}
		}()
	case Mute:
		c.Verb, c.Signal = api.Mute, ""
	}
	err := failure(r.daemon.Do(ctx, c))
	if refused := (*api.Error)(nil); errors.As(err, &refused) && refused.Code == "conflict" {
		if r.kind == Mute {
			return &lost{refused.Message}
		}
		return &lost{"it ended by itself right before: nothing was broken"}
	}
	if err != nil {
		return err
	}
	err = r.daemon.Events(ctx, r.since, true, r.note)
	switch {
	case errors.Is(err, errBack):
		return nil
	case err == nil && ctx.Err() == nil:
		return &lost{"the daemon ended its events"}
	case err == nil:
		return ctx.Err()
	}
	return err
}

// resume lets a stopped process go on. It is harmless where the process has gone.
func (r *round) resume(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resumeTime)
	defer cancel()
	_, _ = r.daemon.Do(ctx, api.Command{Target: r.target(), Verb: api.Signal, Signal: "CONT"})
}

// note takes one event. errBack says that the round is over.
func (r *round) note(e api.Event) error {
	if e.Kind == "command" && r.broken == 0 && strings.HasSuffix(e.Message, " "+r.target()) {
		r.broken = e.MonoNS
	}
	if e.Name != r.in.Name {
		return nil
	}
	gen := r.in.Generation
	switch {
	case e.Generation == gen && (r.kind == Kill && e.Kind == "exit" || r.kind.finds() && e.Kind == "hang"):
		r.found = e.MonoNS
	case e.Kind == "held" && e.Generation == gen:
		r.why = e.Message
	case e.Kind == "state" && e.To == api.Running && e.Generation > gen:
		r.back = e.MonoNS
		return errBack
	case e.Kind == "state" && (e.To == api.Failed || e.To == api.Done || e.To == api.Stopped):
		return &lost{strings.TrimSuffix("it did not come back: "+string(e.To)+", "+e.Message, ", ")}
	}
	return nil
}

// begun is when the recovery began: with the signal, or with the verdict.
func (r *round) begun() int64 {
	if r.kind.finds() && r.found != 0 {
		return r.found
	}
	return r.broken
}

// tooLate says what did not happen in time.
func (r *round) tooLate(ctx context.Context) string {
	what := "it did not come back in time"
	switch {
	case r.broken == 0:
		what = "it was not ready in time: nothing was broken"
	case r.found == 0:
		what = "nobody noticed in time"
	}
	list, err := r.daemon.Status(ctx, r.target())
	if err == nil && len(list) == 1 && list[0].Why != "" {
		what += ": " + list[0].Why
	}
	return what
}

// detection is how long it took to find what was broken, and how much of that it was held. That of a hang counts from the end
// of its limit, as the incident has it; a check has none, and counts from the beginning.
func (r *round) detection(ctx context.Context) (found, held time.Duration, err error) {
	if r.found == 0 {
		return 0, 0, nil // its event was lost; the instance is back, which counts
	}
	found = time.Duration(r.found - r.broken)
	if !r.kind.finds() {
		return found, 0, nil
	}
	v, err := r.verdict(ctx)
	if v == nil || err != nil {
		return found, 0, err
	}
	if v.LimitMS > 0 && v.SilentMS >= v.LimitMS {
		found = milliseconds(v.SilentMS - v.LimitMS)
	}
	return found, milliseconds(v.HeldMS), nil
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// verdict is that on the generation that was broken, once it is stored; nil if it is not stored in time.
func (r *round) verdict(ctx context.Context) (*api.Verdict, error) {
	for end := time.Now().Add(storeTime); ; {
		list, err := r.daemon.Incidents(ctx, client.IncidentFilter{Target: r.target(), N: 10, Brief: true})
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if a.Name == r.in.Name && a.Generation == r.in.Generation {
				return a.Verdict, nil
			}
		}
		if time.Now().After(end) {
			return nil, nil
		}
		select {
		case <-time.After(r.o.Pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
