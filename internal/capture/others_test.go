package capture

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// This file: what tools like logrotate do to files while they are written.

// numbered writes numbered lines until stop is closed, and returns how many.
func numbered(src *source, stop chan struct{}) chan int {
	done := make(chan int, 1)
	go func() {
		defer src.w.Close()
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- i
				return
			default:
			}
			if _, err := fmt.Fprintf(src.w, "line %d\n", i); err != nil {
				src.t.Error(err)
			}
		}
	}()
	return done
}

// TestMovedAwayWhileItIsWritten is logrotate with "create" and without: nothing is lost, and a busy stream goes on in the
// file that has the name.
func TestMovedAwayWhileItIsWritten(t *testing.T) {
	for _, create := range []bool{false, true} {
		t.Run(fmt.Sprintf("create %v", create), func(t *testing.T) {
			s, r := newStore(t)
			s.look = time.Millisecond
			src := stream(t, s, "web", 1, Policy{Keep: 5})
			stop := make(chan struct{})
			written := numbered(src, stop)
			for i := 3; i > 0; i-- {
				eventually(t, "the file grows", func() bool { return len(content(t, s, "web.log")) > 1000 })
				to := s.file(fmt.Sprintf("web.log.%d", i))
				if err := os.Rename(s.file("web.log"), to); err != nil {
					t.Fatal(err)
				}
				if !create {
					continue
				}
				if f, err := os.OpenFile(s.file("web.log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil { // or stay was first
					f.Close()
				}
			}
			eventually(t, "the file grows", func() bool { return len(content(t, s, "web.log")) > 1000 })
			close(stop)
			n := <-written
			src.wait()
			got, err := s.Tail("web", -1)
			if err != nil || len(got) != n || len(r.all()) > 0 {
				t.Fatalf("%d lines (%v), want %d; reported %q", len(got), err, n, r.all())
			}
			inOrder(t, got, 0)
		})
	}
}

// TestCopiedAndTruncated is logrotate with "copytruncate", between two lines: the file begins anew, without a hole.
func TestCopiedAndTruncated(t *testing.T) {
	s, r := newStore(t)
	src := stream(t, s, "web", 1, Policy{Keep: 5, Timestamps: true})
	want := ""
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		src.say(line)
		waitContent(t, s, "web.log", fixedStamp+line)
		want = want + line
		put(t, s, fmt.Sprintf("web.log.%d", 3-i), content(t, s, "web.log"))
		if err := os.Truncate(s.file("web.log"), 0); err != nil {
			t.Fatal(err)
		}
	}
	src.say("last\n")
	src.end()
	if got, err := s.Tail("web", -1); err != nil || texts(got) != strings.ReplaceAll(want+"last\n", "\n", "|") || len(r.all()) > 0 {
		t.Errorf("read %q (%v), reported %q", texts(got), err, r.all())
	}
}
