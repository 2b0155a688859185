package engine

import (
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/unit"
)

// This file: what the journal says so that figures can be made of any part of it. Of a stretch without events it is known
// that stay was there; and no file has to be read for what an older one says.

// How often the books are kept.
const (
	aliveAfter      = 10 * time.Minute // without an event there is one of kind "alive"
	checkpointAfter = 24 * time.Hour
	checkpointBytes = journalSize / 3 // so that each file has one
)

// linePart is how many bytes of names one line of a checkpoint has at most.
const linePart = 3000

// keepBooks writes what is due, and asks to be called again.
func (e *Engine) keepBooks() {
	d := &e.diary
	switch {
	case e.now.Sub(d.checked) >= checkpointAfter:
		e.checkpoint()
	case e.now.Sub(d.wrote) >= aliveAfter:
		e.event(event{kind: api.KindAlive, text: "nothing happened"})
	}
	e.after(aliveAfter/2, e.keepBooks)
}

// checkpoint says what all instances are.
func (e *Engine) checkpoint() {
	d := &e.diary
	d.told, d.checked = 0, e.now
	states := map[api.State][]string{}
	bytes := 0
	say := func() {
		told := states
		states, bytes = map[api.State][]string{}, 0
		e.event(event{kind: api.KindCheckpoint, text: "what all are", more: func(a *api.Event) { a.States, a.Boot = told, e.events.boot }})
	}
	for _, s := range e.services {
		for _, in := range s.insts {
			if in.svc.spec.Job != nil {
				continue // it is to end: there are no figures of it
			}
			is := state(in)
			if is == api.Stopping && in.u.Want == unit.Down {
				is = api.Stopped // for figures: it need not be up
			}
			if bytes += len(in.name) + len(`"",`); bytes > linePart {
				say()
			}
			states[is] = append(states[is], in.name)
		}
	}
	say()
}
