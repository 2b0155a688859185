package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"example.com/stay/api"
)

// resumeLines is how many kept lines of each instance are looked through when a stream of logs is taken up again.
const resumeLines = 1000

// Logs calls emit with the last n kept lines (n < 0: all) of each instance that targets name (none: all of them), then,
// with follow, with each new line until ctx ends, also of instances that come later. An error of emit ends it and is
// returned.
//
// After a broken connection lines are told apart by their time: none comes twice, none is left out, unless an instance
// wrote more than 1,000 lines meanwhile. Lines that were kept without a time cannot be told apart: what was written while
// the engine was away is then left out of the stream; it is in the log.
func (c *Client) Logs(ctx context.Context, targets []string, n int, follow bool, emit func(api.LogLine) error) error {
	seen := &seen{began: time.Now(), follow: follow, lines: map[string]*seenLines{}}
	first := true
	s := &stream{path: "/v1/logs"}
	s.query = func() url.Values {
		if !first {
			n = seen.resume(n)
		}
		first = false
		return url.Values{"name": targets, "n": {strconv.Itoa(n)}, "follow": {oneOrZero(follow)}}
	}
	return c.follow(ctx, s, func(text []byte) error {
		var l api.LogLine
		if err := decode(text, &l); err != nil {
			return err
		}
		if !seen.isNew(l) {
			return nil
		}
		return emit(l)
	})
}

// seen knows which lines of a stream were had, to leave them out when it is taken up again.
type seen struct {
	began   time.Time
	follow  bool
	resumed bool
	raw     bool // there were lines without a time
	lines   map[string]*seenLines
}

// seenLines is what was seen of one instance.
type seenLines struct {
	time  time.Time // of the last line
	count int       // lines: all of them when not following, else those of that time
	skip  int       // of count, how many have still to be left out
}

// resume prepares for hearing lines again, and returns how many lines of the past to ask for.
func (s *seen) resume(n int) int {
	s.resumed = true
	for _, l := range s.lines {
		l.skip = l.count
	}
	switch {
	case !s.follow:
		return n
	case s.raw:
		return 0
	}
	return resumeLines
}

// isNew says whether a line was not had before, and remembers it.
func (s *seen) isNew(l api.LogLine) bool {
	was := s.lines[l.Name]
	if was == nil {
		if s.resumed && s.follow && !l.Time.IsZero() && l.Time.Before(s.began) {
			return false // older than the stream, and it did not ask for it
		}
		was = &seenLines{}
		s.lines[l.Name] = was
	}
	s.raw = s.raw || l.Time.IsZero()
	if !s.follow || l.Time.IsZero() {
		return was.next(!s.follow)
	}
	switch {
	case l.Time.Equal(was.time):
		return was.next(true)
	case l.Time.Before(was.time) && was.skip > 0:
		return false
	}
	was.time, was.count, was.skip = l.Time, 1, 0
	return true
}

// next counts one line; with skipping, one that had been counted before is no new one.
func (l *seenLines) next(skipping bool) bool {
	if skipping && l.skip > 0 {
		l.skip--
		return false
	}
	l.count++
	return true
}
