package capture

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestFitEndsAtLineEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int64
		mid   bool
		later int64
		limit int64
		in    string
		want  int
	}{
		{"no limit", 1 << 40, false, 0, 0, "abc\n", 4},
		{"no limit after a failure", 1 << 40, false, 5, 0, "abc\n", 4},
		{"room", 0, false, 0, 10, "abc\n", 4},
		{"exactly full", 6, false, 0, 10, "abc\n", 4},
		{"one line of two", 4, false, 0, 10, "abc\ndef\n", 4},
		{"none", 8, false, 0, 10, "abc\n", 0},
		{"full", 10, false, 0, 10, "abc\n", 0},
		{"more than full", 20, false, 0, 10, "abc\n", 0},
		{"rest of a line", 10, true, 0, 10, "abc\ndef\n", 4},
		{"middle of a line", 10, true, 0, 10, "abc", 3},
		{"a line larger than the file", 0, false, 0, 2, "abc\ndef\n", 4},
		{"after a failed rotation", 10, false, 100, 10, "abc\n", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &sink{size: c.size, end: ending{mid: c.mid}, later: c.later}
			if got := k.fit([]byte(c.in), c.limit); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	for _, c := range []struct {
		name   string
		keep   int
		before map[string]string // files there are
		want   map[string]string // all files after five lines of 4 bytes at 8 bytes a file
	}{
		{"keeps some", 5, nil, map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n", "web.log.2": "l 0\nl 1\n"}},
		{"keeps one", 1, nil, map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n"}},
		{"keeps none", 0, nil, map[string]string{"web.log": "l 4\n"}},
		{"older ones move up", 3, map[string]string{"web.log.1": "x", "web.log.2": "y"},
			map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n", "web.log.2": "l 0\nl 1\n", "web.log.3": "x"}},
		{"a free number is used first", 9, map[string]string{"web.log.2": "y"},
			map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n", "web.log.2": "l 0\nl 1\n", "web.log.3": "y"}},
		{"fewer are kept than were", 1, map[string]string{"web.log.1": "x", "web.log.2": "y", "web.log.3": "z"},
			map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n"}},
		{"none are kept, some were", 0, map[string]string{"web.log.1": "x", "web.log.2": "y"}, map[string]string{"web.log": "l 4\n"}},
		{"other names stay", 0, map[string]string{"web.2.log.1": "x", "webb.log": "y"},
			map[string]string{"web.log": "l 4\n", "web.2.log.1": "x", "webb.log": "y"}},
		{"a full file is rotated first", 2, map[string]string{"web.log": "old old\n"},
			map[string]string{"web.log": "l 4\n", "web.log.1": "l 2\nl 3\n", "web.log.2": "l 0\nl 1\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			for file, text := range c.before {
				put(t, s, file, text)
			}
			src := stream(t, s, "web", 1, Policy{MaxSize: 8, Keep: c.keep})
			src.lines(5, "l")
			src.wait()
			got := map[string]string{}
			for _, file := range files(t, s) {
				got[file] = content(t, s, file)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := r.all(); len(got) > 0 {
				t.Errorf("reported %q", got)
			}
		})
	}
}

func TestRotationNeverSplitsALineNorPassesTheLimit(t *testing.T) {
	for _, p := range []Policy{{MaxSize: 1000, Keep: 1000}, {MaxSize: 1000, Keep: 1000, Timestamps: true}} {
		s, _ := newStore(t)
		src := stream(t, s, "web", 1, p)
		for i := range 500 {
			fmt.Fprintf(src.w, "%d %s", i, strings.Repeat("x", i%90)) // lines come in two writes
			fmt.Fprintf(src.w, " %d\n", i)
		}
		src.end()
		all := files(t, s)
		if len(all) < 10 {
			t.Errorf("only %d files", len(all))
		}
		for _, file := range all {
			text := content(t, s, file)
			if text == "" || text[len(text)-1] != '\n' {
				t.Errorf("%s ends with %.20q", file, text[max(0, len(text)-20):])
			}
			// A line that is under way when the file is full is finished in it.
			if len(text) > 1000+130 {
				t.Errorf("%s has %d bytes", file, len(text))
			}
		}
		got, err := s.Tail("web", -1)
		if err != nil || len(got) != 500 {
			t.Fatalf("%d lines, want 500 (%v)", len(got), err)
		}
		for i, l := range got {
			if want := fmt.Sprintf("%d %s %d", i, strings.Repeat("x", i%90), i); l.Text != want {
				t.Fatalf("line %d is %q, want %q", i, l.Text, want)
			}
		}
	}
}

func TestFailedRotationGoesOnInTheOldFile(t *testing.T) {
	s, r := newStore(t)
	block := s.file("web.log.1")
	if err := os.MkdirAll(block+"/full", 0o750); err != nil { // a file cannot be renamed onto a directory
		t.Fatal(err)
	}
	src := stream(t, s, "web", 1, Policy{MaxSize: 100, Keep: 1})
	line := strings.Repeat("x", 99) + "\n"
	for i := range 5 {
		src.say(line)
		waitContent(t, s, "web.log", strings.Repeat(line, i+1))
	}
	if got := r.all(); len(got) != 1 || !strings.Contains(got[0], "web: rename ") || !strings.Contains(got[0], "web.log.1") {
		t.Errorf("reported %q, want one rename", got)
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	for range rotateAgain / 100 {
		src.say(line)
	}
	src.say("last\n")
	src.end()
	if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
		t.Errorf("reported %q, want a rename and its end", got)
	}
	if got := files(t, s); !slices.Equal(got, []string{"web.log", "web.log.1"}) {
		t.Errorf("files are %q", got)
	}
	if got := content(t, s, "web.log"); !strings.HasSuffix(got, "last\n") {
		t.Errorf("the last file ends with %q", got[max(0, len(got)-20):])
	}
}
