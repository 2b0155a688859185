package pulse

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 4, ""},
		{"abc", 4, "abc"},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abcd"},
		{"abc€", 4, "abc"},
		{"abc€", 5, "abc"},
		{"abc€", 6, "abc€"},
		{"abc€d", 6, "abc€"},
		{"ab€d", 4, "ab"},
		{"a𝄞", 4, "a"},
		{"𝄞", 3, ""},
		{"𝄞𝄞", 4, "𝄞"},
		{"\x80\x80\x80\x80\x80\x80\x80\x80", 6, "\x80\x80\x80\x80\x80\x80"},
	} {
		if got := cut(c.text, c.n); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("merging segment 41", 8)
	f.Add("𝄞€\x80", 5)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = min(max(n, 0), 64)
		got := cut(text, n)
		if len(got) > n || !strings.HasPrefix(text, got) {
			t.Fatalf("cut(%q, %d) = %q", text, n, got)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(got) || len(got) < min(len(text), n-3)) {
			t.Fatalf("cut(%q, %d) = %q", text, n, got)
		}
	})
}

// TestText stores names and notes of all lengths.
func TestText(t *testing.T) {
	path := makePage(t, 1)
	pg := opened(t, path)
	for _, c := range []struct{ give, name, note string }{
		{"", "", ""},
		{strings.Repeat("n", 23), strings.Repeat("n", 23), strings.Repeat("n", 23)},
		{strings.Repeat("n", 24), strings.Repeat("n", 24), strings.Repeat("n", 24)},
		{strings.Repeat("n", 100), strings.Repeat("n", 24), strings.Repeat("n", 64)},
		{strings.Repeat("ä", 40), strings.Repeat("ä", 12), strings.Repeat("ä", 32)},
		{strings.Repeat("€", 40), strings.Repeat("€", 8), strings.Repeat("€", 21)},
	} {
		p := pg.start(c.give, 0, 0)
		p.Note("something that was there before and is longer than all the rest")
		p.Note(c.give)
		if got := readSlot(t, path, 0); got.name != c.name || got.note != c.note || got.count != 1 {
			t.Errorf("%q: %+v", c.give, got)
		}
		p.Close()
	}
}
