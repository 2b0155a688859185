package cli

import (
	"strings"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// A waitLine tells what is being waited for: on a terminal in one line that is written over, else a line when it changes.
type waitLine struct {
	ui   *ui
	over bool // standard error is a terminal
	last string
}

func (a *app) waitLine() *waitLine { return &waitLine{ui: a.ui, over: isTerminal(a.ui.err)} }

// show shows a text; "" takes it away.
func (w *waitLine) show(text string) {
	if text == w.last {
		return
	}
	w.ui.mu.Lock()
	defer w.ui.mu.Unlock()
	switch {
	case w.over && text == "":
		_, _ = w.ui.err.Write([]byte("\r\x1b[K"))
	case w.over:
		_, _ = w.ui.err.Write([]byte("\r\x1b[Kstay: " + cut(clean(text), 100)))
	case text != "":
		_, _ = w.ui.err.Write([]byte("stay: " + clean(text) + "\n"))
	}
	w.last = text
}

// showProgress shows on a terminal what is being waited for, until finished. It says nothing in the first second.
func (a *app) showProgress(c *client.Client, targets []string, finished <-chan struct{}) {
	line := a.waitLine()
	if !line.over {
		<-finished
		return
	}
	defer line.show("")
	for wait := time.NewTicker(a.tick); ; {
		select {
		case <-finished:
			wait.Stop()
			return
		case <-wait.C:
			list, _ := a.look(c, targets)
			if names := unsettled(list); names != "" {
				line.show("waiting: " + names)
			}
		}
	}
}

// look asks for the status of several targets, each instance once. It is for explaining, not for answering: it takes two
// seconds at most.
func (a *app) look(c *client.Client, targets []string) ([]api.Instance, error) {
	ctx, cancel := within(lookTime)
	defer cancel()
	return statusOf(ctx, c, targets)
}

// unsettled names instances that are on their way somewhere.
func unsettled(list []api.Instance) string {
	var parts []string
	for _, in := range list {
		if in.State != api.Waiting && in.State != api.Starting && in.State != api.Stopping {
			continue
		}
		s := in.Name + " (" + string(in.State)
		if in.Why != "" {
			s += ": " + in.Why
		}
		for _, p := range in.Refusing {
			s += ": " + process(p) + " refuses to die"
		}
		parts = append(parts, s+")")
	}
	const few = 5
	if len(parts) > few {
		parts = append(parts[:few], "…")
	}
	return strings.Join(parts, ", ")
}

// alive names instances that are not down.
func alive(list []api.Instance) string {
	var parts []string
	for _, in := range list {
		if in.State == api.Running {
			parts = append(parts, in.Name+" (running)")
		}
	}
	if more := unsettled(list); more != "" {
		parts = append(parts, more)
	}
	return strings.Join(parts, ", ")
}
