package judge

import (
	"slices"
	"time"

	"example.com/stay/internal/unit"
)

// A crowd knows how many pulses live in the whole daemon, and when those became late that are late now.
type crowd struct {
	live  int
	late  []unit.Time // in the order of time
	until unit.Time   // the last moment up to which somebody was held for it
}

// add notes that a pulse is late since t.
func (c *crowd) add(t unit.Time) {
	i, _ := slices.BinarySearch(c.late, t)
	c.late = slices.Insert(c.late, i, t)
}

// remove forgets one that was late since t.
func (c *crowd) remove(t unit.Time) {
	if i, found := slices.BinarySearch(c.late, t); found {
		c.late = slices.Delete(c.late, i, i+1)
	}
}

// around is how many became late within limit before or after t.
func (c *crowd) around(t unit.Time, limit time.Duration) int {
	first, _ := slices.BinarySearch(c.late, t.Add(-limit))
	end, _ := slices.BinarySearch(c.late, t.Add(limit)+1)
	return end - first
}

// others is how many late pulses of other instances a crowd has at least: what one process does, with however many pulses,
// says nothing about the machine.
const others = 2

// holds says whether who is late since t is one of so many that it is hardly its own fault: three at least, and half of all.
// Own is how many of them are of its own instance.
func (c *crowd) holds(t unit.Time, limit time.Duration, own int) bool {
	n := c.around(t, limit)
	return n >= 3 && 2*n >= c.live && n-own >= others
}

// lateAround is how many pulses of one instance became late within limit before or after t.
func (w *Watch) lateAround(t unit.Time, limit time.Duration) int {
	n := 0
	for i := range w.pulses {
		if e := w.pulses[i].late; e != nil && e.crowd && e.due >= t.Add(-limit) && e.due <= t.Add(limit) {
			n++
		}
	}
	return n
}

// tell says whether this is the first that is held in this crowd. It is held until next at least.
func (c *crowd) tell(now, next unit.Time) bool {
	first := now > c.until
	c.until = max(c.until, next+unit.Time(lookAgain))
	return first
}
