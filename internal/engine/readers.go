package engine

import (
	"context"
	"errors"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/journal"
)

// readAhead is how many events a reader may be behind before it misses some.
const readAhead = 256

// fillIn bounds the wait for what is on its way from the pipe to the files.
const fillIn = time.Second

// Events calls emit with what f chooses: first from the journal, as far back as it goes, then from memory, then, with
// Follow, each new one. Each comes once; what is missing is told by an event of kind "gap".
func (e *Engine) Events(ctx context.Context, f api.EventFilter, emit func(api.Event) error) error {
	filter, err := journal.NewFilter(f)
	if err != nil {
		return refuse("bad-request", err.Error(), "see `stay status` for the names")
	}
	order := &journal.Order{Last: f.Since}
	send := func(a api.Event) error {
		gap, pass := order.Next(a)
		if gap != nil {
			if err := emit(*gap); err != nil {
				return err
			}
		}
		if !pass || !filter.Match(a) {
			return nil
		}
		return emit(a)
	}
	if err := e.catchUp(ctx, filter, order, nil, send); err != nil || !f.Follow {
		return err
	}
	reader := make(chan api.Event, readAhead)
	defer e.post(func() { delete(e.events.readers, reader) })
	if err := e.catchUp(ctx, filter, order, reader, send); err != nil { // what came meanwhile is little
		return err
	}
	for {
		select {
		case a := <-reader:
			if err := send(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-e.loop:
			return errors.New("the engine is leaving")
		}
	}
}

// catchUp sends what there is after the last event of order, from files and memory. If there is a reader it gets each event
// from then on.
func (e *Engine) catchUp(ctx context.Context, filter *journal.Filter, order *journal.Order, reader chan api.Event, send func(api.Event) error) error {
	past, first, err := e.readAlong(ctx, order.Last, reader)
	if err != nil {
		return err
	}
	if len(past) == 0 || !filter.Before(past[0]) {
		if err := e.eventsOfFiles(ctx, filter, order, first, send); err != nil {
			return err
		}
	}
	for _, a := range past {
		if err := send(a); err != nil {
			return err
		}
	}
	return nil
}

// readAlong returns the events in memory above since and the number of the first there is, and has reader, unless it is nil,
// get each new one.
func (e *Engine) readAlong(ctx context.Context, since uint64, reader chan api.Event) (past []api.Event, first uint64, err error) {
	err = e.do(ctx, func() {
		ring := e.events.ring
		first = e.events.next
		if len(ring) > 0 {
			first = ring[0].Seq
		}
		for i := range ring {
			if ring[i].Seq > since {
				past = append(past, ring[i:]...)
				break
			}
		}
		if reader != nil {
			e.events.readers[reader] = true
		}
	})
	return past, first, err
}

// eventsOfFiles sends the events of the journal's files below number first. What was written a moment ago may still be on
// its way there.
func (e *Engine) eventsOfFiles(ctx context.Context, filter *journal.Filter, order *journal.Order, first uint64, send func(api.Event) error) error {
	store := e.diary.store
	if store == nil || order.Last+1 >= first {
		return nil
	}
	begin := func(line []byte) bool {
		a, err := journal.Decode(line)
		return err == nil && (filter.Before(a) || a.Seq <= order.Last+1)
	}
	var failed error
	for late := time.Now().Add(fillIn); ; {
		var r journal.Reader
		failed = nil
		err := store.Scan(journalName, begin, func(line []byte) error {
			return r.Line(line, func(a api.Event) error {
				if a.Seq >= first {
					return errReached
				}
				failed = send(a)
				return failed
			})
		})
		switch {
		case failed != nil:
			return failed
		case errors.Is(err, errReached), order.Last+1 >= first, time.Now().After(late):
			return nil
		case err != nil:
			e.log.Warn("read the journal", "error", err)
			return nil
		}
		select {
		case <-time.After(fillIn / 50):
		case <-ctx.Done():
			return nil
		}
	}
}

// errReached ends a reading of files where memory goes on.
var errReached = errors.New("reached what is in memory")
