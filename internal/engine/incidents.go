package engine

import (
	"context"
	"time"

	"example.com/stay/api"
)

// This file: what clients see of pulses and incidents.

// Pulses returns every sign of life of what target names.
func (e *Engine) Pulses(ctx context.Context, target string) ([]api.PulseSlot, error) {
	return nil, e.known(ctx, target)
}

// Incidents returns the incidents of what target names since a moment, newest first, at most n (0: all that are kept).
func (e *Engine) Incidents(ctx context.Context, target string, since time.Time, n int) ([]api.Incident, error) {
	return nil, e.known(ctx, target)
}

// Incident returns one incident.
func (e *Engine) Incident(ctx context.Context, id string) (*api.Incident, error) {
	return nil, refuse("not-found", "there is no incident "+quote(id), "`stay history` shows what there is")
}

// known refuses a target that names nothing.
func (e *Engine) known(ctx context.Context, target string) error {
	var refused error
	err := e.do(ctx, func() { _, refused = e.resolve(target) })
	return first(err, refused)
}
