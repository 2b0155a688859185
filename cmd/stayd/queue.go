package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// A queue writes log lines without ever making the writer wait: what a slow disk does not take is dropped, and counted in
// the next line that gets through.
type queue struct {
	lines   chan []byte
	marks   chan chan struct{} // closed when what was in lines before is written
	dropped atomic.Int64
}

// queued is how many lines may wait.
const queued = 256

func newQueue(f *os.File) *queue {
	q := &queue{lines: make(chan []byte, queued), marks: make(chan chan struct{})}
	go func() {
		for {
			select {
			case line := <-q.lines:
				q.put(f, line)
			case mark := <-q.marks:
				for n := len(q.lines); n > 0; n-- {
					q.put(f, <-q.lines)
				}
				close(mark)
			}
		}
	}()
	return q
}

func (q *queue) put(f *os.File, line []byte) {
	if n := q.dropped.Swap(0); n > 0 {
		fmt.Fprintf(f, "level=WARN msg=\"log lines were dropped here\" count=%d\n", n)
	}
	_, _ = f.Write(line) // nowhere to complain about the log but the log
}

// flushTime is how long flush waits.
const flushTime = 100 * time.Millisecond

// flush waits, not for long, until what was written by now is in the file.
func (q *queue) flush() {
	done := make(chan struct{})
	late := time.After(flushTime)
	select {
	case q.marks <- done:
	case <-late:
		return
	}
	select {
	case <-done:
	case <-late:
	}
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
