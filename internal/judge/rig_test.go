package judge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// ms is a moment of the tests, which begin at second 1000.
const (
	ms    = unit.Time(time.Millisecond)
	start = 1000 * unit.Time(time.Second)
)

func limits(limit time.Duration) *spec.Pulse {
	return &spec.Pulse{Limit: limit, LimitMax: 10 * limit, ExtendMax: 10 * limit, Lost: spec.LostMark, Slots: 31}
}

// A rig is an engine of one instance, without anything that could be late by itself.
type rig struct {
	t      *testing.T
	j      *Judge
	w      *Watch
	now    unit.Time
	slots  []Slot
	broken string
	seen   func(Ref) Look // what a look sees; nil: a thread that sleeps
	news   []News
	what   What // of the last reading
	looks  int
}

// newRig returns a rig of an instance that is born and ready at start.
func newRig(t *testing.T, r Rule) *rig {
	g := &rig{t: t, j: New(start - unit.Time(time.Minute)), now: start}
	g.j.Tick(start)
	g.w = g.j.Watch(r, start)
	g.w.Ready(start)
	return g
}

// pulses gives it n busy slots that beat now.
func (g *rig) pulses(n int) *rig {
	for i := range n {
		g.slots = append(g.slots, Slot{State: Busy, Index: i, Tid: 100 + i, Count: 1, Beat: g.now, Name: fmt.Sprint("p", i)})
	}
	g.read()
	return g
}

// beat has slots beat now.
func (g *rig) beat(slots ...int) {
	for _, i := range slots {
		g.slots[i].Beat = g.now
		g.slots[i].Count++
	}
}

// to goes on to t after start, with ticks as the judge wants them.
func (g *rig) to(t unit.Time) {
	for n := g.j.NextTick(); n != 0 && n < start+t; n = g.j.NextTick() {
		g.j.Tick(n)
	}
	g.now = start + t
	g.j.Tick(g.now)
}

// freeze goes on to t, and nothing runs until then.
func (g *rig) freeze(t unit.Time) {
	g.now = start + t
	g.j.Tick(g.now)
}

// read takes one reading.
func (g *rig) read() What {
	g.what = g.w.Read(g.now, slices.Clone(g.slots), g.broken)
	g.took()
	return g.what
}

// look answers all looks that the last reading asked for.
func (g *rig) look() What {
	looks := make([]Look, 0, len(g.what.Look))
	for _, ref := range g.what.Look {
		l := Look{State: 'S'}
		if g.seen != nil {
			l = g.seen(ref)
		}
		l.Source, l.Index, l.At = ref.Source, ref.Index, g.now
		looks = append(looks, l)
	}
	g.looks++
	g.what = g.w.Looked(g.now, slices.Clone(g.slots), g.broken, looks)
	g.took()
	return g.what
}

func (g *rig) took() {
	g.t.Helper()
	g.news = append(g.news, g.what.News...)
	if g.what.At != 0 && g.what.At <= g.now {
		g.t.Fatalf("at %v: the next reading is at %v", g.since(), g.what.At.Sub(start))
	}
}

// follow reads and looks whenever the judge wants it until t or a verdict, with step before each reading.
func (g *rig) follow(t unit.Time, step func()) *Verdict {
	g.t.Helper()
	for {
		if g.what.Verdict != nil {
			return g.what.Verdict
		}
		if len(g.what.Look) > 0 {
			g.look()
			continue
		}
		if g.what.At == 0 || g.what.At > start+t {
			g.to(t)
			return nil
		}
		g.to(g.what.At - start)
		if step != nil {
			step()
		}
		g.read()
	}
}

// confirm takes the last reading.
func (g *rig) confirm() bool {
	var stands bool
	stands, g.what = g.w.Confirm(g.now, slices.Clone(g.slots), g.broken)
	g.took()
	return stands
}

func (g *rig) since() time.Duration { return g.now.Sub(start) }

// told counts news.
func (g *rig) told(k NewsKind) (n int) {
	for _, news := range g.news {
		if news.Kind == k {
			n++
		}
	}
	return n
}

// expect fails unless v is of kind and was found between after and after + 4 ms.
func (g *rig) expect(v *Verdict, k Kind, after time.Duration) {
	g.t.Helper()
	switch {
	case v == nil:
		g.t.Fatalf("at %v: no verdict, want kind %d after %v; news %+v", g.since(), k, after, g.news)
	case v.Kind != k:
		g.t.Fatalf("at %v: verdict %+v, want kind %d", g.since(), *v, k)
	case g.since() < after || g.since() > after+4*time.Millisecond:
		g.t.Fatalf("verdict at %v, want it at %v", g.since(), after)
	}
}

// none fails if there is a verdict.
func (g *rig) none(v *Verdict) {
	g.t.Helper()
	if v != nil {
		g.t.Fatalf("at %v: verdict %+v, want none", g.since(), *v)
	}
}
