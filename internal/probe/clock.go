package probe

import (
	"sync"
	"time"
)

// slack is how late a timer may be without anybody having been late.
const slack = 20 * time.Millisecond

// A Clock measures a span of time in which this process runs: it stands still while the process is stopped, or does not get
// a processor. It ticks eight times in the span, a second apart at most, and a tick that comes late by more than 20 ms says
// for how long nothing ran. What is over before the first tick costs none.
type Clock struct {
	every time.Duration
	over  func()
	timer *time.Timer

	mu   sync.Mutex    // a leaf
	last time.Time     // when it was last known to run
	next time.Duration // from last to the next tick
	left time.Duration // of the span, from last on
	late time.Duration // for which it stood still
	done bool
}

// Watch starts a clock that calls over, on a goroutine of its own, when span has passed, unless it was stopped before.
func Watch(span time.Duration, over func()) *Clock {
	c := &Clock{every: min(max(span/8, slack), time.Second), over: over, last: time.Now(), left: span}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = min(c.every, c.left)
	c.timer = time.AfterFunc(c.next, func() { c.tick(time.Now()) })
	return c
}

// tick takes a moment at which the timer fired.
func (c *Clock) tick(now time.Time) {
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		return
	}
	c.note(now)
	if c.left > 0 {
		c.next = min(c.every, c.left)
		c.timer.Reset(c.next)
		c.mu.Unlock()
		return
	}
	c.done = true
	c.mu.Unlock()
	c.over()
}

// note takes a moment at which this process ran. mu is held.
func (c *Clock) note(now time.Time) {
	ran := now.Sub(c.last)
	if stood := ran - c.next; stood > slack {
		c.late += stood
		ran = c.next
	}
	c.left -= ran
	c.last = now
}

// Stop stops the clock, and returns for how long it stood still.
func (c *Clock) Stop() time.Duration { return c.stop(time.Now()) }

func (c *Clock) stop(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.done = true
		c.timer.Stop()
		c.note(now)
	}
	return c.late
}
