package graph

import "slices"

// A Status is what the dependents of a service, and its dependencies, have to know of it. The zero value is a service of
// which nothing is known: nobody is released by it, nobody has lost it, and it holds nobody.
type Status struct {
	Ready   bool // every instance is ready
	Settled bool // nothing is under way that a want or an after should wait for: ready, stopped, failed, in a restart delay
	Lost    bool // as a need it counts as lost: stopped, given up, too long without a ready instance
	Live    bool // some process of it exists
}

// A Tracker answers from counters what the dependencies of a service allow. It belongs to one goroutine.
type Tracker struct {
	g        *Graph
	status   []Status
	unmet    []int // dependencies that are waited for, counted per kind
	lost     []int // needs that are lost
	live     []int // dependents of any kind that are live
	liveHard []int // dependents by need that are live
}

// NewTracker returns a tracker in which every service has the zero Status.
func NewTracker(g *Graph) *Tracker {
	n := g.Len()
	t := &Tracker{g: g, status: make([]Status, n), unmet: make([]int, n), lost: make([]int, n), live: make([]int, n),
		liveHard: make([]int, n)}
	for i := range n {
		for k := range kinds {
			t.unmet[i] += len(g.out[k].of(i))
		}
	}
	return t
}

// Update sets the status of i and returns the services for which an answer of Met, Lost, Free or FreeHard changed by it,
// each once. The list is the caller's.
func (t *Tracker) Update(i int, s Status) (changed []int) {
	old := t.status[i]
	t.status[i] = s
	g := t.g
	if by := step(old.Ready, s.Ready); by != 0 {
		changed = count(changed, t.unmet, g.in[Needs].of(i), -by)
	}
	if by := step(old.Settled, s.Settled); by != 0 {
		changed = count(changed, t.unmet, g.in[Wants].of(i), -by)
		changed = count(changed, t.unmet, g.in[After].of(i), -by)
	}
	if by := step(old.Lost, s.Lost); by != 0 {
		changed = count(changed, t.lost, g.in[Needs].of(i), by)
	}
	if by := step(old.Live, s.Live); by != 0 {
		changed = count(changed, t.live, g.all.of(i), by)
		changed = count(changed, t.liveHard, g.out[Needs].of(i), by)
	}
	slices.Sort(changed)
	return slices.Compact(changed)
}

// Met says whether i may start as far as others are concerned: each of its needs is ready, each want and after settled.
func (t *Tracker) Met(i int) bool { return t.unmet[i] == 0 }

// Lost says whether something that i needs is lost.
func (t *Tracker) Lost(i int) bool { return t.lost[i] > 0 }

// Free says whether i may be stopped when everything is: nobody who needs it, wants it or is after it is live.
func (t *Tracker) Free(i int) bool { return t.live[i] == 0 }

// FreeHard says whether i may be stopped on its own: nobody who needs it is live.
func (t *Tracker) FreeHard(i int) bool { return t.liveHard[i] == 0 }

// WaitsFor returns the dependencies for which i is not Met: needs, then wants, then afters, each once and by name. It
// looks through all dependencies of i; it is meant for people.
func (t *Tracker) WaitsFor(i int) []int {
	var list []int
	for k := range kinds {
		for _, j := range t.g.out[k].of(i) {
			met := t.status[j].Settled
			if k == Needs {
				met = t.status[j].Ready
			}
			if !met && !slices.Contains(list, j) {
				list = append(list, j)
			}
		}
	}
	return list
}

// step is by how much a counter of those who are so changes when one of them was and is now.
func step(was, is bool) int {
	switch {
	case is && !was:
		return 1
	case was && !is:
		return -1
	}
	return 0
}

// count adds by, which is 1 or −1, to the counters of list and appends to changed those that became or ceased to be 0.
func count(changed, counters, list []int, by int) []int {
	for _, j := range list {
		before := counters[j]
		counters[j] += by
		if before == 0 || counters[j] == 0 {
			changed = append(changed, j)
		}
	}
	return changed
}
