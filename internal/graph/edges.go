package graph

import (
	"cmp"
	"slices"
)

// edges are the lists of all services in two arrays: the list of i is to[start[i]:start[i+1]].
type edges struct{ start, to []int }

// of returns the list of i; an append to it copies.
func (e edges) of(i int) []int {
	return e.to[e.start[i]:e.start[i+1]:e.start[i+1]]
}

// collect makes edges from what list appends for each service. A list is sorted by rank, and a service stands in it once.
func collect(rank []int, list func(i int, to []int) []int) edges {
	e := edges{start: make([]int, len(rank)+1)}
	for i := range rank {
		e.to = list(i, e.to)
		own := e.to[e.start[i]:]
		slices.SortFunc(own, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
		e.start[i+1] = e.start[i] + len(slices.Compact(own))
		e.to = e.to[:e.start[i+1]]
	}
	return e
}

// reverse returns the lists of those who have a service in their list, in the order of sources.
func (e edges) reverse(sources []int) edges {
	r := edges{start: make([]int, len(e.start)), to: make([]int, len(e.to))}
	for _, j := range e.to {
		r.start[j+1]++
	}
	for i := 1; i < len(r.start); i++ {
		r.start[i] += r.start[i-1]
	}
	free := slices.Clone(r.start)
	for _, i := range sources {
		for _, j := range e.of(i) {
			r.to[free[j]] = i
			free[j]++
		}
	}
	return r
}

// inverse returns the places of a permutation's members.
func inverse(order []int) []int {
	place := make([]int, len(order))
	for p, i := range order {
		place[i] = p
	}
	return place
}
