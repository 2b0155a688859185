// Package graph knows the order of services: who waits for whom, who may be stopped before whom, and who pulls in whom.
//
// It is pure. A Graph is made once per configuration from names, is immutable and may be read from any goroutine; a
// service is a dense index, its place in what New was given. A Tracker belongs to one goroutine, the engine's loop: it
// is told what services are like, answers every question about dependencies from counters in constant time, and says
// who has to be looked at again. Neither knows what a service is.
//
// There are three kinds of dependency. A need is hard: it must be ready, and the one who needs it cannot live without. A
// want is soft: it is pulled in and waited for, whatever becomes of it. After is order only: nothing is pulled in.
//
// A configuration with a cycle over the three kinds together is refused, because nobody in it could ever start.
package graph

import (
	"cmp"
	"slices"
)

// A Node is one service and the names it depends on. Names that no node has are ignored: who reads the configuration
// reports them, with their place.
type Node struct {
	Name  string
	Needs []string // hard
	Wants []string // soft
	After []string // order only
}

// names returns the names that n depends on in the way of k.
func (n Node) names(k Kind) []string {
	return [kinds][]string{Needs: n.Needs, Wants: n.Wants, After: n.After}[k]
}

// A Graph is the order of the services of one configuration. Lists that it returns are its own and must not be changed.
type Graph struct {
	names []string
	index map[string]int
	order []int        // dependencies first
	place []int        // place[order[p]] = p
	out   [kinds]edges // whom a service depends on
	in    [kinds]edges // who depends on it
	all   edges        // out of every kind, each service once
}

// New returns the graph of nodes, or, where there is none, its cycles: at most 16 of them, each once, so that mending a
// file takes few rounds. Of nodes with the same name the first one counts.
func New(nodes []Node) (*Graph, []Cycle) {
	g := &Graph{names: make([]string, len(nodes)), index: make(map[string]int, len(nodes))}
	byName := make([]int, len(nodes))
	for i, n := range nodes {
		g.names[i], byName[i] = n.Name, i
		if _, taken := g.index[n.Name]; !taken {
			g.index[n.Name] = i
		}
	}
	slices.SortStableFunc(byName, func(a, b int) int { return cmp.Compare(g.names[a], g.names[b]) })
	g.link(nodes, byName)
	s := search{g: g, color: make([]color, len(nodes))}
	for _, i := range byName {
		s.visit(i)
	}
	if len(s.cycles) > 0 {
		return nil, s.cycles
	}
	g.order, g.place = s.order, inverse(s.order)
	return g, nil
}

// link fills the edges; every list is sorted by name and names nobody twice.
func (g *Graph) link(nodes []Node, byName []int) {
	rank := inverse(byName)
	for k := range kinds {
		g.out[k] = collect(rank, func(i int, to []int) []int {
			for _, name := range nodes[i].names(k) {
				if j, known := g.index[name]; known {
					to = append(to, j)
				}
			}
			return to
		})
		g.in[k] = g.out[k].reverse(byName)
	}
	g.all = collect(rank, func(i int, to []int) []int {
		for k := range kinds {
			to = append(to, g.out[k].of(i)...)
		}
		return to
	})
}

// Len returns the number of services; their indexes are 0…Len−1.
func (g *Graph) Len() int { return len(g.names) }

// Index returns the index of the service called name.
func (g *Graph) Index(name string) (int, bool) {
	i, ok := g.index[name]
	return i, ok
}

// Name returns the name of a service.
func (g *Graph) Name(i int) string { return g.names[i] }

// Order returns every service once, each behind all that it needs, wants or is after. It depends on names and
// dependencies alone, not on the order in which the nodes were given.
func (g *Graph) Order() []int { return g.order }

// Needs returns the services that i needs itself, by name.
func (g *Graph) Needs(i int) []int { return g.out[Needs].of(i) }

// Wants returns the services that i wants itself, by name.
func (g *Graph) Wants(i int) []int { return g.out[Wants].of(i) }

// After returns the services that i is after itself, by name.
func (g *Graph) After(i int) []int { return g.out[After].of(i) }

// Dependents returns the services that need i themselves, by name.
func (g *Graph) Dependents(i int) []int { return g.in[Needs].of(i) }

// Pull returns what has to be started to start i: everything it needs or wants, over any number of steps, and i itself,
// in the sense of Order, so i comes last. The list is the caller's.
func (g *Graph) Pull(i int) []int {
	pulled := []int{i}
	seen := map[int]bool{i: true}
	for next := 0; next < len(pulled); next++ {
		for _, k := range [...]Kind{Needs, Wants} {
			for _, j := range g.out[k].of(pulled[next]) {
				if !seen[j] {
					seen[j] = true
					pulled = append(pulled, j)
				}
			}
		}
	}
	slices.SortFunc(pulled, func(a, b int) int { return cmp.Compare(g.place[a], g.place[b]) })
	return pulled
}
