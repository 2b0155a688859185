package judge

import (
	"math/rand/v2"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

// This file: a machine in small. Programs beat on schedule, are starved, traced, or hang; the machine freezes, the engine is
// stopped or replaced. Nothing knows any clock but the one of the simulation, and everything follows from a seed.

// A program has one pulse.
type program struct {
	limit, interval time.Duration
	slot            Slot
	next            unit.Time // when it wants to beat
	hangAt          unit.Time // 0: it is healthy
	loops           bool      // it hangs in a loop, not asleep
	starved, traced span
	ran, waited     time.Duration
	queue           time.Duration // a wait that goes on, which no counter shows

	watch     *Watch
	at        unit.Time // when to be read
	looked    unit.Time // when the answer to a look is there; 0: none is awaited
	look      Look
	examined  unit.Time // when to confirm; 0: no verdict
	verdict   *Verdict
	condemned unit.Time
}

type span struct{ from, to unit.Time }

func (s span) has(t unit.Time) bool { return s.from <= t && t < s.to }

// A world is a machine with an engine.
type world struct {
	t        *testing.T
	r        *rand.Rand
	now      unit.Time
	programs []*program
	j        *Judge
	mark     unit.Time // when the engine was last alive
	freezes  []span    // of the whole machine
	stops    []span    // of the engine
	deaths   []unit.Time
	news     map[NewsKind]int
}

func between(r *rand.Rand, from, to unit.Time) unit.Time {
	return from + unit.Time(r.Int64N(int64(to-from)+1))
}

// newWorld makes programs of which some hang, and what goes wrong in a minute.
func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, r: r, now: start, mark: start, news: map[NewsKind]int{}}
	w.j = New(start)
	w.j.SetBrake(-1, 0)
	for i := range 12 {
		limit := []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second}[r.IntN(4)]
		p := &program{limit: limit, interval: limit / time.Duration(2+r.IntN(10))}
		p.slot = Slot{State: Busy, Tid: 10 + i, Beat: start, Limit: 0, Name: "p"}
		p.next = start.Add(p.interval)
		if i < 3 {
			p.hangAt, p.loops = between(r, start+ms, start+20000*ms), r.IntN(3) == 0
		}
		if r.IntN(3) == 0 {
			from := between(r, start, start+50000*ms)
			p.starved = span{from, from + between(r, 0, unit.Time(8*limit))}
		}
		if r.IntN(4) == 0 {
			from := between(r, start, start+50000*ms)
			p.traced = span{from, from + between(r, 0, 20000*ms)}
		}
		w.programs = append(w.programs, p)
		w.follow(p)
	}
	for range r.IntN(4) {
		from := between(r, start, start+50000*ms)
		w.freezes = append(w.freezes, span{from, from + between(r, ms, 8000*ms)})
	}
	for range r.IntN(4) {
		from := between(r, start, start+50000*ms)
		w.stops = append(w.stops, span{from, from + between(r, ms, 8000*ms)})
	}
	for range r.IntN(3) {
		w.deaths = append(w.deaths, between(r, start, start+50000*ms))
	}
	return w
}

// follow has the engine watch a program.
func (w *world) follow(p *program) {
	p.watch = w.j.Watch(Rule{Pulse: limits(p.limit)}, start-ms)
	p.watch.Ready(start)
	p.at, p.looked, p.examined = w.now, 0, 0
}

func within(list []span, t unit.Time) bool {
	for _, s := range list {
		if s.has(t) {
			return true
		}
	}
	return false
}

// run lets two minutes pass, a millisecond at a time.
func (w *world) run() {
	down := unit.Time(0) // until when there is no engine
	for ; w.now < start+120000*ms; w.now += ms {
		if within(w.freezes, w.now) {
			continue
		}
		for _, p := range w.programs {
			p.run(w)
		}
		for _, d := range w.deaths {
			if d >= w.now && d < w.now+ms {
				down = w.now + between(w.r, ms, 3000*ms)
			}
		}
		switch {
		case w.now < down || within(w.stops, w.now):
		case down != 0:
			down = 0
			w.replace()
		default:
			w.engine()
		}
	}
}

// run is a millisecond of a program.
func (p *program) run(w *world) {
	hangs := p.hangAt != 0 && w.now >= p.hangAt
	switch {
	case p.traced.has(w.now) || hangs && !p.loops:
	case p.starved.has(w.now):
		if hangs || w.now >= p.next {
			p.queue += time.Millisecond
		}
	case hangs:
		p.waited, p.queue = p.waited+p.queue, 0
		p.ran += time.Millisecond
	case w.now >= p.next && w.r.IntN(3) > 0: // else it gets its turn a little later
		p.waited, p.queue = p.waited+p.queue, 0
		p.ran += time.Millisecond / 10
		p.slot.Beat = w.now - w.now%(4*ms) // a coarse clock
		p.slot.Count++
		p.next = w.now + between(w.r, unit.Time(p.interval/2), unit.Time(p.interval*3/2))
	}
}

// seen is what a look at a program sees.
func (p *program) seen(now unit.Time) Look {
	l := Look{At: now, State: 'S', Ran: p.ran, Waited: p.waited, Traced: p.traced.has(now)}
	if hangs := p.hangAt != 0 && now >= p.hangAt; hangs && p.loops || !hangs && now >= p.next {
		l.State = 'R'
	}
	return l
}

// replace starts another engine.
func (w *world) replace() {
	w.j = New(w.now)
	w.j.SetBrake(-1, 0)
	w.j.Lived(w.mark)
	for _, p := range w.programs {
		w.follow(p)
	}
}

// engine does what an engine would do now.
func (w *world) engine() {
	wakes := w.j.NextTick() != 0 && w.j.NextTick() <= w.now
	for _, p := range w.programs {
		wakes = wakes || p.at != 0 && p.at <= w.now || p.looked != 0 && p.looked <= w.now || p.examined != 0 && p.examined <= w.now
	}
	if !wakes {
		return
	}
	w.j.Tick(w.now)
	w.mark = w.now
	for _, p := range w.programs {
		switch {
		case p.condemned != 0:
		case p.examined != 0 && p.examined <= w.now:
			p.examined = 0
			stands, what := p.watch.Confirm(w.now, []Slot{p.slot}, "")
			if stands {
				p.condemned = w.now
				w.judged(p)
				continue
			}
			w.heed(p, what)
		case p.looked != 0 && p.looked <= w.now:
			p.looked = 0
			w.heed(p, p.watch.Looked(w.now, []Slot{p.slot}, "", []Look{p.look}))
		case p.looked == 0 && p.at != 0 && p.at <= w.now:
			w.heed(p, p.watch.Read(w.now, []Slot{p.slot}, ""))
		}
	}
}

// lookTime bounds how long a look takes.
const lookTime = 20 * ms

func (w *world) heed(p *program, what What) {
	p.at = what.At
	for _, n := range what.News {
		w.news[n.Kind]++
	}
	if len(what.Look) > 0 {
		p.looked = w.now + between(w.r, 0, lookTime)
		p.look = p.seen(w.now)
	}
	if v := what.Verdict; v != nil {
		p.verdict = v
		p.examined = w.now + between(w.r, 0, 300*ms)
	}
	if what.At == 0 && what.Verdict == nil {
		w.t.Fatalf("at %v: nobody is to read a live pulse again", w.now.Sub(start))
	}
}

// judged checks a verdict that stands.
func (w *world) judged(p *program) {
	if p.hangAt == 0 || p.hangAt > w.now {
		w.t.Fatalf("at %v: a healthy program with limit %v is killed: %+v", w.now.Sub(start), p.limit, *p.verdict)
	}
	v := p.verdict
	if v.Held != 0 || p.loops || p.starved.to > p.hangAt || p.traced.to > p.hangAt || w.disturbed(p.hangAt, w.now) {
		return
	}
	if late := v.Silence - v.Limit; late > time.Duration(grid+lookTime+2*ms) {
		w.t.Fatalf("at %v: found %v after its limit of %v: %+v", w.now.Sub(start), late, p.limit, *v)
	}
}

// disturbed says whether anything kept the engine from running between two moments.
func (w *world) disturbed(from, to unit.Time) bool {
	for _, list := range [][]span{w.freezes, w.stops} {
		for _, s := range list {
			if s.from < to && s.to > from {
				return true
			}
		}
	}
	for _, d := range w.deaths {
		if d+3000*ms > from && d < to {
			return true
		}
	}
	return false
}

func TestNoHealthyProgramIsKilledAndNoHangIsMissed(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	news := map[NewsKind]int{}
	for seed := range seeds {
		w := newWorld(t, seed)
		w.run()
		for i, p := range w.programs {
			if p.hangAt != 0 && p.condemned == 0 {
				t.Fatalf("seed %d: program %d hangs since %v, with a limit of %v, and lives; %+v", seed, i, p.hangAt.Sub(start), p.limit,
					p.watch.Standings(w.now))
			}
		}
		for k, n := range w.news {
			news[k] += n
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, k := range []NewsKind{HeldNews, ExcusedNews, LateNews} { // else nothing was tried
		if news[k] == 0 {
			t.Errorf("no news of kind %d in all worlds", k)
		}
	}
}
