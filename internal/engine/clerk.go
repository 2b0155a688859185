package engine

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/evidence"
	"example.com/stay/internal/incident"
	"example.com/stay/internal/unit"
)

// A draft is an incident on its way to the store.
type draft struct {
	incident *api.Incident
	gone     unit.Time       // when nothing was left of the generation
	stream   *capture.Stream // of its output; nil: it has ended
	done     chan struct{}   // a draft of nothing: closed when its turn has come
}

// A clerk completes incidents with what takes time to find out, and stores them: one goroutine, behind a bounded queue.
type clerk struct {
	queue chan *draft
	log   *slog.Logger
	logs  *capture.Store
	store *incident.Store
	oom   *evidence.OOM
	found func(a *api.Incident) // called when a death turns out to be the kernel's, for want of memory
}

// clerkQueue is how many incidents may wait.
const clerkQueue = 256

// outputWait bounds the wait for the last output of an ended generation.
const outputWait = 300 * time.Millisecond

// lastOutput is how many lines of output an incident keeps.
const lastOutput = 20

// lastOutputLine is how much of each, in bytes: what a service writes can be long, and take six times its length in a file.
const lastOutputLine = 1 << 10

func newClerk(log *slog.Logger) *clerk { return &clerk{queue: make(chan *draft, clerkQueue), log: log} }

// openClerk has the clerk begin: what was given to it before is stored now.
func (e *Engine) openClerk() {
	e.clerk.logs = e.store
	store, err := incident.Open(filepath.Join(e.cfg.Daemon.StateDir, "incidents"))
	if err != nil {
		e.log.Error("incidents are not stored", "error", err)
	}
	e.clerk.store = store
	e.clerk.oom = evidence.NewOOM()
	e.clerk.found = e.noteOOM
	go e.clerk.run()
}

// take gives a draft to the clerk, without ever waiting.
func (c *clerk) take(d *draft) {
	select {
	case c.queue <- d:
	default:
		c.log.Warn("an incident was not stored: too many at once", "unit", d.incident.Name)
	}
}

func (c *clerk) run() {
	for d := range c.queue {
		if d.done != nil {
			close(d.done)
			continue
		}
		c.complete(d)
		if c.store == nil {
			continue
		}
		if err := c.store.Write(d.incident); err != nil {
			c.log.Warn("store incident", "unit", d.incident.Name, "error", err)
		}
	}
}

// A storedEnd names the end that an incident is about.
type storedEnd struct {
	name string
	gen  uint64
}

// known are the ends since a moment of which there is an incident.
func (c *clerk) known(since time.Time) map[storedEnd]bool {
	known := map[storedEnd]bool{}
	if c.store == nil {
		return known
	}
	list, err := c.store.List(incident.Filter{Since: since})
	if err != nil {
		c.log.Warn("incidents cannot be read", "error", err)
	}
	for _, a := range list {
		known[storedEnd{a.Name, a.Generation}] = true
	}
	return known
}

// settle waits until all that was taken so far is stored.
func (c *clerk) settle(ctx context.Context) {
	done := make(chan struct{})
	select {
	case c.queue <- &draft{done: done}:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// noteOOM makes an event of what the kernel did. It is called by the clerk.
func (e *Engine) noteOOM(a *api.Incident) {
	name, gen, pid := a.Name, a.Generation, a.Pid
	e.post(func() {
		e.event(event{kind: api.KindOOM, in: e.insts[name], gen: gen, pid: pid, text: "the kernel killed it for want of memory",
			more: func(a *api.Event) { a.Name, a.Cause = name, api.CauseOOM }})
	})
}

// complete adds what is found out beside the loop: whether it was the kernel for want of memory, and the last output.
func (c *clerk) complete(d *draft) {
	a := d.incident
	if a.Cause == api.CauseSignal && a.Signal == "KILL" {
		if how, yes := c.oom.Killed(a.Pid, a.MonoNS); yes {
			a.Cause, a.Detail = api.CauseOOM, how
			c.found(a)
		}
	}
	if d.stream != nil && len(c.queue) < clerkQueue/16 {
		timer := time.NewTimer(outputWait)
		select {
		case <-d.stream.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	if lines, err := c.logs.Tail(a.Name, lastOutput); err == nil {
		for _, l := range lines {
			a.Log = append(a.Log, cutLine(l.Text, lastOutputLine))
		}
	}
	if c.store != nil {
		a.Today = c.store.Count(a.Name, a.Cause, a.Time) + 1
	}
}

// cutLine is the beginning of a line, most bytes at most, and no half character.
func cutLine(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "…"
	text = text[:most-len(more)]
	for len(text) > 0 {
		if r, n := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || n != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return strings.Clone(text) + more
}
