package capture

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestLayIsTheSameHoweverTheTextIsDivided(t *testing.T) {
	inputs := map[string]string{
		"lines":       "a\nbb\n\nccc\n",
		"open end":    "a\nb",
		"only breaks": strings.Repeat("\n", 3000),
		"long":        strings.Repeat("x", 2*maxLine+5) + "\nnext\n",
		"exactly":     strings.Repeat("x", maxLine) + "\n" + strings.Repeat("y", maxLine) + "\n",
		"nothing":     "",
	}
	for name, in := range inputs {
		for _, head := range []string{"", fixedStamp} {
			want := layReference(in, head)
			for _, step := range []int{1, 7, 4096, chunkSize} {
				for _, room := range []int{100, 4096, pageSize} {
					var got bytes.Buffer
					var at text
					page := make([]byte, room)
					for rest := []byte(in); len(rest) > 0; {
						part := rest[:min(step, len(rest))]
						rest = rest[len(part):]
						for len(part) > 0 {
							out, left := at.lay(page[:0], part, []byte(head), math.MaxInt)
							if len(left) == len(part) || len(out) > room {
								t.Fatalf("%s: no progress, or more than fits: %d of %d bytes", name, len(out), room)
							}
							got.Write(out)
							part = left
						}
					}
					if got.String() != want {
						t.Errorf("%s, head %q, %d bytes at a time, room for %d: got %d bytes, want %d", name, head, step, room, got.Len(), len(want))
					}
				}
			}
		}
	}
}

// layReference says slowly what lay should make of a text.
func layReference(in, head string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(in, "\n") {
		body := strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		b.WriteString(head)
		for len(body) > maxLine {
			b.WriteString(body[:maxLine] + "\n" + head + Mark)
			body = body[maxLine:]
		}
		b.WriteString(body)
		if strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestRawTextFits(t *testing.T) {
	long := strings.Repeat("x", maxLine-3)
	for _, c := range []struct {
		name  string
		width int
		in    string
		fits  bool
		after int
	}{
		{"short", 0, "a\nbc", true, 2},
		{"closed", 5, "a\n", true, 0},
		{"longer", 5, "abc", true, 8},
		{"up to the limit", 3, long, true, maxLine},
		{"above it", 4, long, false, 0},
		{"closed before it", 3, long + "\n" + "abc", true, 3},
		{"closed behind it", 4, long + "\n", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := text{open: c.width > 0, width: c.width}
			if got := at.fits([]byte(c.in)); got != c.fits {
				t.Fatalf("fits: got %v", got)
			}
			if !c.fits {
				return
			}
			if at.pass([]byte(c.in)); at != (text{open: c.after > 0, width: c.after}) {
				t.Errorf("afterwards: %+v, want width %d", at, c.after)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	var s stamp
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []time.Duration{0, 1, 1999, time.Millisecond, 999_999_999, -time.Hour, 400 * 24 * time.Hour, 123_456_789} {
		at = at.Add(step)
		want := at.Format("2006-01-02T15:04:05.000000Z ")
		for range 2 { // the second comes from the cache
			if got := string(s.at(at)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		line := parseLine("web", append(s.at(at), "some text"...))
		if !line.Time.Equal(at.Truncate(time.Microsecond)) || line.Text != "some text" || line.Name != "web" {
			t.Errorf("parsed %+v, want %v", line, at)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.at(at) }); n != 0 {
		t.Errorf("%v allocations a stamp", n)
	}
}

func TestStampOfAnyYearIsAsLong(t *testing.T) {
	for _, year := range []int{-1, 0, 1, 9999, 10000, 200000} {
		var s stamp
		at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		if got := s.at(at); len(got) != stampSize {
			t.Errorf("year %d: %q", year, got)
		}
	}
}

func TestLinesWithoutAStampAreKeptWhole(t *testing.T) {
	for _, in := range []string{
		"", "text", "2026-03-04T05:06:07.089123Z", "2026-03-04T05:06:07.089123Zx", "2026-13-04T05:06:07.089123Z x",
		"2026-03-04 05:06:07.089123Z x", "2026-03-04T05:06:07.08912aZ x", strings.Repeat("T", 60),
	} {
		if got := parseLine("web", []byte(in)); got.Text != in || !got.Time.IsZero() {
			t.Errorf("%q became %+v", in, got)
		}
	}
	if got := parseLine("web", []byte(fixedStamp)); got.Text != "" || got.Time.IsZero() {
		t.Errorf("an empty line became %+v", got)
	}
}
