package graph

import (
	"fmt"
	"slices"
	"strings"
)

// A Kind is a way of depending on a service.
type Kind uint8

// The kinds of dependency, the strongest first.
const (
	Needs Kind = iota
	Wants
	After
	kinds
)

var verbs = [kinds]string{Needs: "needs", Wants: "wants", After: "is after"}

// String returns the verb of the kind: "needs", "wants", "is after".
func (k Kind) String() string {
	if k >= kinds {
		return "?"
	}
	return verbs[k]
}

// A Link is one dependency: From depends on To.
type Link struct {
	From string
	Kind Kind // the strongest, where From names To in more than one way
	To   string
}

// String spells the link: "web" needs "db".
func (l Link) String() string { return fmt.Sprintf("%q %v %q", l.From, l.Kind, l.To) }

// A Cycle is a way from a service back to itself. It begins with the first of its names.
type Cycle []Link

// String spells every link: "a" needs "b", "b" is after "a".
func (c Cycle) String() string {
	words := make([]string, len(c))
	for i, l := range c {
		words[i] = l.String()
	}
	return strings.Join(words, ", ")
}

// maxCycles bounds what is reported: the cycles of a graph can outnumber its services by far.
const maxCycles = 16

// A color says how far the search is with a service.
type color uint8

const (
	white color = iota // not met yet
	grey               // on the path
	black              // finished, in order
)

// A search goes through the graph depth first. It leaves the services in order, dependencies first, and meets each link
// that closes a cycle once.
type search struct {
	g      *Graph
	color  []color
	path   []int
	order  []int
	cycles []Cycle
}

func (s *search) visit(i int) {
	if s.color[i] != white {
		return
	}
	s.color[i] = grey
	s.path = append(s.path, i)
	for _, j := range s.g.all.of(i) {
		if s.color[j] == grey && len(s.cycles) < maxCycles {
			s.cycles = append(s.cycles, s.g.spell(s.path[slices.Index(s.path, j):]))
		}
		s.visit(j)
	}
	s.path = s.path[:len(s.path)-1]
	s.color[i] = black
	s.order = append(s.order, i)
}

// spell names the links along ring, whose last service depends on its first.
func (g *Graph) spell(ring []int) Cycle {
	first := 0
	for p, i := range ring {
		if g.names[i] < g.names[ring[first]] {
			first = p
		}
	}
	c := make(Cycle, len(ring))
	for p := range ring {
		from, to := ring[(first+p)%len(ring)], ring[(first+p+1)%len(ring)]
		c[p] = Link{From: g.names[from], Kind: g.kind(from, to), To: g.names[to]}
	}
	return c
}

// kind returns the strongest way in which from depends on to.
func (g *Graph) kind(from, to int) Kind {
	for k := range kinds {
		if slices.Contains(g.out[k].of(from), to) {
			return k
		}
	}
	return kinds
}
