package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// parse reads one node a line: "web: needs db cache; wants log; after net".
func parse(t testing.TB, text string) []Node {
	t.Helper()
	var nodes []Node
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "" {
			continue
		}
		n := Node{Name: name}
		for part := range strings.SplitSeq(rest, ";") {
			words := strings.Fields(part)
			if len(words) == 0 {
				continue
			}
			switch words[0] {
			case "needs":
				n.Needs = append(n.Needs, words[1:]...)
			case "wants":
				n.Wants = append(n.Wants, words[1:]...)
			case "after":
				n.After = append(n.After, words[1:]...)
			default:
				t.Fatalf("%q is no kind of dependency", words[0])
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// build is New for a text without cycles.
func build(t testing.TB, text string) *Graph {
	t.Helper()
	g, cycles := New(parse(t, text))
	if g == nil || len(cycles) > 0 {
		t.Fatalf("cycles: %v", cycles)
	}
	return g
}

// names spells a list of indexes.
func names(g *Graph, list []int) string {
	words := make([]string, len(list))
	for p, i := range list {
		words[p] = g.Name(i)
	}
	return strings.Join(words, " ")
}

// at is the index of a name that must be there.
func at(t testing.TB, g *Graph, name string) int {
	t.Helper()
	i, ok := g.Index(name)
	if !ok {
		t.Fatalf("no %q", name)
	}
	return i
}

const shop = `
	web:   needs db api; wants cache; after net
	api:   needs db; after log
	db:    after disk
	cache: wants log
	log:
	net:
	disk:
	batch: needs db
`

func TestOrder(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"none", ``, ``},
		{"one", `a:`, `a`},
		{"by name where nothing else counts", "c:\nb:\na:", `a b c`},
		{"needs", "a: needs b\nb:", `b a`},
		{"wants", "a: wants b\nb:", `b a`},
		{"after", "a: after b\nb:", `b a`},
		{"chain against the names", "a: needs b\nb: wants c\nc: after d\nd:", `d c b a`},
		{"dependencies by name too", "a: needs d c\nb:\nc:\nd:", `c d a b`},
		{"named twice and in two ways", "a: needs b b; wants b; after b\nb:", `b a`},
		{"unknown names are ignored", "a: needs x; wants y; after z", `a`},
		{"diamond", "a: needs b c\nb: needs d\nc: needs d\nd:", `d b c a`},
		{"shop", shop, `disk db log api batch cache net web`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes := parse(t, tt.text)
			for range 5 {
				g, _ := New(nodes)
				if got := names(g, g.Order()); got != tt.want {
					t.Errorf("order %q, want %q", got, tt.want)
				}
				rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
			}
		})
	}
}

func TestLists(t *testing.T) {
	g := build(t, shop)
	if g.Len() != 8 {
		t.Errorf("Len %d, want 8", g.Len())
	}
	tests := []struct {
		what string
		got  []int
		want string
	}{
		{"needs of web", g.Needs(at(t, g, "web")), "api db"},
		{"wants of web", g.Wants(at(t, g, "web")), "cache"},
		{"after of web", g.After(at(t, g, "web")), "net"},
		{"needs of log", g.Needs(at(t, g, "log")), ""},
		{"dependents of db", g.Dependents(at(t, g, "db")), "api batch web"},
		{"dependents of cache, which is only wanted", g.Dependents(at(t, g, "cache")), ""},
		{"pull of web", g.Pull(at(t, g, "web")), "db log api cache web"},
		{"pull of api: after pulls nothing", g.Pull(at(t, g, "api")), "db api"},
		{"pull of db", g.Pull(at(t, g, "db")), "db"},
	}
	for _, tt := range tests {
		if got := names(g, tt.got); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestIndexIsThePlaceGiven(t *testing.T) {
	nodes := parse(t, "c:\na:\nb:\na: needs c")
	g, _ := New(nodes)
	for i, n := range nodes {
		if g.Name(i) != n.Name {
			t.Errorf("name of %d is %q, want %q", i, g.Name(i), n.Name)
		}
	}
	if i, ok := g.Index("a"); i != 1 || !ok {
		t.Errorf("index of a name given twice: %d, %v, want the first, 1", i, ok)
	}
	if i, ok := g.Index("nobody"); ok {
		t.Errorf("index of an unknown name: %d", i)
	}
	if got := len(g.Order()); got != 4 {
		t.Errorf("%d services in order, want 4", got)
	}
}

func TestListsCannotBeGrownIntoEachOther(t *testing.T) {
	g := build(t, "a: needs c\nb: needs d\nc:\nd:")
	_ = append(g.Needs(0), 99)
	if got := names(g, g.Needs(1)); got != "d" {
		t.Errorf("needs of b became %q by an append to those of a", got)
	}
}

// random returns n nodes that depend on earlier ones only, about three each, in any order.
func random(r *rand.Rand, n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("s%05d", r.IntN(1e5)*n+i)
		for range min(i, r.IntN(7)) {
			name := nodes[r.IntN(i)].Name
			switch r.IntN(3) {
			case 0:
				nodes[i].Needs = append(nodes[i].Needs, name)
			case 1:
				nodes[i].Wants = append(nodes[i].Wants, name)
			default:
				nodes[i].After = append(nodes[i].After, name)
			}
		}
	}
	r.Shuffle(n, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes
}

func TestOrderOfRandomGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		nodes := random(r, r.IntN(60))
		g, cycles := New(nodes)
		if len(cycles) > 0 {
			t.Fatalf("%v in %v", cycles, nodes)
		}
		place := make(map[string]int)
		for p, i := range g.Order() {
			place[g.Name(i)] = p
		}
		if len(place) != len(nodes) {
			t.Fatalf("%d of %d in order", len(place), len(nodes))
		}
		for i, n := range nodes {
			for _, dep := range slices.Concat(n.Needs, n.Wants, n.After) {
				if place[dep] >= place[n.Name] {
					t.Fatalf("%q is not before %q", dep, n.Name)
				}
			}
			checkPull(t, g, i)
		}
	}
}

// checkPull compares Pull with its definition: i, closed over needs and wants, nothing else, in order.
func checkPull(t *testing.T, g *Graph, i int) {
	t.Helper()
	want := map[int]bool{}
	var reach func(int)
	reach = func(j int) {
		if !want[j] {
			want[j] = true
			for _, k := range slices.Concat(g.Needs(j), g.Wants(j)) {
				reach(k)
			}
		}
	}
	reach(i)
	var list []int
	for _, j := range g.Order() {
		if want[j] {
			list = append(list, j)
		}
	}
	if got := g.Pull(i); !slices.Equal(got, list) || got[len(got)-1] != i {
		t.Fatalf("pull of %q is %q, want %q", g.Name(i), names(g, got), names(g, list))
	}
}

func TestLongChain(t *testing.T) {
	const n = 100000
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("s%06d", i)
		if i+1 < n {
			nodes[i].Needs = []string{fmt.Sprintf("s%06d", i+1)}
		}
	}
	g, cycles := New(nodes)
	if len(cycles) > 0 || g.Order()[0] != n-1 || g.Order()[n-1] != 0 {
		t.Fatalf("a chain of %d: %d cycles", n, len(cycles))
	}
}

func BenchmarkNew10000(b *testing.B) {
	nodes := random(rand.New(rand.NewPCG(3, 4)), 10000)
	for b.Loop() {
		New(nodes)
	}
}
