package drill

import (
	"slices"
	"time"
)

// A Sum is what became of all rounds of one kind.
type Sum struct {
	Kind             Kind
	Rounds, Failed   int
	FoundP50, FoundM time.Duration // the median and the longest of those that came back
	BackP50, BackM   time.Duration
}

// Sums are the sums of rounds, by kind in the order of their first round.
func Sums(rounds []Round) []Sum {
	var list []Sum
	for _, r := range rounds {
		if !slices.ContainsFunc(list, func(s Sum) bool { return s.Kind == r.Kind }) {
			list = append(list, sum(r.Kind, rounds))
		}
	}
	return list
}

func sum(kind Kind, rounds []Round) Sum {
	s := Sum{Kind: kind}
	var found, back []time.Duration
	for _, r := range rounds {
		if r.Kind != kind {
			continue
		}
		s.Rounds++
		if r.Problem != "" {
			s.Failed++
			continue
		}
		found, back = append(found, r.Found), append(back, r.Back)
	}
	s.FoundP50, s.FoundM = middle(found)
	s.BackP50, s.BackM = middle(back)
	return s
}

// middle returns the median (of an even number the lower one) and the longest; 0 of nothing.
func middle(list []time.Duration) (p50, longest time.Duration) {
	if len(list) == 0 {
		return 0, 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[(len(list)-1)/2], list[len(list)-1]
}
