package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// looping runs an engine's requests until the test ends.
func looping(t *testing.T, e *Engine) {
	t.Helper()
	e.loop = make(chan struct{})
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case f := <-e.requests:
				f()
				e.batch()
			case <-stop:
				close(e.loop)
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

// at is an event of an instance.
func at(seq uint64, kind string) api.Event { return api.Event{Seq: seq, Kind: kind, Name: "web"} }

// TestEventsJoin: what is in files, what is in memory, and what comes, each once and in order.
func TestEventsJoin(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e := engineOf(t, aService("web", nil))
	withFiles(t, e, at(1, "state"), at(2, "exit"), at(3, "checkpoint"), at(5, "state"), at(6, "state"), at(7, "exit")) // 6 and 7 are in memory too
	e.events.start(5, 5)
	looping(t, e)
	give := func(kind string) {
		t.Helper()
		if err := e.do(ctx, func() { e.event(event{kind: kind, in: e.insts["web"]}) }); err != nil {
			t.Fatal(err)
		}
	}
	give("state")
	give("exit")
	for _, c := range []struct {
		filter api.EventFilter
		want   string
	}{
		{api.EventFilter{}, "1 2 -4 5 6 7"},
		{api.EventFilter{Since: 1}, "2 -4 5 6 7"},
		{api.EventFilter{Since: 4}, "5 6 7"},
		{api.EventFilter{Since: 5}, "6 7"},
		{api.EventFilter{Since: 7}, ""},
		{api.EventFilter{Since: 70}, ""},
		{api.EventFilter{Kinds: []string{"exit"}}, "2 -4 7"},
		{api.EventFilter{Kinds: []string{"checkpoint", "exit"}, Since: 2}, "3 -4 7"},
		{api.EventFilter{Targets: []string{"db"}}, "-4"},
		{api.EventFilter{From: time.Unix(1, 0)}, "1 2 -4 5 6 7"},
		{api.EventFilter{From: time.Unix(1, 1)}, ""},
	} {
		if got, err := numbersOf(ctx, e, c.filter, nil); got != c.want || err != nil {
			t.Errorf("%+v: %q %v, want %q", c.filter, got, err, c.want)
		}
	}
	if _, err := numbersOf(ctx, e, api.EventFilter{Targets: []string{"[w"}}, nil); err == nil || !strings.Contains(err.Error(), "is no pattern") {
		t.Errorf("no pattern: %v", err)
	}
	got, err := numbersOf(ctx, e, api.EventFilter{Since: 4, Follow: true}, func(seq uint64) {
		switch {
		case seq >= 5 && seq < 20: // one more comes for each that was read
			give("state")
		case seq >= 20:
			cancel()
		}
	})
	var all []string
	for n := 5; n <= 20; n++ {
		all = append(all, fmt.Sprint(n))
	}
	if words := strings.Fields(got); !slices.Equal(words[:min(len(words), 16)], all) || err != nil {
		t.Errorf("following: %q %v", got, err)
	}
}

// numbersOf are the numbers of what Events emits, those of gaps negative; seen is called with each.
func numbersOf(ctx context.Context, e *Engine, f api.EventFilter, seen func(uint64)) (string, error) {
	var list []string
	err := e.Events(ctx, f, func(a api.Event) error {
		n := fmt.Sprint(a.Seq)
		if a.Kind == api.KindGap {
			n = "-" + n
		}
		list = append(list, n)
		if seen != nil {
			seen(a.Seq)
		}
		return nil
	})
	return strings.Join(list, " "), err
}

// TestSlowReader: who does not read gets a gap with a number, and what comes after it.
func TestSlowReader(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e := engineOf(t, aService("web", nil))
	looping(t, e)
	give := func(n int) {
		_ = e.do(ctx, func() {
			for range n {
				e.event(event{kind: api.KindState})
			}
		})
	}
	const flood = 3 * readAhead
	give(1)
	missing, last := uint64(0), uint64(0)
	err := e.Events(ctx, api.EventFilter{Follow: true}, func(a api.Event) error {
		switch {
		case a.Kind == api.KindGap:
			missing += a.Missing
			return nil
		case a.Seq == 1:
			give(1)
		case a.Seq == 2: // the reader is registered by now, and waits for this function
			give(flood)
		case a.Seq == 2+readAhead: // the last that it kept
			give(1)
		case a.Seq > 2+readAhead:
			cancel()
		case a.Seq != last+1:
			t.Errorf("%d comes after %d", a.Seq, last)
		}
		last = a.Seq
		return nil
	})
	if err != nil || missing != flood-readAhead || last != flood+3 {
		t.Errorf("%v: %d are missing, the last is %d", err, missing, last)
	}
}
