package judge

import (
	"sort"

	"example.com/stay/internal/unit"
)

// maxStalls is how many stalls are told apart.
const maxStalls = 512

// A stall is a time in which the engine did not run.
type stall struct {
	from, to unit.Time
	before   unit.Time // how long all earlier ones were together
}

// stalls are in the order of time and do not overlap. There are at most maxStalls: beyond that, neighbours among the older
// half are put together. Their length is kept, so that a silence is never shortened by less than it was stalled.
type stalls struct{ list []stall }

// add notes that nothing ran between from and to. What overlaps with the last one counts once.
func (s *stalls) add(from, to unit.Time) {
	n := len(s.list)
	if n > 0 && from <= s.list[n-1].to {
		last := &s.list[n-1]
		last.to = max(last.to, to)
		return
	}
	if to <= from {
		return
	}
	if n == maxStalls {
		s.halve()
		n = len(s.list)
	}
	var before unit.Time
	if n > 0 {
		before = s.list[n-1].before + s.list[n-1].to - s.list[n-1].from
	}
	s.list = append(s.list, stall{from: from, to: to, before: before})
}

// halve puts each two neighbours of the older half together. The new one ends where the later ended, and is as long as both
// were: who began between the two is shortened by more than he was stalled, nobody by less.
func (s *stalls) halve() {
	half := len(s.list) / 2 &^ 1
	kept := s.list[:0]
	for i := 0; i < half; i += 2 {
		a, b := s.list[i], s.list[i+1]
		kept = append(kept, stall{from: b.from - (a.to - a.from), to: b.to, before: a.before})
	}
	s.list = append(kept, s.list[half:]...)
}

// end is when the last stall ended; 0: there was none.
func (s *stalls) end() unit.Time {
	if n := len(s.list); n > 0 {
		return s.list[n-1].to
	}
	return 0
}

// since is how much of the time from t on was stalled.
func (s *stalls) since(t unit.Time) unit.Time {
	n := len(s.list)
	if n == 0 || s.list[n-1].to <= t {
		return 0
	}
	i := sort.Search(n, func(i int) bool { return s.list[i].to > t })
	last := s.list[n-1]
	return last.before + last.to - last.from - s.list[i].before - max(0, t-s.list[i].from)
}
