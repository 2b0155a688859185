package engine

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/incident"
)

// This file: what clients see of pulses and incidents.

// Pulses returns every sign of life of what target names, and, for all, the entries of old tables that are nobody's.
func (e *Engine) Pulses(ctx context.Context, target string) ([]api.PulseSlot, error) {
	list := []api.PulseSlot{}
	var refused error
	err := e.do(ctx, func() {
		insts, err := e.resolve(target)
		if err != nil {
			refused = err
			return
		}
		for _, in := range insts {
			e.read(in)
			list = append(append(list, e.standings(in)...), e.checkSlots(in)...)
		}
		list = append(list, e.tableSlots(func(owner string) bool {
			if owner == "" {
				return target == "" || target == "all"
			}
			return slices.ContainsFunc(insts, func(in *inst) bool { return in.name == owner })
		})...)
	})
	if err = first(err, refused); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b api.PulseSlot) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// worst is the pulse of an instance that is nearest to its limit, nil if it has none, and what is said of it if it is held.
func (e *Engine) worst(in *inst) (worst *api.Pulse, held string) {
	ratio := -1.0
	for _, s := range e.standings(in) {
		if s.LimitMS <= 0 || s.State == "paused" || s.State == "lost" {
			continue
		}
		if r := max(0, s.AgeMS) / s.LimitMS; r > ratio {
			ratio = r
			worst = &api.Pulse{Name: s.Pulse, AgeMS: int64(s.AgeMS), LimitMS: int64(s.LimitMS)}
			held = ""
			if slices.Contains(holdWords, s.Why) {
				held = quote(cmp.Or(s.Pulse, s.Source)) + " is late, and held: " + s.Why
			}
		}
	}
	return worst, held
}

// holdWords are those of the judge for a late pulse that lives; what they mean stands in docs/guide/verdicts.md.
var holdWords = []string{"traced", "frozen", "log", "starved", "crowd", "brake"}

// Incidents returns the incidents of what target names since a moment, newest first, at most n (0: all that are kept).
// Those of services that are no more are found by their exact name.
func (e *Engine) Incidents(ctx context.Context, target string, since time.Time, n int) ([]api.Incident, error) {
	var names map[string]bool // nil: all of them, also of those that are no more
	var refused error
	err := e.do(ctx, func() {
		if target == "" || target == "all" {
			return
		}
		names = map[string]bool{}
		insts, err := e.resolve(target)
		refused = err
		for _, in := range insts {
			names[in.name] = true
		}
	})
	if err != nil {
		return nil, err
	}
	store := e.clerk.store
	if store == nil {
		return nil, refuse("internal", "incidents are not stored: their directory cannot be written", "set state_dir in [stay] to a place that can be written; stay.log says what was wrong")
	}
	if refused != nil {
		names[target] = true
	}
	e.clerk.settle(ctx)
	list, err := store.List(incident.Filter{Names: names, Since: since, Limit: n})
	if err != nil {
		return nil, refuse("internal", err.Error(), "")
	}
	if len(list) == 0 && refused != nil {
		return nil, refused
	}
	return list, nil
}

// Incident returns one incident.
func (e *Engine) Incident(ctx context.Context, id string) (*api.Incident, error) {
	store := e.clerk.store
	if store == nil {
		return nil, refuse("internal", "incidents are not stored: their directory cannot be written", "set state_dir in [stay] to a place that can be written; stay.log says what was wrong")
	}
	e.clerk.settle(ctx)
	a, err := store.Get(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("not-found", "there is no incident "+quote(id), "`stay history` shows what there is")
	}
	if err != nil {
		return nil, refuse("internal", err.Error(), "")
	}
	return a, nil
}
