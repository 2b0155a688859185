package capture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		in      string
		n       int
		want    string
		missing int
	}{
		{"", 3, "", 3},
		{"a\nb\nc\n", 0, "", 0},
		{"a\nb\nc\n", 1, "c\n", 0},
		{"a\nb\nc\n", 2, "b\nc\n", 0},
		{"a\nb\nc\n", 3, "a\nb\nc\n", 0},
		{"a\nb\nc\n", 4, "a\nb\nc\n", 1},
		{"a\nb\nc", 1, "c", 0},
		{"a\nb\nc", 2, "b\nc", 0},
		{"a", 1, "a", 0},
		{"\n", 1, "\n", 0},
		{"\n\n\n", 2, "\n\n", 0},
		{"a\n\n", 1, "\n", 0},
		{"abcdefghij\nk\n", 1, "k\n", 0},
		{"abcdefghij\nk\n", 2, "abcdefghij\nk\n", 0},
		{"a\nb\n", -1, "a\nb\n", -1},
	} {
		for _, block := range []int{1, 2, 3, 100} {
			t.Run(fmt.Sprintf("%q last %d by %d", c.in, c.n, block), func(t *testing.T) {
				r := strings.NewReader(c.in)
				start, missing, err := lastLines(r, int64(len(c.in)), c.n, make([]byte, block))
				if err != nil || c.in[start:] != c.want || missing != c.missing {
					t.Errorf("got %q and %d missing (%v), want %q and %d", c.in[start:], missing, err, c.want, c.missing)
				}
			})
		}
	}
}

func TestWholeLines(t *testing.T) {
	for in, want := range map[string]int64{"": 0, "a": 0, "\n": 1, "a\n": 2, "a\nbcdef": 2, "a\nb\n": 4} {
		for _, block := range []int{1, 3, 100} {
			if got, err := wholeLines(strings.NewReader(in), int64(len(in)), make([]byte, block)); err != nil || got != want {
				t.Errorf("%q by %d: got %d (%v), want %d", in, block, got, err, want)
			}
		}
	}
}

func TestScan(t *testing.T) {
	for _, c := range []struct {
		in    string
		final bool
		block int
		want  string
		next  int64
	}{
		{"a\nb\n", false, 100, "a|b|", 4},
		{"a\nb", false, 100, "a|", 2},
		{"a\nb", true, 100, "a|b|", 3},
		{"\n\n", false, 100, "||", 2},
		{"abc\nde\nf\n", false, 4, "abc|de|f|", 9},
		{"abcdefgh\ni\n", false, 4, "abcd|efgh||i|", 11}, // in pieces: longer than the block
		{"abcdef", false, 4, "abcd|", 4},
		{"abcdef", true, 4, "abcd|ef|", 6},
		{"", true, 4, "", 0},
	} {
		t.Run(fmt.Sprintf("%q by %d, final %v", c.in, c.block, c.final), func(t *testing.T) {
			var got strings.Builder
			next, err := scan(strings.NewReader(c.in), 0, int64(len(c.in)), c.final, make([]byte, c.block), func(b []byte) error {
				got.Write(b)
				got.WriteByte('|')
				return nil
			})
			if err != nil || got.String() != c.want || next != c.next {
				t.Errorf("got %q up to %d (%v), want %q up to %d", got.String(), next, err, c.want, c.next)
			}
		})
	}
}

func TestReadersSayThatAFileBecameShorter(t *testing.T) {
	r := strings.NewReader("a\nb\n")
	block := make([]byte, 100)
	if _, _, err := lastLines(r, 10, 100, block); err != errShort {
		t.Errorf("last lines: %v", err)
	}
	if _, err := wholeLines(r, 10, block); err != errShort {
		t.Errorf("whole lines: %v", err)
	}
	if _, err := scan(r, 0, 10, true, block, func([]byte) error { return nil }); err != errShort {
		t.Errorf("scan: %v", err)
	}
}

func TestScanStopsWithItsReceiver(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	next, err := scan(strings.NewReader("a\nb\nc\n"), 0, 6, true, make([]byte, 100), func([]byte) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	if err != enough || next != 2 {
		t.Errorf("got %d, %v; want 2 and the receiver's error", next, err)
	}
}
