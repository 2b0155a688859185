package engine

import (
	"strings"

	"example.com/stay/api"
)

// This file: events of commands. Each is told when it is taken, with who asked, and again when it is known what became of
// it; one that is refused is told once.

// commandTaken makes an event of a command that is carried out, and has w tell the result.
func (e *Engine) commandTaken(c api.Command, w *wait) {
	text := string(c.Verb) + " " + c.Target
	if c.Verb == api.Signal {
		text = "signal " + c.Signal + " " + c.Target
	}
	seq := e.event(event{kind: api.KindCommand, text: text, more: func(a *api.Event) { a.By, a.Verb, a.Target = w.by, string(c.Verb), c.Target }})
	if !c.NoWait {
		w.command = seq
	}
}

// commandRefused makes an event of a command that is not carried out.
func (e *Engine) commandRefused(c api.Command, by *api.Caller, why error) {
	if c.Verb == api.Wait {
		return
	}
	e.daemonCommand(string(c.Verb), c.Target, by, "refused: "+strings.TrimSpace(string(c.Verb)+" "+c.Target), why)
}

// daemonCommand makes an event of a command on the daemon as a whole.
func (e *Engine) daemonCommand(verb, target string, by *api.Caller, text string, why error) {
	e.event(event{kind: api.KindCommand, text: text, more: func(a *api.Event) {
		a.By, a.Verb, a.Target = by, verb, target
		if why != nil {
			a.Error = firstLine(why.Error())
		}
	}})
}

// commandDone makes an event of what became of the command that w is of.
func (e *Engine) commandDone(w *wait) {
	if w.command == 0 {
		return
	}
	var failures []string
	for _, f := range w.result.Failures {
		failures = append(failures, f.Name+": "+f.Message)
	}
	text := "done"
	if failures != nil {
		text = "not done"
	}
	e.event(event{kind: api.KindResult, text: text, more: func(a *api.Event) {
		a.Command, a.Error, a.Verb, a.Target, a.By = w.command, strings.Join(failures, "; "), string(w.verb), w.asked, w.by
	}})
}
