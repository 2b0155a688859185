package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// This file: what readers and rotation make of compressed files.

// TestRotationMovesEitherForm, also while one of two is what a kill left.
func TestRotationMovesEitherForm(t *testing.T) {
	s, r := newStore(t)
	put(t, s, "web.log", "e\n")
	put(t, s, "web.log.1", "d\n")
	put(t, s, "web.log.2", "c\n")
	put(t, s, "web.log.2.zst", "half of it")
	put(t, s, "web.log.3.gz", gzOf(t, "b\n"))
	put(t, s, "web.log.4.zst", zstOf(t, "a\n"))
	src := stream(t, s, "web", 1, Policy{MaxSize: 2, Keep: 4})
	src.say("f\n")
	src.end()
	if got, want := files(t, s), []string{"web.log", "web.log.1", "web.log.2", "web.log.3", "web.log.4.gz"}; !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
	if got, err := s.Tail("web", -1); err != nil || texts(got) != "b|c|d|e|f|" || len(r.all()) > 0 {
		t.Errorf("read %q (%v), reported %q", texts(got), err, r.all())
	}
}

// TestRotationWhileFilesAreCompressed compares what is read, again and again, with what was written.
func TestRotationWhileFilesAreCompressed(t *testing.T) {
	const lines = 6000
	s, r := newStore(t)
	s.pace = 0
	how := Policy{MaxSize: 2000, Keep: 1000, Compress: true}
	src := stream(t, s, "web", 1, how)
	var followed []Line
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error, 1)
	go func() {
		told <- s.Follow(ctx, func() []string { return []string{"web"} }, Query{N: -1}, func(l Line) error {
			if followed = append(followed, l); len(followed) == lines {
				cancel()
			}
			return nil
		})
	}()
	go src.lines(lines, "line")
	for busy := true; busy; {
		select {
		case <-src.s.Done():
			busy = false
		default:
		}
		got, err := s.Tail("web", 500)
		if err != nil {
			t.Fatal(err)
		}
		inOrder(t, got[:max(len(got)-1, 0)], -1)
	}
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("the follower does not end")
	}
	inOrder(t, followed, 0)
	waitTidy(t, s)
	got, err := s.Tail("web", -1)
	if err != nil || len(got) != lines || len(r.all()) > 0 {
		t.Fatalf("read %d lines (%v), reported %q", len(got), err, r.all())
	}
	inOrder(t, got, 0)
	tidyNow(t, s, "web", how)
	for _, file := range files(t, s) {
		if plainOld := file != "web.log" && file != "web.log.1" && !strings.HasSuffix(file, zst); plainOld {
			t.Errorf("%s is not compressed", file)
		}
	}
}

// inOrder checks that lines are numbered without a gap, from first on if that is not negative.
func inOrder(t *testing.T, lines []Line, first int) {
	t.Helper()
	next := first
	for _, l := range lines {
		var n int
		if _, err := fmt.Sscanf(l.Text, "line %d", &n); err != nil || next >= 0 && n != next {
			t.Fatalf("line %q where %d is due", l.Text, next)
		}
		next = n + 1
	}
}

func TestFollowerThatIsBehindReadsCompressedFiles(t *testing.T) {
	s, _ := newStore(t)
	s.pace = 0
	how := Policy{MaxSize: 1000, Keep: 100, Compress: true}
	src := stream(t, s, "web", 1, how)
	src.say("line 0\n")
	waitContent(t, s, "web.log", "line 0\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []Line
	begun, goOn := make(chan bool), make(chan bool)
	told := make(chan error, 1)
	go func() {
		told <- s.Follow(ctx, func() []string { return []string{"web"} }, Query{N: -1}, func(l Line) error {
			if len(got) == 0 {
				close(begun)
				<-goOn
			}
			if got = append(got, l); len(got) == 3000 {
				cancel()
			}
			return nil
		})
	}()
	<-begun
	for i := range 2999 {
		src.say(fmt.Sprintf("line %d\n", i+1))
	}
	src.end()
	waitTidy(t, s)
	tidyNow(t, s, "web", how)
	close(goOn)
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("the follower does not end")
	}
	inOrder(t, got, 0)
}
