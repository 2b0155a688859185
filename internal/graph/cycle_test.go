package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCycles(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"itself", "a: needs a", []string{`"a" needs "a"`}},
		{"two", "a: needs b\nb: wants a", []string{`"a" needs "b", "b" wants "a"`}},
		{"three, a kind each", "b: after c\nc: wants a\na: needs b", []string{`"a" needs "b", "b" is after "c", "c" wants "a"`}},
		{"begins with the first name", "z: needs m\nm: needs x\nx: needs z\na: needs x", []string{`"m" needs "x", "x" needs "z", "z" needs "m"`}},
		{"the strongest kind is told", "a: after b; wants b; needs b\nb: after a; wants a", []string{`"a" needs "b", "b" wants "a"`}},
		{"beside a part without", "a: needs b\nb:\nx: after y\ny: after x", []string{`"x" is after "y", "y" is after "x"`}},
		{"two apart", "a: needs b\nb: needs a\nc: wants d\nd: wants c",
			[]string{`"a" needs "b", "b" needs "a"`, `"c" wants "d", "d" wants "c"`}},
		{"two that share a service", "a: needs b c\nb: needs a\nc: after a",
			[]string{`"a" needs "b", "b" needs "a"`, `"a" needs "c", "c" is after "a"`}},
		{"one within another", "a: needs b\nb: needs c\nc: needs b a",
			[]string{`"a" needs "b", "b" needs "c", "c" needs "a"`, `"b" needs "c", "c" needs "b"`}},
		{"reached from many sides, told once", "a: needs x\nb: needs x\nc: needs y\nx: needs y\ny: needs x",
			[]string{`"x" needs "y", "y" needs "x"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes := parse(t, tt.text)
			for range 5 {
				g, cycles := New(nodes)
				if g != nil {
					t.Fatal("a graph, though it has a cycle")
				}
				var got []string
				for _, c := range cycles {
					got = append(got, c.String())
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("cycles\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
				}
				rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
			}
		})
	}
}

func TestCyclesAreBounded(t *testing.T) {
	nodes := make([]Node, 200)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("s%03d", i)
		for j := range nodes { // each needs each: more cycles than atoms
			nodes[i].Needs = append(nodes[i].Needs, fmt.Sprintf("s%03d", j))
		}
	}
	g, cycles := New(nodes)
	if g != nil || len(cycles) != maxCycles {
		t.Fatalf("%d cycles, want %d", len(cycles), maxCycles)
	}
	seen := map[string]bool{}
	for _, c := range cycles {
		if seen[c.String()] {
			t.Errorf("told twice: %v", c)
		}
		seen[c.String()] = true
	}
}

// A cycle that is reported must be one, and a graph with one must be refused.
func TestCyclesOfRandomGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	refused := 0
	for range 500 {
		nodes := random(r, 2+r.IntN(8))
		r.Shuffle(len(nodes), func(i, j int) { nodes[i].Name, nodes[j].Name = nodes[j].Name, nodes[i].Name })
		g, cycles := New(nodes)
		if (g == nil) != (len(cycles) > 0) {
			t.Fatalf("graph %v with %d cycles", g != nil, len(cycles))
		}
		if cyclic(nodes) != (g == nil) {
			t.Fatalf("refused: %v, has a cycle: %v", g == nil, cyclic(nodes))
		}
		if g == nil {
			refused++
		}
		for _, c := range cycles {
			checkCycle(t, nodes, c)
		}
	}
	if refused < 50 || refused > 450 {
		t.Errorf("%d of 500 refused: the test no longer sees both cases", refused)
	}
}

// cyclic takes away services that depend on nobody left until nothing changes.
func cyclic(nodes []Node) bool {
	left := map[string]Node{}
	for _, n := range nodes {
		left[n.Name] = n
	}
	for again := true; again; {
		again = false
		for name, n := range left {
			free := true
			for _, dep := range slices.Concat(n.Needs, n.Wants, n.After) {
				if _, ok := left[dep]; ok {
					free = false
				}
			}
			if free {
				delete(left, name)
				again = true
			}
		}
	}
	return len(left) > 0
}

func checkCycle(t *testing.T, nodes []Node, c Cycle) {
	t.Helper()
	seen := map[string]bool{}
	for p, l := range c {
		if next := c[(p+1)%len(c)].From; l.To != next {
			t.Fatalf("%v: %q is followed by %q", c, l.To, next)
		}
		if seen[l.From] || l.From < c[0].From {
			t.Fatalf("%v: passes %q twice, or does not begin with the first name", c, l.From)
		}
		seen[l.From] = true
		i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == l.From })
		if !slices.Contains(nodes[i].names(l.Kind), l.To) {
			t.Fatalf("%v: %v is not in the file", c, l)
		}
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{Needs: "needs", Wants: "wants", After: "is after", kinds: "?"} {
		if got := k.String(); got != want {
			t.Errorf("kind %d is %q, want %q", k, got, want)
		}
	}
}
