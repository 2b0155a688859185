package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a line of the given second with a stamp.
func at(second int, text string) string {
	return second2026(second).Format(stampLayout) + " " + text + "\n"
}

func second2026(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }

func collect(t *testing.T, s *Store, names []string, q Query) []Line {
	t.Helper()
	var got []Line
	if err := s.Past(t.Context(), names, q, func(l Line) error { got = append(got, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// named are texts with the names of their logs.
func named(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s|", l.Name, l.Text)
	}
	return b.String()
}

func TestPast(t *testing.T) {
	files := map[string]string{
		"a.log.2": at(1, "one") + at(3, "three"), "a.log.1": at(5, "five") + "below\n" + at(7, "seven"), "a.log": at(9, "nine") + at(11, "unfin"),
		"b.log": at(2, "two") + at(5, "five") + at(10, "ten"), "raw.log": "x\ny\n", "back.log": at(8, "eight") + at(4, "four"),
	}
	files["a.log"] = strings.TrimSuffix(files["a.log"], "\n")
	grep := regexp.MustCompile
	for _, c := range []struct {
		name  string
		names string
		q     Query
		want  string
	}{
		{"none", "a b", Query{}, ""},
		{"all by time, equal ones by name, what has no stamp with the line before", "a b", Query{N: -1},
			"a one|b two|a three|a five|a below|b five|a seven|a nine|b ten|a unfin|"},
		{"the last of each", "a b", Query{N: 2}, "b five|a nine|b ten|a unfin|"},
		{"a raw log comes first", "b raw", Query{N: 1}, "raw y|b ten|"},
		{"a clock set back keeps the order of its log", "b back", Query{N: -1}, "b two|b five|back eight|back four|b ten|"},
		{"since", "a b", Query{N: -1, Since: second2026(7)}, "a seven|a nine|b ten|a unfin|"},
		{"until is outside", "a b", Query{N: -1, Until: second2026(5)}, "a one|b two|a three|"},
		{"both, and what has no stamp", "a b", Query{N: -1, Since: second2026(5), Until: second2026(7)}, "a five|a below|b five|"},
		{"raw lines have no time", "raw", Query{N: -1, Since: second2026(0)}, ""},
		{"grep", "a b raw", Query{N: -1, Grep: grep("^(t|x)")}, "raw x|b two|a three|b ten|"},
		{"the last that match", "a b", Query{N: 1, Grep: grep("e$")}, "b five|a nine|"},
		{"the last that match, in an older file", "a", Query{N: 2, Grep: grep("^(one|three|five)$")}, "a three|a five|"},
		{"the last until", "a b", Query{N: 1, Until: second2026(6)}, "a below|b five|"},
		{"none of those that match", "a", Query{N: 0, Grep: grep("e")}, ""},
		{"no such log", "nix", Query{N: -1, Grep: grep("e")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newStore(t)
			for file, text := range files {
				put(t, s, file, text)
			}
			names := strings.Fields(c.names)
			got := collect(t, s, names, c.q)
			if named(got) != c.want {
				t.Errorf("store: got %q, want %q", named(got), c.want)
			}
			var down []Line
			err := Past(t.Context(), s.dir.path, names, c.q, func(l Line) error { down = append(down, l); return nil })
			if err != nil || !slices.Equal(down, got) {
				t.Errorf("files: got %q (%v), want %q", named(down), err, c.want)
			}
		})
	}
}

func TestPastRefuses(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "a.log", "x\ny\n")
	no := func(Line) error { return nil }
	if err := s.Past(t.Context(), []string{"../a"}, Query{N: 1}, no); err == nil || !strings.Contains(err.Error(), `"../a"`) {
		t.Errorf("a name that is none: %v", err)
	}
	enough := errors.New("enough")
	if err := s.Past(t.Context(), []string{"a"}, Query{N: -1}, func(Line) error { return enough }); err != enough {
		t.Errorf("an error of emit came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Past(ctx, []string{"a"}, Query{N: -1}, func(Line) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	if err := Past(t.Context(), filepath.Join(s.dir.path, "nix"), nil, Query{}, no); err == nil {
		t.Error("a directory that is not there is read")
	}
}

// TestPositions: from each line one can go on, wherever its file has gone meanwhile.
func TestPositions(t *testing.T) {
	for _, stamps := range []bool{true, false} {
		for _, how := range []string{"as it was", "rotated", "compressed"} {
			t.Run(fmt.Sprintf("%s, stamps %t", how, stamps), func(t *testing.T) {
				s, _ := newStore(t)
				line := func(i int) string { return fmt.Sprintf("l%d\n", i) }
				if stamps {
					line = func(i int) string { return at(i, fmt.Sprintf("l%d", i)) }
				}
				put(t, s, "a.log.1", line(1)+line(2))
				put(t, s, "a.log", line(3)+"\n"+strings.Repeat("x", pageSize/2)+"\n"+line(4))
				before := collect(t, s, []string{"a"}, Query{N: -1})
				path := s.dir.path
				if how != "as it was" {
					move(t, path, "a.log.1", "a.log.2")
					move(t, path, "a.log", "a.log.1")
					put(t, s, "a.log", line(5))
				}
				if how == "compressed" {
					k, err := s.hold("a")
					if err != nil {
						t.Fatal(err)
					}
					defer s.release(k)
					if err := (&packer{store: s}).pack(k, "a.log.2"); err != nil {
						t.Fatal(err)
					}
				}
				all := collect(t, s, []string{"a"}, Query{N: -1})
				for i, l := range before {
					pos, err := ParsePosition(l.Pos.String())
					if err != nil || pos != l.Pos {
						t.Fatalf("%q is read as %v, %v", l.Pos, pos, err)
					}
					got := collect(t, s, []string{"a"}, Query{N: 1, After: map[string]Position{"a": pos}})
					if texts(got) != texts(all[i+1:]) {
						t.Errorf("after line %d: %d lines, want %d", i, len(got), len(all)-i-1)
					}
				}
			})
		}
	}
}

func move(t *testing.T, dir, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}

// TestPositionLost: when its file is no more, lines go on by time, also if another file has got its number.
func TestPositionLost(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "a.log", at(1, "one")+at(2, "two")+at(4, "four")+at(5, "five"))
	file := collect(t, s, []string{"a"}, Query{N: 1})[0].Pos.file
	for _, file := range []ident{{1, 2}, file} {
		p := Position{file: file, off: int64(len(at(1, "xxx"))), time: second2026(2).UnixMicro()}
		got := collect(t, s, []string{"a"}, Query{After: map[string]Position{"a": p}})
		if texts(got) != "four|five|" {
			t.Errorf("%v: %q", p, texts(got))
		}
	}
}

func TestParsePosition(t *testing.T) {
	for _, text := range []string{"", "x", "1-2", "1-2-3", "1-2--3-4", "1-2-3-4-5", "1-2-3-4 ", "01-2-3-4", "1-2-ffffffffffffffff-1", "g-1-1-1"} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}

// TestFollowChooses: the past by a query, what is new by it too, and from positions on.
func TestFollowChooses(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "a.log", "old\nkeep 1\nkeep 2\nother\n")
	put(t, s, "b.log", "keep b\n")
	src := stream(t, s, "a", 1, raw)
	lines := make(chan Line, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := func(q Query) func() Line {
		go s.Follow(ctx, only("a", "b"), q, func(l Line) error { lines <- l; return nil })
		return func() Line {
			select {
			case l := <-lines:
				return l
			case <-time.After(patience):
				t.Fatal("no line comes")
				return Line{}
			}
		}
	}
	next := begin(Query{N: 1, Grep: regexp.MustCompile("keep")})
	first, second := next(), next()
	src.say("drop\nkeep 3\n")
	third := next()
	if got := named([]Line{first, second, third}); got != "a keep 2|b keep b|a keep 3|" {
		t.Fatalf("got %q", got)
	}
	cancel()
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	next = begin(Query{After: map[string]Position{"a": first.Pos, "b": second.Pos}})
	got := []Line{next(), next(), next()}
	src.say("drop again\n")
	if got = append(got, next()); named(got) != "a other|a drop|a keep 3|a drop again|" {
		t.Errorf("after positions: %q", named(got))
	}
	if got[2].Pos != third.Pos {
		t.Errorf("the same line ends at %v when it is new, at %v when it is old", third.Pos, got[2].Pos)
	}
}
