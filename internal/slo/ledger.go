package slo

import (
	"maps"
	"slices"
	"time"

	"example.com/stay/api"
)

// Kinds are the kinds of events that a Ledger makes something of.
var Kinds = []string{api.KindState, api.KindExit, api.KindOOM, api.KindEngine, api.KindGap, api.KindAlive, api.KindCheckpoint}

// A class is what a moment counts as.
type class uint8

const (
	unknown class = iota
	off           // not wanted, or done
	down
	up
)

// A span begins where an instance becomes something else, and ends where the next begins.
type span struct {
	at time.Duration // since the first event
	is class
}

// A death is the end of a generation.
type death struct {
	at      time.Duration
	gen     uint64
	cause   api.Cause
	failure bool
	back    time.Duration // when it was up again; 0: not yet
}

// An instance is what is known of one.
type instance struct {
	spans  []span
	deaths []death
}

// A Ledger takes events in order, and answers at any time. The zero value is ready.
type Ledger struct {
	begin time.Time // of the first event
	at    time.Duration
	last  api.Event
	boot  string
	all   map[string]*instance
}

// Add takes the next event.
func (l *Ledger) Add(a api.Event) {
	before := l.at
	l.advance(a)
	if a.Job {
		return
	}
	switch a.Kind {
	case api.KindEngine:
		if a.First {
			l.lose(before)
		}
	case api.KindGap:
		l.lose(before)
	case api.KindCheckpoint:
		for state, names := range a.States {
			for _, name := range names {
				l.of(name).become(l.at, classOf(state, true))
			}
		}
	case api.KindState:
		if a.To != "" && a.Name != "" {
			l.of(a.Name).become(l.at, classOf(a.To, a.Wanted))
		}
	case api.KindExit:
		l.died(a)
	case api.KindOOM:
		l.blame(a)
	}
}

// advance moves the present to that of a.
func (l *Ledger) advance(a api.Event) {
	if l.all == nil {
		l.all, l.begin, l.last, l.boot = map[string]*instance{}, a.Time, a, a.Boot
		return
	}
	l.at += l.since(a.Time, a.MonoNS, a.Boot)
	l.last = a
	if a.Boot != "" {
		l.boot = a.Boot
	}
}

// since is the time from the last event to a moment.
func (l *Ledger) since(wall time.Time, mono int64, boot string) time.Duration {
	otherBoot := boot != "" && l.boot != "" && boot != l.boot
	if otherBoot || mono < l.last.MonoNS {
		return max(0, wall.Sub(l.last.Time))
	}
	return time.Duration(mono - l.last.MonoNS)
}

// of returns the instance of that name.
func (l *Ledger) of(name string) *instance {
	in := l.all[name]
	if in == nil {
		in = &instance{}
		l.all[name] = in
	}
	return in
}

// lose takes note that from a moment on nothing is known of anybody, until it is told.
func (l *Ledger) lose(from time.Duration) {
	for _, in := range l.all {
		in.become(from, unknown)
		if n := len(in.deaths); n > 0 && in.deaths[n-1].back == 0 {
			in.deaths[n-1].back = lost
		}
	}
}

// lost is when an instance came back of which that is not known.
const lost time.Duration = -1

// died takes the end of a generation.
func (l *Ledger) died(a api.Event) {
	in := l.of(a.Name)
	is := off
	asked := a.Cause == api.CauseOperator || a.Cause == api.CauseChanged || a.Cause == api.CauseDependency
	if a.Wanted && (asked || !a.Expected) { // else it is done
		is = down
	}
	in.become(l.at, is)
	in.deaths = append(in.deaths, death{at: l.at, gen: a.Generation, cause: a.Cause, failure: !a.Expected})
}

// blame corrects the cause of a death.
func (l *Ledger) blame(a api.Event) {
	in := l.of(a.Name)
	for i := range slices.Backward(in.deaths) {
		if in.deaths[i].gen == a.Generation {
			in.deaths[i].cause = api.CauseOOM
			return
		}
	}
}

// become begins a span, if it is another.
func (in *instance) become(at time.Duration, is class) {
	n := len(in.spans)
	if is == up {
		for i := range slices.Backward(in.deaths) { // those since it was up last
			if in.deaths[i].back != 0 {
				break
			}
			in.deaths[i].back = max(at, 1)
		}
	}
	switch {
	case n > 0 && in.spans[n-1].is == is, n == 0 && is == unknown:
		return
	case n > 0 && in.spans[n-1].at >= at: // nothing lasts no time
		in.spans[n-1].is = is
		return
	}
	in.spans = append(in.spans, span{at, is})
}

// classOf is what a state counts as.
func classOf(s api.State, wanted bool) class {
	switch s {
	case api.Running:
		return up
	case api.Waiting, api.Starting, api.Failed:
		return down
	case api.Stopping:
		if wanted {
			return down
		}
	}
	return off
}

// names are the instances, sorted.
func (l *Ledger) names() []string { return slices.Sorted(maps.Keys(l.all)) }
