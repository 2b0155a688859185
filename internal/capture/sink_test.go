package capture

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	raw     = Policy{}
	stamped = Policy{Timestamps: true}
)

func TestStreamKeepsWhatIsWritten(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name   string
		policy Policy
		in     string
		want   string
	}{
		{"raw", raw, "a\nb\n", "a\nb\n"},
		{"stamped", stamped, "a\nb\n", fixedStamp + "a\n" + fixedStamp + "b\n"},
		{"nothing", stamped, "", ""},
		{"empty lines", stamped, "\n\n", fixedStamp + "\n" + fixedStamp + "\n"},
		{"no newline at the end", stamped, "a\nb", fixedStamp + "a\n" + fixedStamp + "b"},
		{"raw without newline", raw, "a", "a"},
		{"nul and broken utf-8", stamped, "a\x00b\xff\xc3\n", fixedStamp + "a\x00b\xff\xc3\n"},
		{"carriage return", stamped, "a\r\n", fixedStamp + "a\r\n"},
		{"longest line", stamped, long + "\nb\n", fixedStamp + long + "\n" + fixedStamp + "b\n"},
		{"too long a line", stamped, long + "y\nb\n", fixedStamp + long + "\n" + fixedStamp + Mark + "y\n" + fixedStamp + "b\n"},
		{"longest raw line", raw, long + "\nb\n", long + "\nb\n"},
		{"too long a raw line", raw, "a\n" + long + "y\nb\n", "a\n" + long + "\n" + Mark + "y\nb\n"},
		{"three times too long", raw, long + long + "y", long + "\n" + Mark + long + "\n" + Mark + "y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			src := stream(t, s, "web", 1, c.policy)
			src.say(c.in)
			src.end()
			if got := content(t, s, "web.log"); got != c.want {
				t.Errorf("got %d bytes %.100q, want %d bytes %.100q", len(got), got, len(c.want), c.want)
			}
			if got := r.all(); len(got) > 0 {
				t.Errorf("reported %q", got)
			}
		})
	}
}

func TestPartialLineIsWrittenAtOnceAndContinued(t *testing.T) {
	for _, p := range []Policy{raw, stamped} {
		t.Run(fmt.Sprintf("timestamps %v", p.Timestamps), func(t *testing.T) {
			s, _ := newStore(t)
			head := map[bool]string{true: fixedStamp}[p.Timestamps]
			src := stream(t, s, "web", 1, p)
			src.say("one")
			waitContent(t, s, "web.log", head+"one")
			src.say(" two")
			waitContent(t, s, "web.log", head+"one two")
			src.say("\nthree\n")
			waitContent(t, s, "web.log", head+"one two\n"+head+"three\n")
			src.end()
		})
	}
}

func TestGenerationsDoNotShareALine(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		head   string
	}{{raw, ""}, {stamped, fixedStamp}} {
		t.Run(fmt.Sprintf("timestamps %v", c.policy.Timestamps), func(t *testing.T) {
			s, _ := newStore(t)
			old, next := stream(t, s, "web", 1, c.policy), stream(t, s, "web", 2, c.policy)
			old.say("half")
			want := c.head + "half"
			waitContent(t, s, "web.log", want)
			next.say("whole\n")
			want += "\n" + c.head + "whole\n"
			waitContent(t, s, "web.log", want)
			old.say(" rest\n")
			want += c.head + Mark + " rest\n"
			waitContent(t, s, "web.log", want)
			old.say("last")
			want += c.head + "last"
			waitContent(t, s, "web.log", want)
			old.end()
			next.say("new\n")
			next.end()
			if got := content(t, s, "web.log"); got != want+"\n"+c.head+"new\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestSameGenerationTakenOverGoesOnInItsLine(t *testing.T) {
	s, _ := newStore(t)
	first, again := stream(t, s, "web", 7, stamped), stream(t, s, "web", 7, stamped)
	first.say("half")
	waitContent(t, s, "web.log", fixedStamp+"half")
	again.say(" rest\n")
	waitContent(t, s, "web.log", fixedStamp+"half rest\n")
	first.end()
	again.end()
}

func TestLineOfAnEarlierDaemonIsFinishedFirst(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "web.log", "cut off")
	src := stream(t, s, "web", 1, raw)
	src.say("new\n")
	src.end()
	if got := content(t, s, "web.log"); got != "cut off\nnew\n" {
		t.Errorf("got %q", got)
	}
}

func TestPolicyChangesWithTheNextChunk(t *testing.T) {
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, raw)
	src.say("a\n")
	waitContent(t, s, "web.log", "a\n")
	src.s.SetPolicy(stamped)
	src.say("b\n")
	src.end()
	if got := content(t, s, "web.log"); got != "a\n"+fixedStamp+"b\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileIsClosedInSilenceAndOpenedAgain(t *testing.T) {
	s, _ := newStore(t)
	s.look = 1 // every look finds silence
	src := stream(t, s, "web", 1, stamped)
	for _, text := range []string{"a", "b\n", "c\n"} {
		src.say(text)
		eventually(t, "the file has "+text, func() bool { return strings.HasSuffix(content(t, s, "web.log"), text) })
		eventually(t, "the file is closed", func() bool { return openFiles(t, s) == 0 })
	}
	src.end()
	if got := content(t, s, "web.log"); got != fixedStamp+"ab\n"+fixedStamp+"c\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileStaysOpenWhileBusy(t *testing.T) {
	s, _ := newStore(t)
	s.look = patience
	src := stream(t, s, "web", 1, raw)
	src.say("a\n")
	waitContent(t, s, "web.log", "a\n")
	if n := openFiles(t, s); n != 1 {
		t.Errorf("%d files are open, want 1", n)
	}
	src.end()
	if n := openFiles(t, s); n != 0 {
		t.Errorf("%d files are open after the end, want 0", n)
	}
}

func TestFileTakenAway(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(t *testing.T, s *Store) error
		want string
	}{
		{"removed", func(t *testing.T, s *Store) error { return os.Remove(s.file("web.log")) }, "new\n"},
		{"truncated", func(t *testing.T, s *Store) error { return os.Truncate(s.file("web.log"), 0) }, "new\n"},
		{"truncated within a line", func(t *testing.T, s *Store) error { return os.Truncate(s.file("web.log"), 2) }, "ol\nnew\n"},
		{"directory removed", func(t *testing.T, s *Store) error { return os.RemoveAll(s.dir.path) }, "new\n"},
		{"appended to", func(t *testing.T, s *Store) error {
			f, err := os.OpenFile(s.file("web.log"), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("by hand")
				f.Close()
			}
			return err
		}, "old\nby hand\nnew\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			src := stream(t, s, "web", 1, raw)
			src.say("old\n")
			waitContent(t, s, "web.log", "old\n")
			if err := c.take(t, s); err != nil {
				t.Fatal(err)
			}
			src.say("new\n")
			src.end()
			if got := content(t, s, "web.log"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := r.all(); len(got) > 0 {
				t.Errorf("reported %q", got)
			}
		})
	}
}

// TestFileMovedAwayWhileBusy: what another program rotates gets no more lines once a look has found that.
func TestFileMovedAwayWhileBusy(t *testing.T) {
	for _, policy := range []Policy{raw, stamped} {
		s, r := newStore(t)
		s.look = time.Millisecond
		src := stream(t, s, "web", 1, policy)
		src.say("first\n")
		eventually(t, "the first line is there", func() bool { return content(t, s, "web.log") != "" })
		if err := os.Rename(s.file("web.log"), s.file("web.log-old")); err != nil {
			t.Fatal(err)
		}
		said := 1
		eventually(t, "there is a new file", func() bool {
			src.say("next\n")
			said++
			return content(t, s, "web.log") != ""
		})
		src.end()
		old, now := content(t, s, "web.log-old"), content(t, s, "web.log")
		if strings.Count(old+now, "\n") != said || !strings.HasSuffix(old, "\n") || len(r.all()) > 0 {
			t.Errorf("of %d lines: %q and %q (%q)", said, old, now, r.all())
		}
	}
}

func TestManyStreamsKeepEveryLineInOrder(t *testing.T) {
	const streams, lines = 20, 5000
	s, r := newStore(t)
	sources := make([]*source, streams)
	for i := range sources {
		sources[i] = stream(t, s, fmt.Sprintf("web.%d", i+2), 1, Policy{Timestamps: true, MaxSize: 100_000, Keep: 100})
		go sources[i].lines(lines, "line")
	}
	for i, src := range sources {
		src.wait()
		got, err := s.Tail(fmt.Sprintf("web.%d", i+2), -1)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != lines {
			t.Fatalf("stream %d has %d lines, want %d", i, len(got), lines)
		}
		for n, l := range got {
			if l.Text != fmt.Sprintf("line %d", n) || !l.Time.Equal(fixed.Truncate(1000)) {
				t.Fatalf("stream %d, line %d is %q at %v", i, n, l.Text, l.Time)
			}
		}
	}
	if got := r.all(); len(got) > 0 {
		t.Errorf("reported %q", got)
	}
}

func TestManyGenerationsOfOneName(t *testing.T) {
	const writers, lines = 8, 2000
	s, _ := newStore(t)
	var sources []*source
	for gen := range writers {
		src := stream(t, s, "web", uint64(gen), Policy{Timestamps: true, MaxSize: 50_000, Keep: 1000})
		sources = append(sources, src)
		go src.lines(lines, fmt.Sprint(gen))
	}
	for _, src := range sources {
		src.wait()
	}
	all, err := s.Tail("web", -1)
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int, writers)
	for _, l := range all {
		var gen, n int
		if _, err := fmt.Sscanf(l.Text, "%d %d", &gen, &n); err != nil || n != next[gen] {
			t.Fatalf("line %q, want number %d of generation %d (%v)", l.Text, next[gen], gen, err)
		}
		next[gen]++
	}
	for gen, n := range next {
		if n != lines {
			t.Errorf("generation %d has %d lines, want %d", gen, n, lines)
		}
	}
}
