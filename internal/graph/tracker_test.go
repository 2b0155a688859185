package graph

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var (
	down    = Status{Settled: true, Lost: true}
	up      = Status{Ready: true, Settled: true, Live: true}
	coming  = Status{Live: true}
	retried = Status{Settled: true} // in a restart delay, not lost yet
)

// answers spells what holds for a service: "met lost free hard".
func answers(tr *Tracker, i int) string {
	var words []string
	for _, a := range []struct {
		is   bool
		word string
	}{{tr.Met(i), "met"}, {tr.Lost(i), "lost"}, {tr.Free(i), "free"}, {tr.FreeHard(i), "hard"}} {
		if a.is {
			words = append(words, a.word)
		}
	}
	return strings.Join(words, " ")
}

func TestTracker(t *testing.T) {
	const text = `
		web:   needs db; wants cache; after net
		db:
		cache:
		net:
	`
	type update struct {
		name    string
		status  Status
		changed string
	}
	tests := []struct {
		name    string
		updates []update
		web     string // the answers for web
		waits   string // what it waits for
		db      string // the answers for db
		cache   string
	}{
		{"nothing known", nil, "free hard", "db cache net", "met free hard", "met free hard"},
		{"all down", []update{{"db", down, "web"}, {"cache", down, ""}, {"net", down, ""}},
			"lost free hard", "db", "met free hard", "met free hard"},
		{"the last one releases", []update{{"cache", up, ""}, {"net", up, ""}, {"db", coming, ""}, {"db", up, "web"}},
			"met free hard", "", "met free hard", "met free hard"},
		{"a failed want releases", []update{{"db", up, ""}, {"net", up, ""}, {"cache", coming, ""}, {"cache", down, "web"}},
			"met free hard", "", "met free hard", "met free hard"},
		{"a stopped after releases", []update{{"db", up, ""}, {"cache", up, ""}, {"net", down, "web"}},
			"met free hard", "", "met free hard", "met free hard"},
		{"a starting want holds", []update{{"db", up, ""}, {"net", up, ""}, {"cache", coming, ""}},
			"free hard", "cache", "met free hard", "met free hard"},
		{"a restart of a need is no loss", []update{{"db", up, ""}, {"db", retried, ""}},
			"free hard", "db cache net", "met free hard", "met free hard"},
		{"a lost need", []update{{"db", up, ""}, {"db", down, "web"}}, "lost free hard", "db cache net", "met free hard", "met free hard"},
		{"a lost want is no loss", []update{{"cache", down, ""}}, "free hard", "db net", "met free hard", "met free hard"},
		{"a live dependent holds", []update{{"web", coming, "cache db net"}}, "free hard", "db cache net", "met", "met hard"},
		{"and lets go", []update{{"web", up, "cache db net"}, {"web", down, "cache db net"}},
			"free hard", "db cache net", "met free hard", "met free hard"},
		{"the same again changes nothing", []update{{"web", up, "cache db net"}, {"web", up, ""}},
			"free hard", "db cache net", "met", "met hard"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := build(t, text)
			tr := NewTracker(g)
			for _, u := range tt.updates {
				changed := tr.Update(at(t, g, u.name), u.status)
				list := strings.Fields(names(g, changed))
				slices.Sort(list)
				if got := strings.Join(list, " "); got != u.changed {
					t.Errorf("%s %+v: changed %q, want %q", u.name, u.status, got, u.changed)
				}
			}
			for name, want := range map[string]string{"web": tt.web, "db": tt.db, "cache": tt.cache} {
				if got := answers(tr, at(t, g, name)); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := names(g, tr.WaitsFor(at(t, g, "web"))); got != tt.waits {
				t.Errorf("web waits for %q, want %q", got, tt.waits)
			}
		})
	}
}

func TestTrackerCountsOneServiceInTwoKinds(t *testing.T) {
	g := build(t, "a: needs b; after b; wants b\nb:")
	tr := NewTracker(g)
	if got := names(g, tr.WaitsFor(0)); got != "b" {
		t.Errorf("waits for %q, want b once", got)
	}
	if got := tr.Update(1, retried); tr.Met(0) || len(got) > 0 {
		t.Errorf("settled releases a need: met %v, changed %v", tr.Met(0), got)
	}
	if got := tr.Update(1, up); !tr.Met(0) || !slices.Equal(got, []int{0}) {
		t.Errorf("ready does not: met %v, changed %v", tr.Met(0), got)
	}
	if got := tr.Update(0, up); tr.Free(1) || !slices.Equal(got, []int{1}) {
		t.Errorf("free %v while it is needed, changed %v", tr.Free(1), got)
	}
	if got := tr.Update(0, down); !tr.Free(1) || !slices.Equal(got, []int{1}) {
		t.Errorf("free %v when it is not, changed %v", tr.Free(1), got)
	}
}

// naive answers from the statuses alone.
func naive(tr *Tracker, i int) string {
	g, s := tr.g, tr.status
	met, lost, free, hard := true, false, true, true
	for _, j := range g.Needs(i) {
		met = met && s[j].Ready
		lost = lost || s[j].Lost
	}
	for _, j := range slices.Concat(g.Wants(i), g.After(i)) {
		met = met && s[j].Settled
	}
	for j := range g.Len() {
		if s[j].Live {
			hard = hard && !slices.Contains(g.Needs(j), i)
			free = free && !slices.Contains(slices.Concat(g.Needs(j), g.Wants(j), g.After(j)), i)
		}
	}
	var words []string
	for k, is := range []bool{met, lost, free, hard} {
		if is {
			words = append(words, []string{"met", "lost", "free", "hard"}[k])
		}
	}
	return strings.Join(words, " ")
}

// check compares every answer with the naive one, and every change of an answer with what Update said.
func check(t *testing.T, tr *Tracker, i int, s Status) {
	t.Helper()
	n := tr.g.Len()
	before := make([]string, n)
	for j := range n {
		before[j] = answers(tr, j)
	}
	changed := tr.Update(i, s)
	for j := range n {
		after := answers(tr, j)
		if want := naive(tr, j); after != want {
			t.Fatalf("%q after %q became %+v: %q, want %q", tr.g.Name(j), tr.g.Name(i), s, after, want)
		}
		if after != before[j] && !slices.Contains(changed, j) {
			t.Fatalf("%q went from %q to %q and was not told", tr.g.Name(j), before[j], after)
		}
		if tr.Met(j) != (len(tr.WaitsFor(j)) == 0) {
			t.Fatalf("%q: met %v, waits for %q", tr.g.Name(j), tr.Met(j), names(tr.g, tr.WaitsFor(j)))
		}
	}
	slices.Sort(changed)
	if len(slices.Compact(slices.Clone(changed))) != len(changed) {
		t.Fatalf("told twice: %v", changed)
	}
}

// statusOf makes a status of four bits.
func statusOf(bits byte) Status {
	return Status{Ready: bits&1 > 0, Settled: bits&2 > 0, Lost: bits&4 > 0, Live: bits&8 > 0}
}

func TestTrackerEqualsNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		g, _ := New(random(r, 1+r.IntN(25)))
		tr := NewTracker(g)
		for range 60 {
			check(t, tr, r.IntN(g.Len()), statusOf(byte(r.IntN(16))))
		}
	}
}

func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0x11, 0x32, 0xff}, []byte{0x1f, 0x20, 0x07, 0xff, 0xa5})
	f.Add([]byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, links, updates []byte) {
		const n = 9 // names "a"…"i"; a link byte is from, to and kind
		nodes := make([]Node, n)
		for i := range nodes {
			nodes[i].Name = string(rune('a' + i))
		}
		for p, b := range links[:min(len(links), 64)] {
			from, to := &nodes[int(b>>4)%n], nodes[int(b&15)%n].Name
			switch p % 3 {
			case 0:
				from.Needs = append(from.Needs, to)
			case 1:
				from.Wants = append(from.Wants, to)
			default:
				from.After = append(from.After, to)
			}
		}
		g, cycles := New(nodes)
		if cyclic(nodes) != (g == nil) || (g == nil) != (len(cycles) > 0) {
			t.Fatalf("graph %v, %d cycles, cyclic %v", g != nil, len(cycles), cyclic(nodes))
		}
		for _, c := range cycles {
			checkCycle(t, nodes, c)
		}
		if g == nil {
			return
		}
		tr := NewTracker(g)
		for _, b := range updates[:min(len(updates), 200)] {
			check(t, tr, int(b>>4)%n, statusOf(b&15))
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	g, _ := New(random(r, 10000))
	tr := NewTracker(g)
	for i := 0; b.Loop(); i++ {
		tr.Update(i%g.Len(), statusOf(byte(i/g.Len())))
	}
}
