package main

import (
	"fmt"
	"os"
	"sync/atomic"
)

// A queue writes log lines without ever making the writer wait: what a slow disk does not take is dropped, and counted in
// the next line that gets through.
type queue struct {
	lines   chan []byte
	dropped atomic.Int64
}

// queued is how many lines may wait.
const queued = 256

func newQueue(f *os.File) *queue {
	q := &queue{lines: make(chan []byte, queued)}
	go func() {
		for line := range q.lines {
			if n := q.dropped.Swap(0); n > 0 {
				fmt.Fprintf(f, "level=WARN msg=\"log lines were dropped here\" count=%d\n", n)
			}
			_, _ = f.Write(line) // nowhere to complain about the log but the log
		}
	}()
	return q
}

// Write takes one line.
func (q *queue) Write(p []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), p...):
	default:
		q.dropped.Add(1)
	}
	return len(p), nil
}
