package capture

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var dropping = Policy{Drop: true}

// An account is what became of numbered lines that could be dropped.
type account struct {
	whole, dropped, bytes, notices int
	halves                         []string
}

// accountOf reads a log. Lines must be in order.
func accountOf(t *testing.T, log string) (a account) {
	t.Helper()
	last := -1
	for line := range strings.Lines(log) {
		line = strings.TrimPrefix(line, fixedStamp)
		var n, lines, size int
		if _, err := fmt.Sscanf(line, "— stay: output was dropped, because the log could not be written: %d lines, %d bytes", &lines, &size); err == nil {
			a.notices++
			a.dropped += lines
			a.bytes += size
			continue
		}
		if _, err := fmt.Sscanf(line, "line %d\n", &n); err != nil || line != fmt.Sprintf("line %d\n", n) {
			a.halves = append(a.halves, line)
			continue
		}
		if n <= last {
			t.Errorf("after line %d comes %d", last, n)
		}
		last = n
		a.whole++
	}
	return a
}

// manyLines is more than a pipe holds.
const manyLines = 50_000

func TestFullDiskDropsAndSaysSo(t *testing.T) {
	for _, p := range []Policy{dropping, {Drop: true, Timestamps: true}} {
		s, r := newStore(t)
		s.patience = time.Millisecond
		s.retryMax = 10 * time.Millisecond
		d := newDisk(s)
		src := stream(t, s, "web", 1, p)
		src.say("line 0\n")
		eventually(t, "the first line is there", func() bool { return content(t, s, "web.log") != "" })
		d.full.Store(true)
		for i := 1; i <= manyLines; i++ { // the service never waits for long: else this would not end
			src.say(fmt.Sprintf("line %d\n", i))
		}
		eventually(t, "all is dropped", func() bool { return src.s.waiting() == 0 })
		d.full.Store(false)
		src.say(fmt.Sprintf("line %d\n", manyLines+1))
		src.end()
		a := accountOf(t, content(t, s, "web.log"))
		if a.whole+a.dropped != manyLines+2 || a.whole < 1 || a.dropped == 0 || a.notices == 0 || len(a.halves) > 0 {
			t.Errorf("of %d lines: %+v", manyLines+2, a)
		}
		if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
			t.Errorf("reported %q", got)
		}
	}
}

// TestHangingWriteIsOvertaken: a write that does not return stops nobody, and what it was writing is kept.
func TestHangingWriteIsOvertaken(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		fails  bool
	}{
		{"and ends well", dropping, false},
		{"and ends well, stamped", Policy{Drop: true, Timestamps: true}, false},
		{"and fails", dropping, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newStore(t)
			s.patience = time.Millisecond
			hang, goOn := make(chan struct{}), make(chan struct{})
			var once atomic.Bool
			s.write = func(fd int, p []byte) (int, error) {
				if once.CompareAndSwap(false, true) {
					close(hang)
					<-goOn
					if c.fails {
						return -1, syscall.EIO
					}
				}
				return syscall.Write(fd, p)
			}
			src := stream(t, s, "web", 1, c.policy)
			src.say("line 0\n")
			<-hang
			for i := 1; i <= manyLines; i++ {
				src.say(fmt.Sprintf("line %d\n", i))
			}
			src.say("li")
			eventually(t, "all is dropped", func() bool { return src.s.waiting() == 0 })
			if d := src.s.Stalled(); d != 0 {
				t.Errorf("stalled for %v", d)
			}
			close(goOn)
			src.say(fmt.Sprintf("ne %d\nline %d\n", manyLines+1, manyLines+2))
			src.end()
			a := accountOf(t, content(t, s, "web.log"))
			kept := 2
			if c.fails { // what comes before the next attempt is dropped too
				kept = min(a.whole, 1)
			}
			if a.whole != kept || a.dropped != manyLines+3-kept || a.notices == 0 || len(a.halves) > 0 {
				t.Errorf("%+v\n%.300s", a, content(t, s, "web.log"))
			}
		})
	}
}

// TestDroppedWithinALine: the half of a line that is in the file stays one, and the line after it is whole.
func TestDroppedWithinALine(t *testing.T) {
	s, _ := newStore(t)
	s.patience = time.Millisecond
	s.retryMax = time.Millisecond
	d := newDisk(s)
	src := stream(t, s, "web", 1, dropping)
	src.say("line 0\nha")
	waitContent(t, s, "web.log", "line 0\nha")
	d.full.Store(true)
	src.say("lf\nline 1\nano")
	eventually(t, "all is dropped", func() bool { return src.s.waiting() == 0 })
	d.full.Store(false)
	src.say("ther\nline 2\n")
	src.end()
	a := accountOf(t, content(t, s, "web.log"))
	bytes := len("lf\nline 1\nanother\n") + (2-a.whole)*len("line 2\n") // that it works again may be noticed after it
	if a.whole+a.dropped != 5 || len(a.halves) != 1 || a.halves[0] != "ha\n" || a.bytes != bytes {
		t.Errorf("%+v\n%s", a, content(t, s, "web.log"))
	}
}

// TestLossesAreSaidByTheNext: what was dropped is in the mark until the log says it, also when a store is killed, or when
// the generation ends.
func TestLossesAreSaidByTheNext(t *testing.T) {
	legacy, err := NewLegacy(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newStore(t)
	dir := s.dir.path
	s.Close()
	open := func() *Store {
		s, err := Open(Options{Dir: dir, Legacy: legacy, Now: func() time.Time { return fixed }})
		if err != nil {
			t.Fatal(err)
		}
		s.patience, s.retryMin, s.retryMax = time.Millisecond, time.Millisecond, time.Millisecond
		t.Cleanup(s.Close)
		return s
	}
	first := open()
	newDisk(first).full.Store(true)
	src := stream(t, first, "web", 1, dropping)
	src.say("line 0\nline 1\n")
	eventually(t, "all is dropped", func() bool { return src.s.waiting() == 0 })
	src.end()
	first.Close()
	src = stream(t, open(), "web", 2, dropping)
	src.say("line 2\n")
	src.end()
	a := accountOf(t, content(t, s, "web.log"))
	if a.whole != 1 || a.dropped != 2 || a.notices != 1 {
		t.Errorf("%+v", a)
	}
}

func TestOvertakenAndKilled(t *testing.T) {
	for _, at := range []phase{settled, writing, consuming} {
		s := &slot{by: 7, took: 10}
		s.phase.Store(uint32(at))
		s.overtaken.Store(10)
		s.resolve(map[uint64]int{7: 0}, 1234)
		if want := (losses{bytes: 10, from: 1234, to: 1234}); s.now.lost != want || s.overtaken.Load() != 0 {
			t.Errorf("phase %d: %+v", at, s.now.lost)
		}
	}
}
