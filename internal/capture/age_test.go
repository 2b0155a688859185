package capture

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A testClock is set by tests.
type testClock struct{ at atomic.Int64 }

func (c *testClock) now() time.Time { return time.Unix(0, c.at.Load()) }

func (c *testClock) add(d time.Duration) { c.at.Add(int64(d)) }

// clockStore is newStore with a clock that stands, at the real time.
func clockStore(t testing.TB) (*Store, *testClock, *reports) {
	t.Helper()
	s, r := newStore(t)
	c := &testClock{}
	c.at.Store(time.Now().UnixNano())
	s.now = c.now
	return s, c, r
}

func TestRotationByAge(t *testing.T) {
	for _, how := range []Policy{{Keep: 9, RotateEvery: time.Hour}, {Keep: 9, RotateEvery: time.Hour, Timestamps: true}} {
		s, c, r := clockStore(t)
		src := stream(t, s, "web", 1, how)
		say := func(text string) {
			t.Helper()
			src.say(text)
			last := text[strings.LastIndexByte(text[:len(text)-1], '\n')+1:]
			eventually(t, last+" is written", func() bool { return strings.HasSuffix(content(t, s, "web.log"), last) })
		}
		say("a\n")
		c.add(time.Hour - time.Nanosecond)
		say("b\nc")
		c.add(time.Nanosecond)
		say("c\n") // ends a line that was under way
		say("d\n")
		c.add(3 * time.Hour)
		say("e\n")
		src.end()
		if got := files(t, s); !slices.Equal(got, []string{"web.log", "web.log.1", "web.log.2"}) || len(r.all()) > 0 {
			t.Errorf("files are %q, reported %q", got, r.all())
		}
		if got, err := s.Tail("web", -1); err != nil || texts(got) != "a|b|cc|d|e|" {
			t.Errorf("read %q (%v)", texts(got), err)
		}
		if got := content(t, s, "web.log.2"); !strings.HasSuffix(got, "cc\n") {
			t.Errorf("the first file ends with %q", got)
		}
	}
}

// TestTheAgeOfAFileIsInTheFile: a store that finds one knows when it began.
func TestTheAgeOfAFileIsInTheFile(t *testing.T) {
	now := time.Now()
	stampOf := func(at time.Time) string {
		var s stamp
		return string(s.at(at)) + "x\n"
	}
	for _, c := range []struct {
		name       string
		text       string
		timestamps bool
		after      time.Duration // from the birth of the file
		want       bool          // rotated
	}{
		{"raw and young", "x\n", false, 59 * time.Minute, false},
		{"raw and old", "x\n", false, 61 * time.Minute, true},
		{"stamped and old", stampOf(now), true, 61 * time.Minute, true},
		{"its first line is younger than the file", stampOf(now.Add(30 * time.Minute)), true, 61 * time.Minute, false},
		{"its first line is too old to be true", stampOf(now.Add(-999 * time.Hour)), true, time.Minute, false},
		{"its first line is of the future", stampOf(now.Add(999 * time.Hour)), true, 61 * time.Minute, true},
		{"a raw line like a stamp", stampOf(now.Add(30 * time.Minute)), false, 61 * time.Minute, true},
		{"empty", "", true, 61 * time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, clock, _ := clockStore(t)
			put(t, s, "web.log", c.text)
			if !hasBirth(t, s.file("web.log")) {
				t.Skip("the file system knows no time of birth")
			}
			clock.at.Store(now.Add(c.after).UnixNano())
			src := stream(t, s, "web", 1, Policy{Keep: 9, RotateEvery: time.Hour, Timestamps: c.timestamps})
			src.say("y\n")
			src.end()
			if got := slices.Contains(files(t, s), "web.log.1"); got != c.want {
				t.Errorf("rotated: %v", got)
			}
		})
	}
}

func hasBirth(t testing.TB, file string) bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := &sink{store: &Store{now: func() time.Time { return time.Now().Add(time.Hour) }}}
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { k.fd = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return time.Since(k.birth(Policy{})) > -time.Minute
}

func TestRotateOnRequest(t *testing.T) {
	how := Policy{Keep: 3}
	for _, c := range []struct {
		name  string
		files map[string]string
		done  bool
		want  string
	}{
		{"nothing", nil, true, `map[]`},
		{"an empty file", map[string]string{"web.log": ""}, true, `map["web.log":""]`},
		{"a file", map[string]string{"web.log": "b\n", "web.log.1": "a\n"}, true, `map["web.log.1":"b\n" "web.log.2":"a\n"]`},
		{"a line nobody ends", map[string]string{"web.log": "b"}, true, `map["web.log.1":"b"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			for file, text := range c.files {
				put(t, s, file, text)
			}
			done, err := s.Rotate("web", how)
			if err != nil || done != c.done || len(r.all()) > 0 {
				t.Errorf("done %v (%v), reported %q", done, err, r.all())
			}
			if got := fmt.Sprintf("%q", all(t, s)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n := openFiles(t, s); n > 0 {
				t.Errorf("%d files are open", n)
			}
		})
	}
}

func TestRotateOnRequestWaitsForTheLine(t *testing.T) {
	s, _ := newStore(t)
	how := Policy{Keep: 3}
	src := stream(t, s, "web", 1, how)
	src.say("a\nb")
	waitContent(t, s, "web.log", "a\nb")
	if done, err := s.Rotate("web", how); done || err != nil {
		t.Errorf("done %v (%v) within a line", done, err)
	}
	src.say("b\nc\n")
	src.end()
	if got := fmt.Sprintf("%q", all(t, s)); got != `map["web.log":"c\n" "web.log.1":"a\nbb\n"]` {
		t.Errorf("got %s", got)
	}
	s.Close()
	if _, err := s.Rotate("web", how); err == nil {
		t.Error("a closed store rotates")
	}
}

func TestRotateOnRequestSaysWhatIsInTheWay(t *testing.T) {
	s, r := newStore(t)
	put(t, s, "web.log", "a\n")
	if err := os.MkdirAll(s.file("web.log.1/full"), 0o750); err != nil {
		t.Fatal(err)
	}
	done, err := s.Rotate("web", Policy{Keep: 1})
	if done || err == nil || !strings.Contains(err.Error(), "web.log.1") || len(r.all()) != 1 {
		t.Errorf("done %v (%v), reported %q", done, err, r.all())
	}
}
