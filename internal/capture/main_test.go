package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for a fact before it fails.
const patience = 20 * time.Second

// eventually is the one place where tests look again and again: for what happens in other goroutines without a signal.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !fact(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
}

// fixed is the time of every line in tests that look at stamps.
var fixed = time.Date(2026, 3, 4, 5, 6, 7, 89_123_999, time.FixedZone("", 3600))

const fixedStamp = "2026-03-04T04:06:07.089123Z "

// reports collects what a store reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) add(name string, problem error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, fmt.Sprintf("%s: %v", name, problem))
}

func (r *reports) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.list...)
}

// newStore opens a store in a directory of its own whose problems are collected.
func newStore(t testing.TB) (*Store, *reports) {
	t.Helper()
	r := &reports{}
	dir := filepath.Join(t.TempDir(), "log")
	s, err := Open(Options{Dir: dir, Now: func() time.Time { return fixed }, Report: r.add})
	if err != nil {
		t.Fatal(err)
	}
	s.retryMin = time.Millisecond
	t.Cleanup(s.Close)
	return s, r
}

// A source is the writing end of a stream.
type source struct {
	t testing.TB
	w *os.File
	s *Stream
}

// stream starts a stream; it ends with the test at the latest.
func stream(t testing.TB, s *Store, name string, gen uint64, p Policy) *source {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	src := &source{t: t, w: w, s: s.Stream(name, gen, r, p)}
	t.Cleanup(func() { w.Close() })
	return src
}

func (s *source) say(text string) {
	s.t.Helper()
	if _, err := s.w.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// end closes the pipe and waits until everything is written.
func (s *source) end() {
	s.t.Helper()
	s.w.Close()
	s.wait()
}

// lines writes n numbered lines and closes the pipe.
func (s *source) lines(n int, head string) {
	defer s.w.Close()
	for i := range n {
		if _, err := fmt.Fprintf(s.w, "%s %d\n", head, i); err != nil {
			s.t.Error(err)
			return
		}
	}
}

// wait waits until everything is written, after the pipe is closed.
func (s *source) wait() {
	s.t.Helper()
	select {
	case <-s.s.Done():
	case <-time.After(patience):
		s.t.Fatal("the stream does not end")
	}
}

func (s *Store) file(name string) string { return filepath.Join(s.dir.path, name) }

// content is a file of the store, "" if there is none.
func content(t testing.TB, s *Store, file string) string {
	t.Helper()
	b, err := os.ReadFile(s.file(file))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// waitContent waits until a file has exactly this content.
func waitContent(t *testing.T, s *Store, file, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %.80q", file, want), func() bool { return content(t, s, file) == want })
}

// files lists the directory.
func files(t testing.TB, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.dir.path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// put writes a file into the store's directory.
func put(t testing.TB, s *Store, file, text string) {
	t.Helper()
	if err := os.WriteFile(s.file(file), []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// texts are the lines without names and times.
func texts(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "|")
	}
	return b.String()
}

// openFiles counts this process's descriptors on files below the store's directory.
func openFiles(t testing.TB, s *Store) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count descriptors in")
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, s.dir.path+"/") {
			n++
		}
	}
	return n
}
