package judge

import (
	"math/rand/v2"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

func TestStallsSince(t *testing.T) {
	var s stalls
	if s.since(0) != 0 || s.end() != 0 {
		t.Error("there are stalls before the first")
	}
	for _, add := range []stall{{from: 100, to: 200}, {from: 200, to: 250}, {from: 300, to: 300}, {from: 400, to: 500}, {from: 450, to: 480}, {from: 490, to: 600}} {
		s.add(add.from, add.to)
	}
	tests := []struct{ since, want unit.Time }{
		{0, 350}, {100, 350}, {130, 320}, {249, 201}, {250, 200}, {300, 200}, {400, 200}, {599, 1}, {600, 0}, {1000, 0},
	}
	for _, c := range tests {
		if got := s.since(c.since); got != c.want {
			t.Errorf("since %d: %d, want %d", c.since, got, c.want)
		}
	}
	if len(s.list) != 2 || s.end() != 600 {
		t.Errorf("%+v", s.list)
	}
}

func TestStallsAreBoundedAndNeverForgetAny(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s stalls
	var all []stall
	now := unit.Time(0)
	for range 10 * maxStalls {
		from := now + 1 + unit.Time(r.Int64N(1000))
		now = from + 1 + unit.Time(r.Int64N(1000))
		s.add(from, now)
		all = append(all, stall{from: from, to: now})
		if len(s.list) > maxStalls {
			t.Fatalf("%d are kept", len(s.list))
		}
	}
	exact := func(since unit.Time) (sum unit.Time) {
		for _, a := range all {
			sum += max(0, a.to-max(since, a.from))
		}
		return sum
	}
	for range 1000 {
		since := unit.Time(r.Int64N(int64(now)))
		if got, want := s.since(since), exact(since); got < want {
			t.Fatalf("since %d of %d: %d, of which there were %d", since, now, got, want)
		}
	}
	if got, want := s.since(0), exact(0); got != want {
		t.Errorf("of all: %d, want %d", got, want)
	}
	recent := all[len(all)-maxStalls/4].from - 1
	if got, want := s.since(recent), exact(recent); got != want {
		t.Errorf("of the last ones: %d, want %d", got, want)
	}
}

func TestTicks(t *testing.T) {
	tests := []struct {
		limit time.Duration
		tick  unit.Time
		late  unit.Time // how late the tick is
		stall unit.Time // of how long
	}{
		{time.Second, 125 * ms, 0, 0},
		{time.Second, 125 * ms, 20 * ms, 0},
		{time.Second, 125 * ms, 21 * ms, 21 * ms},
		{time.Second, 125 * ms, 125 * ms, 125 * ms},
		{time.Second, 125 * ms, 200 * ms, 275 * ms},
		{time.Second, 125 * ms, 5000 * ms, 5125 * ms},
		{10 * time.Millisecond, 50 * ms, 100 * ms, 150 * ms},
		{time.Hour, 1000 * ms, 5000 * ms, 6000 * ms},
	}
	for _, c := range tests {
		j := New(start)
		if j.NextTick() != 0 {
			t.Errorf("limit %v: ticks for nothing", c.limit)
		}
		j.Tick(start + 3600*1000*ms) // nobody was waiting for it
		now := start + 3600*1000*ms
		w := j.Watch(Rule{Pulse: limits(c.limit)}, now)
		w.Ready(now)
		w.Read(now, []Slot{{State: Busy, Beat: now}}, "")
		if next := j.NextTick(); next != now+c.tick {
			t.Errorf("limit %v: tick after %v, want %v", c.limit, next.Sub(now), time.Duration(c.tick))
		}
		j.Tick(now + c.tick + c.late)
		if got := j.stalls.since(0); got != c.stall {
			t.Errorf("limit %v, %v late: stalled for %v, want %v", c.limit, time.Duration(c.late), time.Duration(got), time.Duration(c.stall))
		}
		j.Tick(now) // a clock that goes back changes nothing
		if got := j.stalls.since(0); got != c.stall {
			t.Errorf("limit %v: stalled for %v after a tick in the past", c.limit, time.Duration(got))
		}
	}
}

func TestThePaceFollowsTheShortestLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var p pace
	var list []*Watch
	for range 5000 {
		switch {
		case len(list) == 0 || r.IntN(4) == 0:
			w := new(Watch)
			p.enter(w)
			list = append(list, w)
		case r.IntN(4) == 0:
			i := r.IntN(len(list))
			p.leave(list[i])
			list = append(list[:i], list[i+1:]...)
		default:
			p.set(list[r.IntN(len(list))], time.Duration(r.IntN(4)))
		}
		var shortest time.Duration
		holders := 0
		for _, w := range list {
			switch {
			case w.shortest == 0:
			case shortest == 0 || w.shortest < shortest:
				shortest, holders = w.shortest, 1
			case w.shortest == shortest:
				holders++
			}
		}
		if p.shortest != shortest || p.holders != holders || len(p.watches) != len(list) {
			t.Fatalf("%v of %d, want %v of %d", p.shortest, p.holders, shortest, holders)
		}
	}
}

func TestTheCrowdCountsWhoIsLateTogether(t *testing.T) {
	var c crowd
	for _, at := range []unit.Time{50, 10, 30, 30, 90} {
		c.add(at)
	}
	for _, q := range []struct {
		at    unit.Time
		limit time.Duration
		want  int
	}{{30, 0, 2}, {30, 20, 4}, {30, 19, 2}, {90, 40, 2}, {200, 10, 0}} {
		if n := c.around(q.at, q.limit); n != q.want {
			t.Errorf("around %d: %d, want %d", q.at, n, q.want)
		}
	}
	for _, at := range []unit.Time{30, 30, 30, 10, 90, 50} { // one more than there are
		c.remove(at)
	}
	if len(c.late) != 0 {
		t.Errorf("left: %v", c.late)
	}
}
