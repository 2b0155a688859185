package oldtable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// obey is how long a process has from SIGTERM to SIGKILL.
const obey = 5 * time.Second

// An ender ends the processes of late entries, each in a goroutine of its own.
type ender struct {
	prover
	again func(Entry) bool // it has not beaten since
	clear func(ctx context.Context, e Entry, dead func() bool) (bool, error)
	say   func(e Entry, text string)
	obey  time.Duration // obey, but in tests
}

// end ends the process of a late entry, if it is proved to be the entry's. It looks at the process first, and at the entry
// last.
func (x *ender) end(ctx context.Context, e Entry, was Identity) (Result, Identity) {
	p, err := hold(e.Pid)
	if err != nil {
		return x.notThere(ctx, e, unknown(err))
	}
	defer p.release()
	who := x.prover.again(p, was)
	switch {
	case who.Start != was.Start: // the entry's own process has ended, that much is sure
		return x.notThere(ctx, e, who)
	case who.Why != "" || who.Owner != "":
		return Other, who
	case traced(e.Pid):
		return Excused, who
	case !x.again(e):
		return Beats, who
	}
	x.say(e, fmt.Sprintf("did not beat for %s: SIGTERM", e.Timeout))
	if err := p.signal(unix.SIGTERM); err != nil && !errors.Is(err, errGone) {
		who.Why = "it cannot be signalled: " + err.Error()
		return Other, who
	}
	if !p.await(ctx, x.obey) {
		if ctx.Err() != nil {
			return Other, who
		}
		x.say(e, fmt.Sprintf("is still there %s after SIGTERM: SIGKILL", x.obey))
		if err := p.signal(unix.SIGKILL); err != nil && !errors.Is(err, errGone) {
			who.Why = "it cannot be killed: " + err.Error()
			return Other, who
		}
		if !p.await(ctx, x.obey) && ctx.Err() == nil {
			x.say(e, "is still there after SIGKILL: it ends when the kernel lets it")
			p.await(ctx, 0)
		}
	}
	if ctx.Err() != nil {
		return Other, who
	}
	x.say(e, "has ended")
	x.clearAfter(ctx, e, "its entry is cleared")
	return Over, who
}

// notThere clears the entry of a process that has ended before anything was done.
func (x *ender) notThere(ctx context.Context, e Entry, who Identity) (Result, Identity) {
	if who.Start == 0 && exists(e.Pid) { // it was not to be looked at, which is no proof
		return Other, who
	}
	x.clearAfter(ctx, e, "its process has gone, its entry is cleared")
	return Over, who
}

func (x *ender) clearAfter(ctx context.Context, e Entry, text string) {
	cleared, err := x.clear(ctx, e, func() bool { return true })
	switch {
	case err != nil:
		x.say(e, "its process has gone, but its entry cannot be cleared: "+err.Error())
	case cleared:
		x.say(e, text)
	}
}
