package page

import (
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// checkSlots says what is wrong with slots that were read of a page with n.
func checkSlots(t *testing.T, slots []Slot, n int) {
	t.Helper()
	last := -1
	for i := range slots {
		s := &slots[i]
		if s.Index <= last || s.Index >= n {
			t.Fatalf("slot %d comes after %d, of %d", s.Index, last, n)
		}
		last = s.Index
		if s.State == Free || s.State > Idle && s.State != Odd || s.Tid < 0 || s.Tid > MaxTid ||
			s.Beat < 0 || s.Beat > MaxTime || s.Limit < 0 || s.Limit > MaxTime {
			t.Fatalf("out of range: %+v", s)
		}
		checkText(t, s.Name(), nameSize)
		checkText(t, s.Note(), noteSize)
	}
}

func checkText(t *testing.T, text string, most int) {
	t.Helper()
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, bad) {
		t.Fatalf("text %q, at most %d bytes", text, most)
	}
}

// FuzzRead reads pages of random bytes.
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, 1)
	f.Add(raw{state: 2, beat: 1, name: "\x1b[31mred", note: "\u202egnp\xff"}.bytes(), 1)
	f.Add([]byte(strings.Repeat("\xff", 4096)), 31)
	f.Add(append(raw{state: 1}.bytes(), raw{state: 77, tid: 1 << 31}.bytes()...), 2)
	fd, err := unix.MemfdCreate("page-test", unix.MFD_CLOEXEC)
	if err != nil {
		f.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "page-test")
	f.Cleanup(func() { file.Close() })
	var b Buffer
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		n = min(max(n, 1), MaxSlots)
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(data, headerSize); err != nil {
			t.Fatal(err)
		}
		slots, err := Read(file, n, &b)
		if whole := len(data) >= n*slotSize; whole != (err == nil) {
			t.Fatalf("%d slots of %d bytes: %v", n, len(data), err)
		}
		checkSlots(t, slots, n)
	})
}

func TestPrintable(t *testing.T) {
	for give, want := range map[string]string{
		"":                        "",
		"\x00hidden":              "",
		"plain":                   "plain",
		"cut\x00off":              "cut",
		"Zürich €":                "Zürich €",
		"\x1b[2J\x1b]0;x\x07":     "?[2J?]0;x?",
		"a\nb\tc\rd\x7f":          "a?b?c?d?",
		"\xc3":                    "?",
		"half \xe2\x82":           "half ??",
		"\u202eright to left":     "?right to left",
		"no\u200bwidth\u2028line": "no?width?line",
		"c1 \u009b31m":            "c1 ?31m",
		"\ufffd is fine":          "\ufffd is fine",
		"\xed\xa0\x80":            "???",
	} {
		if got := printable([]byte(give)); got != want {
			t.Errorf("%q: %q, want %q", give, got, want)
		}
	}
}
