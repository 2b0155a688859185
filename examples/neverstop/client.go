package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	pace  = 3 * time.Millisecond // between an answer and the next request
	limit = 5 * time.Second      // for one try
	tries = 5                    // of one request, then it is lost
)

// A tally is what became of the requests of a client.
type tally struct {
	asked, answered int
	again           int // tries beyond the first
	slowest         time.Duration
	lost            error // of the first request that was lost
}

// String is the tally in one sentence.
func (t tally) String() string {
	s := fmt.Sprintf("%d requests, %d answered", t.asked, t.answered)
	switch t.again {
	case 0:
		s += ", each at the first try"
	case 1:
		s += ", 1 of them at a second try"
	default:
		s += fmt.Sprintf(", with %d tries more than requests", t.again)
	}
	return s + fmt.Sprintf("; the slowest took %v", t.slowest.Round(100*time.Microsecond))
}

// run asks url, each time on a new connection, until ctx ends, and returns what became of it. A try that is cut off, or
// finds nobody, is made again at once.
func run(ctx context.Context, url string) tally {
	c := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	var t tally
	for ctx.Err() == nil {
		t.asked++
		begin := time.Now()
		if err := t.ask(c, url); err != nil && t.lost == nil {
			t.lost = err
		}
		t.slowest = max(t.slowest, time.Since(begin))
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
	return t
}

func (t *tally) ask(c *http.Client, url string) error {
	var err error
	for i := range tries {
		if i > 0 {
			t.again++
		}
		if err = once(c, url); err == nil {
			t.answered++
			return nil
		}
	}
	return err
}

// once is one try: it must bring a whole answer.
func once(c *http.Client, url string) error {
	r, err := c.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("get %q: %s", url, r.Status)
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}
