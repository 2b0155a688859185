package cli

import (
	"context"
	"os"
	"syscall"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// An attachment shows what services do and write, until something ends it. Nothing that happens to it touches the daemon,
// except that a Ctrl-C asks for what interrupt does.
type attachment struct {
	targets   []string             // whose output and events; none: everybody's
	since     uint64               // events above
	lines     int                  // kept lines of each instance to begin with
	from      time.Time            // of those, lines that are not older; zero: all
	interrupt func(nth int) error  // what the n-th Ctrl-C does, in a goroutine of its own; its end ends the attachment
	over      func(api.Event) bool // says whether an event ends the attachment; nil: none does
}

// A farewell is how an attachment ended.
type farewell int

// The ways an attachment ends.
const (
	interrupted farewell = iota // what a Ctrl-C asked for was done, or was refused
	left                        // the terminal has gone, or somebody asked the command to end; the daemon goes on
	daemonGone                  // by itself, or somebody else took it down
	eventOver                   // an event was the last one
)

const (
	quietTime = 150 * time.Millisecond // no line for so long: the output of something that ended is out
	drainTime = time.Second            // the longest wait for that
)

// attach shows what att says until something ends it.
func (a *app) attach(c *client.Client, att attachment) (farewell, error) {
	signals := make(chan os.Signal, 4)
	a.notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	list, err := statusOf(ctx, c, att.targets)
	if err != nil {
		return left, err
	}
	p := newPrinter(a.ui, list)
	written, over := make(chan struct{}, 1), make(chan struct{})
	ended := make(chan error, 2)
	go func() {
		ended <- c.Logs(ctx, api.LogQuery{Targets: att.targets, N: att.lines, Follow: true}, att.printLine(p, written))
	}()
	go func() { ended <- c.Events(ctx, att.since, true, att.printEvent(p, over)) }()
	done := make(chan error, 4)
	for presses := 0; ; {
		select {
		case s := <-signals:
			if presses++; s != os.Interrupt || presses > 2 {
				return left, nil
			}
			go func() { done <- att.interrupt(presses) }()
		case err := <-done:
			drain(written)
			return interrupted, err
		case <-over:
			drain(written)
			return eventOver, nil
		case err := <-ended:
			if p.lost() {
				return left, nil
			}
			if !isGone(err) && err != nil {
				return left, err
			}
			if presses > 0 {
				return interrupted, <-done // its answer is on the way
			}
			return daemonGone, nil
		}
	}
}

// printLine prints lines of output, and says so to written.
func (att attachment) printLine(p *printer, written chan<- struct{}) func(api.LogLine) error {
	return func(l api.LogLine) error {
		if !l.Time.IsZero() && l.Time.Before(att.from) {
			return nil
		}
		select {
		case written <- struct{}{}:
		default:
		}
		return p.line(l.Name, l.Text)
	}
}

// printEvent prints changes of state, and what was found hanging, and closes over at the event that is the last one.
func (att attachment) printEvent(p *printer, over chan<- struct{}) func(api.Event) error {
	names := map[string]bool{}
	for _, t := range att.targets {
		names[t] = true
	}
	finished := false
	return func(e api.Event) error {
		if e.Kind != "state" && e.Kind != "hang" || e.Name == "" || len(names) > 0 && !names[e.Name] {
			return nil
		}
		err := p.event(e)
		if !finished && att.over != nil && e.Kind == "state" && att.over(e) {
			finished = true
			close(over)
		}
		return err
	}
}

// drain waits until nothing more is written: what services said last arrives after they have gone.
func drain(written <-chan struct{}) {
	limit, quiet := time.NewTimer(drainTime), time.NewTimer(quietTime)
	defer limit.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-written:
			quiet.Reset(quietTime)
		case <-quiet.C:
			return
		case <-limit.C:
			return
		}
	}
}
