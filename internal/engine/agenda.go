package engine

import (
	"slices"

	"example.com/stay/internal/backoff"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: how one configuration takes the place of another, by one engine or by several of which all but the last died.

// become makes cfg the applied configuration and carries out what it asks for. On an error nothing changed.
func (e *Engine) become(cfg *spec.Config, a agenda) error {
	a.Number = e.agenda.Number + 1
	if err := e.holdConfig(cfg, a); err != nil {
		return err
	}
	paid := e.bucket.Paid
	e.bucket = backoff.NewBucket(e.cfg.Daemon.ForkRate)
	e.bucket.Paid = paid
	e.build(e.cfg)
	e.initGraph()
	for _, in := range e.insts {
		e.rejudge(in)
	}
	e.followTables()
	e.timeAll()
	e.relayOutput(false)
	e.store.Changed()
	e.carryOut()
	return nil
}

// plan adds to the agenda what one change asks for, beyond what follows from comparing. The service is nil if it goes.
func (e *Engine) plan(a *agenda, c spec.Change, next *spec.Service) {
	if next == nil {
		return
	}
	before := e.cfg.Service(c.Service)
	switch {
	case before == nil || before.Leaving || next.Enabled && !before.Enabled:
		if next.Enabled {
			a.Start = append(a.Start, c.Service)
		}
	case before.Enabled && !next.Enabled:
		a.Stop = append(a.Stop, c.Service)
	case next.Instances > before.Instances && anyWanted(e.service(c.Service)):
		if a.Grow == nil {
			a.Grow = map[string]int{}
		}
		a.Grow[c.Service] = before.Instances
	}
}

// carryOut does what the applied configuration asks for and has not been done: instances of which there are too many are
// stopped, those started with something else are restarted, and the agenda is worked off. Each of it may be done twice.
func (e *Engine) carryOut() {
	for _, i := range e.graph.Order() {
		s := e.services[i]
		for _, in := range s.insts {
			switch {
			case in.leaver:
				e.stop(in, false)
			case in.outdated(): // what is not up is tried again too: what changed may be the cure
				e.step(in, unit.Event{Kind: unit.Restart, Reason: unit.Changed})
			}
		}
	}
	if e.daemon.Done >= e.agenda.Number {
		return
	}
	e.workOff(e.agenda)
	e.flushTouched() // what was asked for is stored before it counts as done
	e.daemon.Done = e.agenda.Number
	e.saveDaemon()
}

func (e *Engine) workOff(a agenda) {
	for _, i := range e.graph.Order() {
		s := e.services[i]
		name := s.spec.Name
		start := slices.Contains(a.Start, name)
		above, grows := a.Grow[name]
		if start {
			e.startNeeds(i)
		}
		for _, in := range s.insts {
			switch {
			case in.leaver:
			case slices.Contains(a.Stop, name) && in.u.Want != unit.Down:
				e.stop(in, false)
			case grows && in.number > above, start: // new ones may have a past: they were leaving when they were wanted again
				e.startDown(in)
			}
		}
		e.settleGraph() // who comes after it hears that it is on its way before its own start
	}
}

// startNeeds starts what a service needs or wants, but for services of which some instance is wanted already.
func (e *Engine) startNeeds(i int) {
	for _, j := range e.graph.Pull(i) {
		if j == i || anyWanted(e.services[j]) {
			continue
		}
		for _, in := range e.services[j].insts {
			if !in.leaver {
				e.startDown(in)
			}
		}
		e.settleGraph()
	}
}

// startDown starts what is not wanted; what is goes on as it was.
func (e *Engine) startDown(in *inst) {
	if in.u.Want == unit.Down {
		e.step(in, in.asPlanned())
	}
}

// outdated says whether an instance that is wanted was last started with other settings than it has now. One whose spawn
// is still being prepared is prepared again in any case.
func (in *inst) outdated() bool {
	return in.u.Want != unit.Down && in.hash != "" && in.hash != in.svc.hash && !(in.u.Phase == unit.Spawning && in.preparing())
}

// preparing says whether the keeper has not got the order to spawn yet.
func (in *inst) preparing() bool { return in.making || in.act.Kind == unit.Spawn }
