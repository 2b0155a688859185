package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	rotated := map[string]string{
		"web.log": "e\n", "web.log.1": "c\nd\n", "web.log.2": fixedStamp + "a\n" + fixedStamp + "b\n",
		"web.2.log": "other\n", "web.log.x": "no\n", "web.log.9": "too far away\n",
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		n     int
		want  string
	}{
		{"nothing", nil, 5, ""},
		{"all", rotated, -1, "a|b|c|d|e|"},
		{"none", rotated, 0, ""},
		{"one", rotated, 1, "e|"},
		{"into the next file", rotated, 2, "d|e|"},
		{"to its start", rotated, 3, "c|d|e|"},
		{"stamps are no text", rotated, 4, "b|c|d|e|"},
		{"more than there is", rotated, 100, "a|b|c|d|e|"},
		{"unfinished", map[string]string{"web.log": "a\nb"}, 1, "b|"},
		{"empty file", map[string]string{"web.log": "", "web.log.1": "a\n"}, 1, "a|"},
		{"killed in a rotation", map[string]string{"web.log": "b\n", "web.log.2": "a\n"}, 5, "a|b|"},
		{"killed at its end", map[string]string{"web.log.1": "b\n", "web.log.2": "a\n"}, 5, "a|b|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newStore(t)
			for file, text := range c.files {
				put(t, s, file, text)
			}
			live, err := s.Tail("web", c.n)
			if err != nil || texts(live) != c.want {
				t.Errorf("store: got %q (%v), want %q", texts(live), err, c.want)
			}
			down, err := Tail(s.dir.path, "web", c.n)
			if err != nil || !slices.Equal(down, live) {
				t.Errorf("files: got %q (%v), want %q", texts(down), err, c.want)
			}
		})
	}
}

func TestTailWhileFilesRotate(t *testing.T) {
	const lines = 5000
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, Policy{MaxSize: 2000, Keep: 1000})
	go src.lines(lines, "line")
	for busy := true; busy; {
		select {
		case <-src.s.Done():
			busy = false
		default:
		}
		got, err := s.Tail("web", 300)
		if err != nil {
			t.Fatal(err)
		}
		last, first := -1, true
		for _, l := range got {
			var n int
			if _, err := fmt.Sscanf(l.Text, "line %d", &n); err != nil || !first && n != last+1 {
				if l == got[len(got)-1] {
					break // written only in part yet
				}
				t.Fatalf("line %q after number %d (%v)", l.Text, last, err)
			}
			last, first = n, false
		}
	}
	src.wait()
	if got, err := s.Tail("web", 1); err != nil || texts(got) != fmt.Sprintf("line %d|", lines-1) {
		t.Errorf("the last line is %q (%v)", texts(got), err)
	}
}

func TestTailOfALineOfOthersThatIsTooLong(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "web.log", "first\n"+strings.Repeat("x", pageSize)+strings.Repeat("y", pageSize)+"z\nlast\n")
	got, err := s.Tail("web", 2)
	if err != nil || len(got) != 2 || got[0].Text != "z" || got[1].Text != "last" {
		t.Errorf("got %.100q (%v), want the end of it and the last", texts(got), err)
	}
}

func TestTailRefusesWhatIsNoName(t *testing.T) {
	s, r := newStore(t)
	for _, name := range []string{"", ".", "..", "../web", "a/b", "Web", "a b", ".hidden", "a\x00", strings.Repeat("x", 201)} {
		if _, err := s.Tail(name, 1); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%q: %v", name, err)
		}
		src := stream(t, s, name, 1, raw)
		src.wait()
		src.s.SetPolicy(stamped)
	}
	if got := r.all(); len(got) != 10 || !strings.Contains(got[3], "internal error") {
		t.Errorf("reported %q", got)
	}
	if got := files(t, s); len(got) > 0 {
		t.Errorf("made %q", got)
	}
}

func TestNames(t *testing.T) {
	s, _ := newStore(t)
	for _, file := range []string{"web.log", "web.log.1", "web.2.log.3", "db.log", "x.log.0", "x.log.z", "x.txt", "UPPER.log", ".log", "y.log.-1"} {
		put(t, s, file, "")
	}
	if err := os.Mkdir(s.file("dir.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := Names(s.dir.path)
	if want := []string{"db", "web", "web.2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	none := filepath.Join(s.dir.path, "none")
	if _, err := Names(none); err == nil || !strings.Contains(err.Error(), none) {
		t.Errorf("got %v", err)
	}
	if _, err := Tail(none, "web", 1); err == nil || !strings.Contains(err.Error(), none) {
		t.Errorf("got %v", err)
	}
}
