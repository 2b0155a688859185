package capture

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// zstOf compresses like the tool zstd does.
func zstOf(t testing.TB, text string) string {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return string(enc.EncodeAll([]byte(text), nil))
}

// gzOf compresses like gzip does.
func gzOf(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// textOf is a file of the store in any form, as another reader of zstd sees it.
func textOf(t testing.TB, s *Store, file string) string {
	t.Helper()
	raw := content(t, s, file)
	if !strings.HasSuffix(file, zst) {
		return raw
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	text, err := dec.DecodeAll([]byte(raw), nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return string(text)
}

// waitTidy waits until nothing is compressed or deleted any more.
func waitTidy(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, "tidying ends", func() bool {
		s.tidier.mu.Lock()
		defer s.tidier.mu.Unlock()
		return !s.tidier.running
	})
}

// tidyNow tidies one name and waits for it.
func tidyNow(t *testing.T, s *Store, name string, how Policy) {
	t.Helper()
	s.tidier.ask(name, how)
	waitTidy(t, s)
}

// all is the whole directory, uncompressed.
func all(t testing.TB, s *Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, file := range files(t, s) {
		got[file] = textOf(t, s, file)
	}
	return got
}

func TestCompression(t *testing.T) {
	s, r := newStore(t)
	src := stream(t, s, "web", 1, Policy{MaxSize: 8, Keep: 3, Compress: true})
	src.lines(9, "l")
	src.wait()
	waitTidy(t, s)
	want := map[string]string{"web.log": "l 8\n", "web.log.1": "l 6\nl 7\n", "web.log.2.zst": "l 4\nl 5\n", "web.log.3.zst": "l 2\nl 3\n"}
	if got := all(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := r.all(); len(got) > 0 {
		t.Errorf("reported %q", got)
	}
	if lines, err := s.Tail("web", -1); err != nil || texts(lines) != "l 2|l 3|l 4|l 5|l 6|l 7|l 8|" {
		t.Errorf("read %q (%v)", texts(lines), err)
	}
}

func TestACompressedFileIsLikeTheOneItStandsFor(t *testing.T) {
	s, _ := newStore(t)
	text := strings.Repeat("a line like many others\n", 30_000)
	put(t, s, "web.log.2", text)
	when := time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC)
	if err := os.Chtimes(s.file("web.log.2"), when, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.file("web.log.2"), 0o604); err != nil {
		t.Fatal(err)
	}
	tidyNow(t, s, "web", Policy{Keep: 5, Compress: true})
	st, err := os.Stat(s.file("web.log.2.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if !st.ModTime().Equal(when) || st.Mode() != 0o604 || st.Size() > int64(len(text)/50) {
		t.Errorf("it has time %v, mode %v and %d bytes", st.ModTime(), st.Mode(), st.Size())
	}
	if got := files(t, s); !slices.Equal(got, []string{"web.log.2.zst"}) {
		t.Errorf("files are %q", got)
	}
	if textOf(t, s, "web.log.2.zst") != text {
		t.Error("it has another text")
	}
}

// TestWhatAKillLeaves: a compression that was under way, or done but for the last step, is done again.
func TestWhatAKillLeaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
	}{
		{"before", map[string]string{"web.log.2": "b\n"}},
		{"within", map[string]string{"web.log.2": "b\n", ".web.log.zst": "half"}},
		{"before the original was removed", map[string]string{"web.log.2": "b\n", "web.log.2.zst": zstOf(t, "b\n")}},
		{"with a broken result", map[string]string{"web.log.2": "b\n", "web.log.2.zst": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			for file, text := range c.files {
				put(t, s, file, text)
			}
			put(t, s, "web.log.1", "c\n")
			if got, err := s.Tail("web", -1); err != nil || texts(got) != "b|c|" {
				t.Errorf("before: read %q (%v)", texts(got), err)
			}
			tidyNow(t, s, "web", Policy{Keep: 5, Compress: true})
			want := map[string]string{"web.log.1": "c\n", "web.log.2.zst": "b\n"}
			if got := all(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if got, err := s.Tail("web", -1); err != nil || texts(got) != "b|c|" || len(r.all()) > 0 {
				t.Errorf("after: read %q (%v), reported %q", texts(got), err, r.all())
			}
		})
	}
}

// TestKilledWhileItCompresses has another store go on at every moment of compressing, as after a kill: with rotation, reading
// and compressing, and each line is there once.
func TestKilledWhileItCompresses(t *testing.T) {
	for _, at := range []stage{atPacking, atPacked, atReplaced} {
		dead, _ := newStore(t)
		reached, goOn := make(chan struct{}), make(chan struct{})
		dead.at = func(here stage) {
			if here == at {
				select {
				case <-goOn:
				default:
					close(reached)
					<-goOn
				}
			}
		}
		for file, text := range map[string]string{"web.log": "d\n", "web.log.1": "c\n", "web.log.2": "b\n", "web.log.3.zst": zstOf(t, "a\n")} {
			put(t, dead, file, text)
		}
		how := Policy{MaxSize: 2, Keep: 9, Compress: true}
		dead.tidier.ask("web", how)
		<-reached
		r := &reports{}
		s, err := Open(Options{Dir: dead.dir.path, Report: r.add})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Tail("web", -1); err != nil || texts(got) != "a|b|c|d|" {
			t.Errorf("at %d: read %q (%v)", at, texts(got), err)
		}
		src := stream(t, s, "web", 1, how)
		src.say("e\nf\n")
		src.end()
		waitTidy(t, s)
		if got, err := s.Tail("web", -1); err != nil || texts(got) != "a|b|c|d|e|f|" || len(r.all()) > 0 {
			t.Errorf("at %d, afterwards: read %q (%v), reported %q", at, texts(got), err, r.all())
		}
		want := []string{"web.log", "web.log.1", "web.log.2.zst", "web.log.3.zst", "web.log.4.zst", "web.log.5.zst"}
		if got := files(t, s); !slices.Equal(got, want) {
			t.Errorf("at %d: files are %q", at, got)
		}
		s.Close()
		dead.Close()
		close(goOn)
		waitTidy(t, dead)
	}
}

func TestCompressionThatFailsKeepsTheFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		block func(t *testing.T, s *Store)
		free  func(t *testing.T, s *Store)
		want  string
	}{
		{"a full disk", func(t *testing.T, s *Store) {
			s.write = func(fd int, p []byte) (int, error) { // the frame of the origin fits
				if len(p) > originSize {
					return 0, syscall.ENOSPC
				}
				return syscall.Write(fd, p)
			}
		}, func(t *testing.T, s *Store) { s.write = syscall.Write }, "no space left on device"},
		{"what is in the way", func(t *testing.T, s *Store) {
			if err := os.MkdirAll(s.file("web.log.2.zst/full"), 0o750); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, s *Store) {
			if err := os.RemoveAll(s.file("web.log.2.zst")); err != nil {
				t.Fatal(err)
			}
		}, "web.log.2.zst"},
		{"no room for it", func(t *testing.T, s *Store) {
			if err := os.MkdirAll(s.file(".web.log.zst/full"), 0o750); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, s *Store) {
			if err := os.RemoveAll(s.file(".web.log.zst")); err != nil {
				t.Fatal(err)
			}
		}, ".web.log.zst"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			const text = "a line that becomes no shorter\n"
			put(t, s, "web.log.2", text)
			c.block(t, s)
			how := Policy{Keep: 5, Compress: true}
			tidyNow(t, s, "web", how)
			tidyNow(t, s, "web", how)
			if got := r.all(); len(got) != 1 || !strings.Contains(got[0], "kept as it is") || !strings.Contains(got[0], c.want) {
				t.Errorf("reported %q, want one problem with %s", got, c.want)
			}
			if got := content(t, s, "web.log.2"); got != text {
				t.Errorf("the file is %q", got)
			}
			c.free(t, s)
			tidyNow(t, s, "web", how)
			if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
				t.Errorf("reported %q, want the end of the problem", got)
			}
			if got := files(t, s); !slices.Equal(got, []string{"web.log.2.zst"}) {
				t.Errorf("files are %q", got)
			}
		})
	}
}

func TestCompressionEndsWithTheStore(t *testing.T) {
	s, r := newStore(t)
	s.pace = 1 << 30 // it would rest for days
	put(t, s, "web.log.2", strings.Repeat("x", 3*packBlock))
	s.tidier.ask("web", Policy{Keep: 5, Compress: true})
	eventually(t, "compression begins", func() bool { return slices.Contains(files(t, s), ".web.log.zst") })
	s.Close()
	waitTidy(t, s)
	if got := files(t, s); !slices.Equal(got, []string{"web.log.2"}) || len(r.all()) > 0 {
		t.Errorf("files are %q, reported %q", got, r.all())
	}
}

// TestNoLinkIsCompressed: what is no file of stay's own is left alone, and not read.
func TestNoLinkIsCompressed(t *testing.T) {
	s, r := newStore(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, s.file("web.log.2")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "web.log.3", "behind it\n")
	if err := syscall.Mkfifo(s.file("db.log.2"), 0o600); err != nil {
		t.Fatal(err)
	}
	tidyNow(t, s, "web", Policy{Keep: 5, Compress: true})
	tidyNow(t, s, "db", Policy{Keep: 5, Compress: true})
	if got := r.all(); len(got) != 2 || !strings.Contains(got[0], "symbolic link") || !strings.Contains(got[1], "no regular file") {
		t.Errorf("reported %q", got)
	}
	if got := files(t, s); !slices.Equal(got, []string{"db.log.2", "web.log.2", "web.log.3.zst"}) {
		t.Errorf("files are %q", got)
	}
}
