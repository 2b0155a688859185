package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server answers the n-th request as answer says.
func server(t *testing.T, answer func(n int64, w http.ResponseWriter)) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(n.Add(1), w) }))
	t.Cleanup(s.Close)
	return s.URL
}

// cutOff ends a connection without an answer, as a server does that is killed.
func cutOff(t *testing.T, w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	c.Close()
}

func TestRun(t *testing.T) {
	tests := []struct {
		name   string
		answer func(t *testing.T, n int64, w http.ResponseWriter)
		tries  int64 // after which it is enough
		want   tally
	}{
		{"all is well", func(*testing.T, int64, http.ResponseWriter) {}, 3, tally{asked: 3, answered: 3}},
		{"one is cut off", func(t *testing.T, n int64, w http.ResponseWriter) {
			if n == 2 {
				cutOff(t, w)
			}
		}, 4, tally{asked: 3, answered: 3, again: 1}},
		{"half an answer is none", func(t *testing.T, n int64, w http.ResponseWriter) {
			if n == 1 {
				w.Header().Set("Content-Length", "100")
				_, _ = w.Write([]byte("half"))
			}
		}, 2, tally{asked: 1, answered: 1, again: 1}},
		{"lost", func(t *testing.T, n int64, w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, tries,
			tally{asked: 1, again: tries - 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, enough := context.WithCancel(t.Context())
			defer enough()
			url := server(t, func(n int64, w http.ResponseWriter) {
				tt.answer(t, n, w)
				if n == tt.tries {
					enough()
				}
			})
			got := run(ctx, url)
			if got.slowest <= 0 {
				t.Errorf("the slowest took %v", got.slowest)
			}
			if lost := got.lost != nil; lost != (tt.want.answered < tt.want.asked) {
				t.Errorf("lost: %v", got.lost)
			}
			got.slowest, got.lost = 0, nil
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTallySaysWhatHappened(t *testing.T) {
	tests := []struct {
		t    tally
		want string
	}{
		{tally{asked: 7, answered: 7, slowest: 1234567 * time.Nanosecond}, "7 requests, 7 answered, each at the first try; the slowest took 1.2ms"},
		{tally{asked: 7, answered: 7, again: 1}, "7 answered, 1 of them at a second try;"},
		{tally{asked: 7, answered: 6, again: 4}, "6 answered, with 4 tries more than requests;"},
	}
	for _, tt := range tests {
		if got := tt.t.String(); !strings.Contains(got, tt.want) {
			t.Errorf("%+v says %q, want %q", tt.t, got, tt.want)
		}
	}
}
