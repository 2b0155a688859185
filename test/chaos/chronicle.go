package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The bounds, generous: they are about what never comes, on machines that do much else.
const (
	// answerBound is how long the status may take. The worst that is injected is a stopped engine under a keeper that is
	// stopped too: 8 s, then 5 s of silence, then the start of another one.
	answerBound = 30 * time.Second
	// backBound is how long who is wanted may be away once nothing is broken any more: a stop (0.4 s), the longest delay
	// (0.5 s), the services that it needs (three in a row), and a start (20 s at most, some ms as a rule).
	backBound = 30 * time.Second
)

// kept is how many injections a report shows.
const kept = 50

// A chronicle is what happened in a run. Its methods may be called from any goroutine.
type chronicle struct {
	tell  func(string, ...any)
	begin time.Time

	mu         sync.Mutex
	injected   map[string]int
	last       []string // the last injections
	violations []string
	slowest    time.Duration // of a status
	answers    int
	failed     chan struct{} // closed at the first violation
	ended      bool
}

func newChronicle(say func(string, ...any)) *chronicle {
	return &chronicle{tell: say, begin: time.Now(), injected: map[string]int{}, failed: make(chan struct{})}
}

// inject notes an injection, or a part of one.
func (c *chronicle) inject(name, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.injected[name]++
	c.line(name + " " + what)
}

// note adds a line that belongs between the injections.
func (c *chronicle) note(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line(fmt.Sprintf(format, a...))
}

func (c *chronicle) line(text string) {
	if len(c.last) == kept {
		c.last = slices.Delete(c.last, 0, 1)
	}
	c.last = append(c.last, fmt.Sprintf("%8.3fs  %s", time.Since(c.begin).Seconds(), text))
}

// violated notes that a promise was broken.
func (c *chronicle) violated(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("at %.3fs: ", time.Since(c.begin).Seconds()) + fmt.Sprintf(format, a...)
	c.violations = append(c.violations, text)
	c.line("VIOLATION " + text)
	if !c.ended {
		c.ended = true
		close(c.failed)
	}
}

// answered notes how long a status took.
func (c *chronicle) answered(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers++
	c.slowest = max(c.slowest, took)
}

// report prints what was done, and after a violation what led to it. It returns the violations.
func (c *chronicle) report() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	total, text := 0, ""
	for _, name := range slices.Sorted(maps.Keys(c.injected)) {
		total += c.injected[name]
		text += fmt.Sprintf(" %s %d,", name, c.injected[name])
	}
	c.tell("%d injections:%s", total, text)
	c.tell("%d answers to status, the slowest after %v", c.answers, c.slowest.Round(time.Millisecond))
	if len(c.violations) > 0 {
		for _, l := range c.last {
			c.tell("%s", l)
		}
	}
	return slices.Clone(c.violations)
}
