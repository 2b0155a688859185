package engine

import (
	"slices"

	"example.com/stay/internal/graph"
	"example.com/stay/internal/unit"
)

// This file: what the units of one service mean to the services around it.

// mark notes that the service's status has to be computed again.
func (e *Engine) mark(s *service) {
	if !s.marked {
		s.marked = true
		e.dirty = append(e.dirty, s)
	}
}

// settleGraph computes what changed for the graph, tells the units concerned, and repeats until nothing moves.
func (e *Engine) settleGraph() {
	for len(e.dirty) > 0 {
		s := e.dirty[0]
		e.dirty = e.dirty[1:]
		s.marked = false
		status := e.status(s)
		lapsed := s.lapsed
		s.lapsed = false
		if status == s.status && !lapsed {
			continue
		}
		settled := status.Settled != s.status.Settled
		lost := status.Lost != s.status.Lost || lapsed
		s.status = status
		for _, i := range e.tracker.Update(s.index, status) {
			e.tellUnits(e.services[i])
		}
		for _, i := range e.graph.Dependents(s.index) {
			if lost { // to some of them, maybe, and they to others
				e.tellUnits(e.services[i])
				e.mark(e.services[i])
			}
			if settled { // who is blocked on it may count as settled itself, and who waits for that hears that it is in vain
				e.mark(e.services[i])
				e.touchWaited(e.services[i])
			}
		}
	}
}

// touchWaited has clients that wait for a service look again.
func (e *Engine) touchWaited(s *service) {
	for _, in := range s.insts {
		if len(in.waits) > 0 {
			e.touch(in)
		}
	}
}

// tellUnits tells the units of a service what changed around it.
func (e *Engine) tellUnits(s *service) {
	met, lost := e.tracker.Met(s.index), e.mustGo(s)
	if met != s.wasMet {
		s.wasMet = met
		kind := unit.DepsUnmet
		if met {
			kind = unit.DepsMet
		}
		for _, in := range s.insts {
			e.step(in, unit.Event{Kind: kind})
		}
	}
	if lost != s.wasLost {
		s.wasLost = lost
		if lost && e.daemon.Mode != goingDown { // then each is asked when its turn comes
			for _, in := range s.insts {
				e.step(in, unit.Event{Kind: unit.DepLost})
			}
		}
	}
	for _, in := range s.insts {
		if in.u.Held && e.free(s) {
			e.step(in, unit.Event{Kind: unit.Stop, Now: e.daemon.Now})
		}
	}
}

// free says whether nobody who has to go first is still there.
func (e *Engine) free(s *service) bool {
	if e.daemon.Mode == goingDown {
		return e.daemon.Now || e.tracker.Free(s.index)
	}
	return e.tracker.FreeHard(s.index)
}

// status computes what a service is to its neighbours.
func (e *Engine) status(s *service) graph.Status {
	var st graph.Status
	ready, wanted, settled := 0, 0, true
	for _, in := range s.insts {
		if in.u.HasProcess() {
			st.Live = true
		}
		if in.leaver {
			continue
		}
		if in.u.Want != unit.Down {
			wanted++
		}
		switch in.u.Phase {
		case unit.Ready, unit.Examining, unit.Dumping:
			if in.u.WasReady {
				ready++
			} else {
				settled = false
			}
		case unit.Spawning, unit.Starting:
			settled = false
		case unit.Blocked:
			settled = settled && e.stuck(s)
		case unit.Stopping, unit.Killing: // on its way to a new generation, if it is wanted
			settled = settled && in.u.Want == unit.Down
		}
	}
	alive := 0
	for _, in := range s.insts {
		if !in.leaver && in.u.Phase != unit.Failed && in.u.Phase != unit.Idle {
			alive++
		}
	}
	st.Ready = wanted > 0 && ready > 0 && ready == s.spec.Instances
	if s.spec.Job != nil { // who needs it needs what it has done
		done := len(s.insts) > 0 && s.insts[0].u.Done
		st.Ready, st.Settled = done, done || settled
		s.gone = false
		return st
	}
	st.Settled = st.Ready || settled
	s.gone = wanted == 0 || alive == 0 || e.lostTo(s) // what it needs is lost: so is it, to who needs it
	e.noteUnready(s, ready > 0)
	st.Lost = s.gone || s.unready != 0 && s.firstLoss != 0 && e.now >= s.firstLoss
	return st
}

// stuck says whether everything that a blocked service waits for has come to rest without being ready: then who only
// wants it, or comes after it, need not wait.
func (e *Engine) stuck(s *service) bool {
	for _, i := range e.tracker.WaitsFor(s.index) {
		if !e.services[i].status.Settled {
			return false
		}
	}
	return true
}

// noteUnready keeps since when a service has had no ready instance, and when that makes it lost to those that need it.
func (e *Engine) noteUnready(s *service, ready bool) {
	if ready {
		s.unready, s.firstLoss, s.nextLoss = 0, 0, 0
		return
	}
	if s.unready == 0 {
		s.unready = e.now
	}
	if s.firstLoss != 0 {
		return
	}
	s.firstLoss = e.lossAfter(s, s.unready-1)
	s.nextLoss = s.firstLoss
	if s.nextLoss != 0 && !s.watched {
		s.watched = true
		e.unready = append(e.unready, s)
	}
}

// lossAfter is the first moment after at when a service without a ready instance becomes lost to one more of those that
// need it, each after its own lost_after; 0 if there is none.
func (e *Engine) lossAfter(s *service, at unit.Time) unit.Time {
	var next unit.Time
	for _, i := range e.graph.Dependents(s.index) {
		d := e.services[i]
		loss := s.unready.Add(d.spec.LostAfter)
		if loss > at && (next == 0 || loss < next) && slices.Contains(d.spec.Needs, s.spec.Name) {
			next = loss
		}
	}
	return next
}

// mustGo says whether a service has to end because something that it needs is lost: when those that need it have gone.
func (e *Engine) mustGo(s *service) bool { return e.lostTo(s) && e.tracker.FreeHard(s.index) }

// lostTo says whether something that a service needs is lost to it: stopped, given up, or without a ready instance for
// its lost_after.
func (e *Engine) lostTo(s *service) bool {
	for _, name := range s.spec.Needs {
		if d := e.service(name); d != nil && (d.gone || d.unready != 0 && e.now >= d.unready.Add(s.spec.LostAfter)) {
			return true
		}
	}
	return false
}

// lostNext is the earliest moment at which a service becomes lost to one more of those that need it, 0 if there is none.
func (e *Engine) lostNext() unit.Time {
	var next unit.Time
	kept := e.unready[:0]
	for _, s := range e.unready {
		due := s.nextLoss
		if due != 0 && due <= e.now {
			s.nextLoss = e.lossAfter(s, e.now)
			s.lapsed = true
			e.mark(s)
		}
		if due != 0 && (next == 0 || due < next) {
			next = due
		}
		if s.nextLoss == 0 {
			s.watched = false
			continue
		}
		kept = append(kept, s)
	}
	e.unready = kept
	return next
}

// initGraph computes where everything stands without telling anybody, then tells each unit what is new to it.
func (e *Engine) initGraph() {
	e.dirty = nil
	for range 2 { // the second round sees through blocked services
		for _, i := range e.graph.Order() {
			s := e.services[i]
			s.marked = false
			s.status = e.status(s)
			e.tracker.Update(i, s.status)
		}
	}
	for _, s := range e.services {
		s.wasMet, s.wasLost = e.tracker.Met(s.index), e.mustGo(s)
		for _, in := range s.insts {
			switch {
			case s.wasMet && !in.u.DepsMet:
				e.step(in, unit.Event{Kind: unit.DepsMet})
			case !s.wasMet && in.u.DepsMet:
				e.step(in, unit.Event{Kind: unit.DepsUnmet})
			}
			if s.wasLost && e.daemon.Mode != goingDown {
				e.step(in, unit.Event{Kind: unit.DepLost})
			}
			if in.u.Held && e.free(s) {
				e.step(in, unit.Event{Kind: unit.Stop, Now: e.daemon.Now})
			}
		}
	}
}
