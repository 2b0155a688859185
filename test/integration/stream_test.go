package integration

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	"example.com/stay/api"
)

// This file: streams that outlive engines.

// TestEventsOutliveEngines: numbers only grow, nothing comes twice, each death of an engine costs one gap mark at most, and
// what happened while none was there is told by the next.
func TestEventsOutliveEngines(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	web := d.running("web", 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	var events []api.Event
	ended := make(chan error, 1)
	go func() {
		ended <- d.client.Events(ctx, 0, true, func(e api.Event) error {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
			return nil
		})
	}()
	told := func() {
		t.Helper()
		d.wait("word of the last generation", func() error {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				if e.Name == "web" && e.To == api.Running && e.Generation == web.Generation {
					return nil
				}
			}
			return errNotYet
		})
	}
	told()
	const engines = 4
	for range engines {
		kill(t, mustVersion(t, d).EnginePid)
		kill(t, web.Pid) // nobody is there who could see it
		web = d.running("web", web.Generation)
		told()
	}
	cancel()
	if err := <-ended; err != nil && err != context.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
	gaps, seen := 0, map[uint64]bool{}
	for n, e := range events {
		if n > 0 && e.Seq <= events[n-1].Seq {
			t.Errorf("event %d came after %d", e.Seq, events[n-1].Seq)
		}
		if e.Kind == "gap" {
			gaps++
		}
		if e.Name == "web" && e.To == api.Running {
			seen[e.Generation] = true
		}
	}
	if gaps > engines {
		t.Errorf("%d gaps over %d deaths", gaps, engines)
	}
	for gen := uint64(1); gen <= web.Generation; gen++ {
		if !seen[gen] {
			t.Errorf("nothing is told of generation %d", gen)
		}
	}
}

// TestLogsOutliveEngines: who follows a log sees every line, once and in order, whatever happens to engines
// and however often the files are rotated and compressed.
func TestLogsOutliveEngines(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\nlog = { max_size = \"4KB\", keep = 1000 }\ncommand = \"sh -c 'n=0; while :; do n=$((n+1)); echo line $n; done | while read l; do echo $l; sleep .001; done'\"\n")
	d.running("web", 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := make(chan string, 1<<16)
	ended := make(chan error, 1)
	go func() {
		ended <- d.client.Logs(ctx, api.LogQuery{Targets: []string{"web"}, N: -1, Follow: true}, func(l api.LogLine) error {
			lines <- l.Text
			return nil
		})
	}()
	last, repeated := 0, 0
	next := func(upTo int) {
		t.Helper()
		for last < upTo {
			text := <-lines
			n, err := strconv.Atoi(strings.TrimPrefix(text, "line "))
			switch {
			case err != nil:
				t.Fatalf("a line is %q", text)
			case n > last+1:
				t.Fatalf("after line %d came line %d", last, n)
			case n <= last:
				repeated++
				continue
			}
			last = n
		}
	}
	next(50)
	for range 3 {
		d.killEngine()
		next(last + 100)
	}
	cancel()
	if err := <-ended; err != nil && err != context.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
	if repeated > 0 {
		t.Errorf("%d lines came twice", repeated)
	}
}
