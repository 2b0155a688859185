package judge

import (
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

func TestRule5TheBrakeLetsSoManyThroughAMinuteInTheirOrder(t *testing.T) {
	h := newHall(8, Rule{Pulse: limits(time.Second)})
	h.j.SetBrake(3, 0)
	h.to(1100 * ms)
	verdicts, brakes := 0, 0
	for i := range h.watches {
		what := h.look(i, Look{State: 'S'})
		if what.Verdict != nil {
			verdicts++
			continue
		}
		for _, n := range what.News {
			if n.Kind == BrakeNews {
				brakes++
			}
		}
		if why := h.watches[i].Standings(h.now)[0].Why; why != "brake" {
			t.Errorf("%d stands there as %q", i, why)
		}
	}
	if verdicts != 3 || brakes != 5 {
		t.Fatalf("%d verdicts and %d told of the brake, want 3 and 5", verdicts, brakes)
	}
	var order []int
	for s := unit.Time(2); s < 200; s++ {
		h.to(s * 1000 * ms)
		for i := len(h.watches) - 1; i >= 3; i-- { // not in the order of the queue
			what := h.look(i, Look{State: 'S'})
			if what.At != 0 && what.At <= h.now {
				t.Fatalf("read again at %v, now is %v", what.At, h.now)
			}
			if len(what.News) != 0 {
				t.Fatalf("told again: %+v", what.News)
			}
			if what.Verdict != nil {
				order = append(order, i)
				if v := what.Verdict; v.Held != 0 || v.Silence < time.Duration(s-1)*time.Second {
					t.Errorf("verdict %+v", *v)
				}
				if want := 20 * unit.Time(len(order)) * 1000 * ms; h.now-start < want || h.now-start > want+2000*ms {
					t.Errorf("verdict number %d after %v", len(order)+3, h.now.Sub(start))
				}
			}
		}
	}
	for i, w := range []int{3, 4, 5, 6, 7} {
		if len(order) != 5 || order[i] != w {
			t.Fatalf("verdicts in the order %v, want 3 to 7", order)
		}
	}
}

// look reads instance i and answers with a look, if one is asked for.
func (h *hall) look(i int, l Look) What {
	what := h.watches[i].Read(h.now, h.slots[i], "")
	if len(what.Look) == 0 {
		return what
	}
	l.Source, l.Index, l.At = what.Look[0].Source, what.Look[0].Index, h.now
	again := h.watches[i].Looked(h.now, h.slots[i], "", []Look{l})
	again.News = append(what.News, again.News...)
	return again
}

func TestRule5WhoBeatsAgainOrEndsLeavesTheQueue(t *testing.T) {
	h := newHall(5, Rule{Pulse: limits(time.Second)})
	h.j.SetBrake(1, 0)
	h.to(1100 * ms)
	for i := range h.watches {
		if got := h.look(i, Look{State: 'S'}).Verdict != nil; got != (i == 0) {
			t.Fatalf("%d: verdict %v", i, got)
		}
	}
	h.watches[1].Close()
	h.slots[2][0].Beat, h.slots[2][0].Count = h.now, 1
	if what := h.look(2, Look{State: 'S'}); len(what.News) != 1 || what.News[0].Kind != LateNews {
		t.Errorf("beats again: news %+v, want that it was late", what.News)
	}
	if n := len(h.j.brake.queue); n != 2 {
		t.Fatalf("%d in the queue, want 2", n)
	}
	h.to(62000 * ms)
	if h.look(4, Look{State: 'S'}).Verdict != nil {
		t.Error("the last of the queue comes before the first")
	}
	if h.look(3, Look{State: 'S'}).Verdict == nil {
		t.Error("the first of the queue has no turn")
	}
}

func TestRule5TheTurnComesWithAFreshLook(t *testing.T) {
	h := newHall(2, Rule{Pulse: limits(time.Second)})
	h.j.SetBrake(1, 0)
	h.to(1100 * ms)
	h.look(0, Look{State: 'S'})
	h.look(1, Look{State: 'S'})
	h.to(62000 * ms)
	if what := h.look(1, Look{State: 't'}); what.Verdict != nil {
		t.Errorf("condemned in the hands of a debugger: %+v", *what.Verdict)
	}
	if n := len(h.j.brake.queue); n != 0 {
		t.Errorf("%d in the queue, though who waited is excused", n)
	}
}

func TestRule5AVerdictThatFallsCostsNothing(t *testing.T) {
	h := newHall(2, Rule{Pulse: limits(time.Second)})
	h.j.SetBrake(1, 0)
	h.to(1100 * ms)
	h.look(0, Look{State: 'S'})
	h.slots[0][0].Beat = h.now
	if stands, _ := h.watches[0].Confirm(h.now, h.slots[0], ""); stands {
		t.Fatal("the verdict stands")
	}
	if h.look(1, Look{State: 'S'}).Verdict == nil {
		t.Error("the token was not given back")
	}
}

func TestBrakeSizes(t *testing.T) {
	tests := []struct{ perMinute, instances, want int }{
		{0, 0, 5}, {0, 50, 5}, {0, 59, 5}, {0, 60, 6}, {0, 10000, 1000}, {1, 10000, 1}, {7, 3, 7}, {-1, 100, 1 << 20},
	}
	for _, c := range tests {
		j := New(start)
		j.SetBrake(c.perMinute, c.instances)
		n := 0
		for w := new(Watch); n < 1<<20 && j.brake.turn(w, start); n++ {
			j.brake.take(w, start)
		}
		if n != c.want {
			t.Errorf("%d a minute, %d instances: %d at once, want %d", c.perMinute, c.instances, n, c.want)
		}
	}
}

func TestBrakeKeepsWhatWasSaved(t *testing.T) {
	j := New(start)
	w := new(Watch)
	for range 3 {
		j.brake.take(w, start)
	}
	steps := []struct{ size, want int }{{5, 2}, {10, 7}, {4, 4}, {2, 2}, {5, 5}}
	for _, s := range steps {
		j.SetBrake(s.size, 0)
		if n := j.brake.tokens(start); n != s.want {
			t.Errorf("size %d: %d tokens, want %d", s.size, n, s.want)
		}
	}
	for range 10 { // a bucket that is given back more than it has is just full
		j.brake.back()
	}
	if n := j.brake.tokens(start); n != 5 {
		t.Errorf("%d tokens in a bucket of 5", n)
	}
}

func TestBrakeWhoDoesNotTakeItsTokenKeepsNobodyElse(t *testing.T) {
	j := New(start)
	j.SetBrake(2, 0)
	a, b, c := new(Watch), new(Watch), new(Watch)
	for _, w := range []*Watch{a, b} {
		j.brake.take(w, start)
	}
	for _, w := range []*Watch{a, b, c} {
		j.brake.enter(w)
	}
	later := start + unit.Time(time.Minute)
	if !j.brake.turn(a, later) || !j.brake.turn(b, later) || j.brake.turn(c, later) {
		t.Error("two tokens are for the first two")
	}
	if at := j.brake.turnAt(b); at != later {
		t.Errorf("the turn of the second comes at %v, want %v", at.Sub(start), later.Sub(start))
	}
	j.brake.take(b, later)
	if !j.brake.turn(a, later) || j.brake.turn(c, later) {
		t.Error("the token that is left is for the first")
	}
	j.brake.leave(a)
	j.brake.leave(a)
	if !j.brake.turn(c, later) {
		t.Error("the first has left, and the second has no turn")
	}
}
