package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A reader is a running Follow.
type reader struct {
	t      *testing.T
	lines  chan Line
	done   chan error
	cancel context.CancelFunc
}

// follow starts one; it ends with the test at the latest.
func follow(t *testing.T, s *Store, names func() []string, n int) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{t: t, lines: make(chan Line), done: make(chan error, 1), cancel: cancel}
	go func() {
		r.done <- s.Follow(ctx, names, Query{N: n}, func(l Line) error {
			select {
			case r.lines <- l:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		for range 2 { // until done was read or is empty
			select {
			case <-r.done:
			case <-time.After(time.Millisecond):
			}
		}
	})
	return r
}

func (r *reader) next() Line {
	r.t.Helper()
	select {
	case l := <-r.lines:
		return l
	case err := <-r.done:
		r.done <- err
		r.t.Fatalf("follow ended: %v", err)
	case <-time.After(patience):
		r.t.Fatal("no line comes")
	}
	return Line{}
}

func (r *reader) want(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if got := r.next(); got.Text != text {
			r.t.Fatalf("got %q, want %q", got.Text, text)
		}
	}
}

// end waits for Follow's return.
func (r *reader) end() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case l := <-r.lines:
		r.t.Fatalf("another line: %q", l.Text)
	case <-time.After(patience):
		r.t.Fatal("follow does not end")
	}
	return nil
}

func only(names ...string) func() []string { return func() []string { return names } }

func TestFollowTailsThenGoesOn(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		n     int
		want  string
	}{
		{"no file", nil, 10, ""},
		{"none asked for", map[string]string{"web.log": "a\nb\n"}, 0, ""},
		{"the last", map[string]string{"web.log": "a\nb\n"}, 1, "b|"},
		{"all", map[string]string{"web.log": "b\n", "web.log.1": "a\n"}, -1, "a|b|"},
		{"over files", map[string]string{"web.log": "c\n", "web.log.1": "a\nb\n"}, 2, "b|c|"},
		{"unfinished", map[string]string{"web.log": "a\nb"}, 1, "b|"},
		{"unfinished, none asked for", map[string]string{"web.log": "a\nb"}, 0, ""},
		{"only an old file", map[string]string{"web.log.1": "a\nb\n"}, 1, "b|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newStore(t)
			for file, text := range c.files {
				put(t, s, file, text)
			}
			r := follow(t, s, only("web"), c.n)
			var got []Line
			for range strings.Count(c.want, "|") {
				got = append(got, r.next())
			}
			if texts(got) != c.want {
				t.Errorf("got %q, want %q", texts(got), c.want)
			}
			eventually(t, "it follows", func() bool { return s.following("web") == 1 })
			src := stream(t, s, "web", 1, raw)
			src.say("new\n\nlast\n")
			r.want("new", "", "last")
		})
	}
}

// following is how many followers a name has; what is written from now on is new to them.
func (s *Store) following(name string) int {
	s.mu.Lock()
	k := s.sinks[name]
	s.mu.Unlock()
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.bells)
}

func TestFollowTellsALineWhenItIsFinished(t *testing.T) {
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, stamped)
	src.say("a\nhal")
	waitContent(t, s, "web.log", fixedStamp+"a\n"+fixedStamp+"hal")
	r := follow(t, s, only("web"), 1)
	r.want("a")
	src.say("f\nb")
	r.want("half")
	next := stream(t, s, "web", 2, stamped)
	src.end()
	r.want("b")
	next.say("\nc\n")
	r.want("", "c")
	src = stream(t, s, "web", 3, stamped)
	src.say("x")
	eventually(t, "x is written", func() bool { return strings.HasSuffix(content(t, s, "web.log"), "x") })
	next.say("y\n")
	eventually(t, "y is written", func() bool { return strings.Contains(content(t, s, "web.log"), "y\n") })
	src.end()
	got := []string{r.next().Text, r.next().Text}
	if !(got[0] == "x" && got[1] == "y" || got[0] == "y" && got[1] == "x") {
		t.Errorf("got %q, want x and y", got)
	}
}

func TestFollowersSeeEachLineOnceOverRotation(t *testing.T) {
	const followers, lines = 4, 20000
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, Policy{MaxSize: 10_000, Keep: 1000, Timestamps: true})
	go src.lines(lines, "line")
	var all sync.WaitGroup
	for range followers {
		all.Go(func() {
			want, stop := 0, errors.New("enough")
			err := s.Follow(t.Context(), only("web"), Query{N: -1}, func(l Line) error {
				if l.Text != fmt.Sprintf("line %d", want) {
					return fmt.Errorf("got %q, want number %d", l.Text, want)
				}
				if want++; want == lines {
					return stop
				}
				return nil
			})
			if err != stop {
				t.Error(err)
			}
		})
	}
	all.Wait()
	src.wait()
	if n := openFiles(t, s); n != 0 {
		t.Errorf("%d files are left open", n)
	}
}

func TestFollowNamesThatAppearLater(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "b.log", "of yesterday\n")
	var mu sync.Mutex
	names := []string{"a"}
	set := func(to ...string) {
		mu.Lock()
		names = to
		mu.Unlock()
		s.Changed()
	}
	r := follow(t, s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return names
	}, 5)
	a := stream(t, s, "a", 1, raw)
	a.say("a1\n")
	r.want("a1")
	b := stream(t, s, "b", 1, raw)
	b.say("b1\nb2\n")
	waitContent(t, s, "b.log", "of yesterday\nb1\nb2\n")
	set("a", "b", "b")
	r.want("b1", "b2")
	set("b")
	eventually(t, "a is left", func() bool { return s.following("a") == 0 })
	a.say("a2\n")
	b.say("b3\n")
	r.want("b3")
	c := stream(t, s, "c", 1, raw)
	c.say("c1\n")
	c.end()
	c = stream(t, s, "c", 2, raw)
	c.say("c2\n")
	waitContent(t, s, "c.log", "c1\nc2\n")
	set("b", "c")
	got := []string{r.next().Text, r.next().Text}
	if got[0] != "c1" || got[1] != "c2" {
		t.Errorf("got %q, want c1 and c2", got)
	}
}

func TestFollowSaysWhatItMissed(t *testing.T) {
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, Policy{MaxSize: 8, Keep: 1})
	gate, entered := make(chan bool), make(chan bool, 100)
	var got []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- s.Follow(ctx, only("web"), Query{N: 0}, func(l Line) error {
			got = append(got, l.Text)
			entered <- true
			<-gate
			if l.Text == "end" {
				cancel()
			}
			return nil
		})
	}()
	eventually(t, "it follows", func() bool { return s.following("web") == 1 })
	src.say("0\n")
	<-entered
	for i := 1; i <= 20; i++ {
		src.say(fmt.Sprintf("number%d\n", i))
	}
	src.say("end\n")
	src.end()
	close(gate)
	if err := <-done; err != context.Canceled {
		t.Fatal(err)
	}
	if got[0] != "0" || got[len(got)-1] != "end" || !strings.HasPrefix(got[1], gapText) || len(got) > 6 {
		t.Errorf("got %q", got)
	}
}

func TestFollowWhenTheFileIsTakenAway(t *testing.T) {
	for _, truncate := range []bool{false, true} {
		s, _ := newStore(t)
		src := stream(t, s, "web", 1, raw)
		r := follow(t, s, only("web"), 0)
		eventually(t, "it follows", func() bool { return s.following("web") == 1 })
		src.say("one\n")
		r.want("one")
		var err error
		if truncate {
			err = os.Truncate(s.file("web.log"), 0)
		} else {
			err = os.Remove(s.file("web.log"))
		}
		if err != nil {
			t.Fatal(err)
		}
		src.say("two\n")
		r.want("two")
		src.say("three\n")
		r.want("three")
	}
}

func TestFollowEnds(t *testing.T) {
	t.Run("by the context", func(t *testing.T) {
		s, _ := newStore(t)
		r := follow(t, s, only("web"), 0)
		r.cancel()
		if err := r.end(); err != context.Canceled {
			t.Errorf("got %v", err)
		}
	})
	t.Run("by the receiver", func(t *testing.T) {
		s, _ := newStore(t)
		put(t, s, "web.log", "a\nb\n")
		enough := errors.New("enough")
		if err := s.Follow(t.Context(), only("web"), Query{N: -1}, func(Line) error { return enough }); err != enough {
			t.Errorf("got %v", err)
		}
	})
	t.Run("by close, after the last line", func(t *testing.T) {
		s, _ := newStore(t)
		src := stream(t, s, "web", 1, raw)
		r := follow(t, s, only("web"), 0)
		eventually(t, "it follows", func() bool { return s.following("web") == 1 })
		src.say("a\nlast words")
		src.end()
		s.Close()
		r.want("a", "last words")
		if err := r.end(); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("after close", func(t *testing.T) {
		s, _ := newStore(t)
		s.Close()
		if err := s.Follow(t.Context(), only("web"), Query{N: 0}, func(Line) error { return nil }); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestFollowManyNamesWithFewFiles(t *testing.T) {
	const names = 3 * openCursors
	s, _ := newStore(t)
	var list []string
	for i := range names {
		list = append(list, fmt.Sprintf("s%d", i))
	}
	r := follow(t, s, func() []string { return list }, 0)
	eventually(t, "all are followed", func() bool { return s.following(list[names-1]) == 1 })
	for i, name := range list {
		src := stream(t, s, name, 1, raw)
		src.say("a\n")
		src.end()
		if got := r.next(); got.Name != name || got.Text != "a" {
			t.Fatalf("name %d: got %v", i, got)
		}
	}
	eventually(t, "silent files are closed", func() bool { return openFiles(t, s) <= openCursors })
}
