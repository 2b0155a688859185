package main

import (
	"context"
	"errors"
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
		alive := len(r.pids(both)) > 0
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
			if alive && len(r.pids(both)) > 0 && mark%2 == 0 && r.reviver.Load() == mark {
				r.violated("the control socket is refused while somebody lives: %v", err)
			}
		case errors.Is(err, context.DeadlineExceeded):
			r.violated("no answer to status after %v", took)
		default:
			r.note("status: %v", err)
		}
		pause(ctx, 30*time.Millisecond)
	}
}

// watchEvents reads along: numbers grow, and a hole has a mark before it.
func (r *run) watchEvents(ctx context.Context) {
	var last uint64
	mark := r.reviver.Load()
	for ctx.Err() == nil {
		if now := r.reviver.Load(); now != mark {
			last, mark = 0, now
		}
		marked := last == 0
		err := r.daemon.client.Events(ctx, last, true, func(e api.Event) error {
			switch {
			case e.Seq <= last && !marked:
				r.violated("event %d (%s %s) comes after event %d", e.Seq, e.Kind, e.Message, last)
			case e.Seq > last+1 && !marked && e.Kind != "gap":
				r.violated("event %d comes after %d, and no mark between them", e.Seq, last)
			}
			marked = e.Kind == "gap"
			last = e.Seq
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
