package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// watch starts the watchers and returns what ends them.
func (r *run) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { r.watchStatus(ctx) })
	}
	wg.Go(func() { r.watchEvents(ctx) })
	wg.Go(func() { r.watchLocks(ctx) })
	return func() { cancel(); wg.Wait() }
}

// watchStatus asks all the time. A client that is refused although somebody of stay lives is a finding.
func (r *run) watchStatus(ctx context.Context) {
	for ctx.Err() == nil {
		mark, begin := r.reviver.Load(), time.Now()
		alive := r.pids(both)
		ask, cancel := context.WithTimeout(ctx, answerBound)
		_, err := r.daemon.client.Status(ask, "")
		cancel()
		took := time.Since(begin)
		var refused *client.NotReachable
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			r.answered(took)
		case errors.As(err, &refused):
			r.refused(ctx, alive, mark, err)
		case errors.Is(err, context.DeadlineExceeded):
			r.violated("no answer to status after %v", took)
		default:
			r.note("status: %v", err)
		}
		pause(ctx, 30*time.Millisecond)
	}
}

// refusalBound is how long one who lives may be without the socket: an heir whose engine was killed before it had handed
// over finds out, and leaves.
const refusalBound = 3 * time.Second

// refused looks whether a refusal is one of a daemon that lives: one of those who did is there still after a while, and
// nobody has had to start another.
func (r *run) refused(ctx context.Context, alive []int, mark int64, why error) {
	for begin := time.Now(); time.Since(begin) < refusalBound; pause(ctx, 50*time.Millisecond) {
		now := r.pids(both)
		same := slices.ContainsFunc(alive, func(pid int) bool { return slices.Contains(now, pid) })
		ask, cancel := context.WithTimeout(ctx, answerBound)
		_, err := r.daemon.client.Version(ask)
		cancel()
		if !same || err == nil || mark%2 != 0 || r.reviver.Load() != mark || ctx.Err() != nil {
			return
		}
	}
	r.violated("the control socket is refused while somebody lives: %v", why)
}

// kinds are all kinds of events: those of bookkeeping have to be asked for.
var kinds = []string{api.KindState, api.KindExit, api.KindHang, api.KindLate, api.KindHeld, api.KindPulse, api.KindCheck, api.KindJob,
	api.KindCommand, api.KindResult, api.KindEngine, api.KindKeeper, api.KindLog, api.KindGap, api.KindAlive, api.KindCheckpoint}

// watchEvents reads along.
func (r *run) watchEvents(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.daemon.client.EventsOf(ctx, api.EventFilter{Since: r.events.last, Kinds: kinds, Follow: true}, func(e api.Event) error {
			if err := r.events.next(e); err != nil {
				r.violated("events: %v", err)
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			r.note("events: %v", err)
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// watchLocks looks whether an actor has found its lock held.
func (r *run) watchLocks(ctx context.Context) {
	for n := 0; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		for all := r.stage.doubled(); n < len(all); n++ {
			r.violated("two generations: %s", all[n])
		}
	}
}

func killPid(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
