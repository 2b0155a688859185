package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpackerOf reads a file with that content.
func unpackerOf(t testing.TB, form, content string) *unpacker {
	t.Helper()
	name := filepath.Join(t.TempDir(), "web.log.1"+form)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	u := newUnpacker(f, form)
	t.Cleanup(func() {
		u.close()
		f.Close()
	})
	return u
}

func TestUnpack(t *testing.T) {
	var long strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&long, "line %d %x\n", i, i*i*7919)
	}
	for _, text := range []string{"", "a", "a\n", "a\n\nb", long.String(), strings.Repeat("x", unpackRoom), strings.Repeat("x", unpackRoom+1), strings.Repeat("y\n", 3*unpackRoom)} {
		for form, content := range map[string]string{zst: zstOf(t, text), gz: gzOf(t, text)} {
			u := unpackerOf(t, form, content)
			lines := strings.Count(text, "\n")
			if text != "" && text[len(text)-1] != '\n' {
				lines++
			}
			if m := u.measure(); m.size != int64(len(text)) || m.lines != lines || m.damage != nil {
				t.Fatalf("%s of %d bytes, %d lines: %d, %d, %v", form, len(text), lines, m.size, m.lines, m.damage)
			}
			got, err := io.ReadAll(io.NewSectionReader(u, 0, int64(len(text))))
			if err != nil || string(got) != text {
				t.Errorf("%s of %d bytes: read %d (%v)", form, len(text), len(got), err)
			}
			for _, n := range []int{1, 2, 100, 1 << 30} {
				start, missing, err := u.lastLines(n)
				wantStart, wantMissing, _ := lastLines(bytes.NewReader([]byte(text)), int64(len(text)), n, make([]byte, 512))
				if err != nil || start != wantStart || missing != wantMissing {
					t.Errorf("%s of %d bytes: the last %d lines begin at %d and %d are missing (%v), want %d and %d", form, len(text), n, start, missing, err, wantStart, wantMissing)
				}
			}
		}
	}
}

// TestUnpackAnywhere reads forward, backward and beyond the end.
func TestUnpackAnywhere(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "%08d\n", i)
	}
	text := b.String()
	for form, content := range map[string]string{zst: zstOf(t, text), gz: gzOf(t, text)} {
		u := unpackerOf(t, form, content)
		size := int64(len(text))
		for _, off := range []int64{0, 1, 500_000, 499_999, 10, size - 1, size, size + 5, size - pageSize, 0} {
			p := make([]byte, pageSize)
			n, err := u.ReadAt(p, off)
			want := text[min(off, size):min(off+pageSize, size)]
			if string(p[:n]) != want || (err != nil) != (n < len(p)) {
				t.Errorf("%s at %d: %d bytes (%v), want %d", form, off, n, err, len(want))
			}
		}
	}
}

// TestDamagedFilesGiveWhatCanBeRead, and one line that says that there was more.
func TestDamagedFilesGiveWhatCanBeRead(t *testing.T) {
	var b strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&b, "line %d %x\n", i, i*i*7919)
	}
	text := b.String()
	flipped := func(s string) string {
		b := []byte(s)
		b[len(b)/2] ^= 0x55
		b[len(b)/2+1] ^= 0xaa
		return string(b)
	}
	big, bigGz := zstOf(t, text), gzOf(t, text)
	for _, c := range []struct {
		name, form, content string
		some                bool // lines can be read
	}{
		{"cut zstd", zst, big[:len(big)/2], true},
		{"cut gzip", gz, bigGz[:len(bigGz)/2], true},
		{"flipped zstd", zst, flipped(big), true},
		{"flipped gzip", gz, flipped(bigGz), true},
		{"no zstd", zst, "this is no zstd\n", false},
		{"no gzip", gz, "this is no gzip\n", false},
		{"zstd and then something else", zst, big + "this is no zstd\n", true},
		{"a window of 2 GiB", zst, "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newStore(t)
			put(t, s, "web.log.2", "oldest\n")
			put(t, s, "web.log.1"+c.form, c.content)
			put(t, s, "web.log", "newest\n")
			got, err := s.Tail("web", -1)
			if err != nil || len(got) < 3 {
				t.Fatalf("%d lines (%v)", len(got), err)
			}
			if got[0].Text != "oldest" || got[len(got)-1].Text != "newest" {
				t.Errorf("the files beside it are lost: %q … %q", got[0].Text, got[len(got)-1].Text)
			}
			why := got[len(got)-2].Text
			if !strings.HasPrefix(why, gapText) || !strings.Contains(why, "web.log.1"+c.form) {
				t.Errorf("the reason is %q", why)
			}
			if some := len(got) > 3; some != c.some || some && got[1].Text != "line 0 0" {
				t.Errorf("%d lines, the first %q", len(got)-3, got[1].Text)
			}
			if last, err := s.Tail("web", 2); err != nil || len(last) != 2 || last[1].Text != "newest" {
				t.Errorf("the last two lines are %q (%v)", texts(last), err)
			}
			var followed []string
			stop := errors.New("enough")
			err = s.Follow(context.Background(), func() []string { return []string{"web"} }, Query{N: -1}, func(l Line) error {
				if followed = append(followed, l.Text); l.Text == "newest" {
					return stop
				}
				return nil
			})
			if err != stop || len(followed) != len(got) {
				t.Errorf("followed %d lines (%v), want %d", len(followed), err, len(got))
			}
		})
	}
}

// TestABombNeedsNoMemory reads 1 GiB of text from a few kilobytes.
func TestABombNeedsNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("decompresses 1 GiB")
	}
	var bomb bytes.Buffer
	enc, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := enc.Write([]byte("\nlast\n")); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := newStore(t)
	put(t, s, "web.log.1.zst", bomb.String())
	enc, bomb = nil, bytes.Buffer{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, err := s.Tail("web", 1)
	runtime.ReadMemStats(&after)
	if err != nil || texts(got) != "last|" {
		t.Errorf("read %.80q (%v)", texts(got), err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("reading it took %d MB", grown>>20)
	}
}

func TestOrigin(t *testing.T) {
	file := ident{dev: 7, ino: 1 << 40}
	frame := originFrame(file)
	if got := originOf(bytes.NewReader(frame)); got != file {
		t.Errorf("got %v", got)
	}
	for _, b := range [][]byte{nil, frame[:originSize-1], []byte(zstOf(t, "a text that is longer than a frame\n"))} {
		if got := originOf(bytes.NewReader(b)); got != (ident{}) {
			t.Errorf("%x: got %v", b, got)
		}
	}
}

// FuzzUnpack gives any bytes to the readers: they end, and agree on what can be read.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(zstOf(f, "a\nb\n")), true)
	f.Add([]byte(gzOf(f, "a\nb\n")), false)
	f.Add(append(originFrame(ident{1, 2}), zstOf(f, "a\n")...), true)
	f.Fuzz(func(t *testing.T, b []byte, isZst bool) {
		form := gz
		if isZst {
			form = zst
		}
		u := unpackerOf(t, form, string(b))
		size := u.measure().size
		if size > 16<<20 {
			return
		}
		got, err := io.ReadAll(io.NewSectionReader(u, 0, size))
		if err != nil || int64(len(got)) != size {
			t.Errorf("%d bytes, %d can be read (%v)", size, len(got), err)
		}
	})
}
