package capture

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLast(t *testing.T) {
	s, _ := newStore(t)
	src := stream(t, s, "web", 1, raw)
	if got := src.s.Last(); got != 0 {
		t.Errorf("a stream without output had some at %d", got)
	}
	before := clock(t)
	src.say("a")
	waitContent(t, s, "web.log", "a")
	first := src.s.Last()
	if after := clock(t); first < before || first > after {
		t.Errorf("output at %d, said between %d and %d", first, before, after)
	}
	src.say("b\n")
	waitContent(t, s, "web.log", "ab\n")
	if second := src.s.Last(); second <= first {
		t.Errorf("output at %d, then at %d", first, second)
	}
	last := src.s.Last()
	src.end()
	if src.s.Last() != last || src.s.Stalled() != 0 || src.s.Unread() != 0 {
		t.Errorf("an ended stream: last %d, want %d, stalled %v, unread %d", src.s.Last(), last, src.s.Stalled(), src.s.Unread())
	}
}

// clock is what another process would read.
func clock(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

// TestStalled: a write that blocks, as on a slow disk, is no silence of the service.
func TestStalled(t *testing.T) {
	s, _ := newStore(t)
	blocked, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	s.write = func(fd int, p []byte) (int, error) {
		if once.CompareAndSwap(false, true) {
			close(blocked)
			<-goOn
		}
		return syscall.Write(fd, p)
	}
	src := stream(t, s, "web", 1, raw)
	if got := src.s.Stalled(); got != 0 {
		t.Errorf("stalled for %v before there was anything to write", got)
	}
	src.say("first\n")
	<-blocked
	began := time.Now()
	src.say("second\n")
	eventually(t, "a blocked write is seen", func() bool { return src.s.Stalled() > time.Millisecond })
	if got, most := src.s.Stalled(), time.Since(began)+time.Second; got > most {
		t.Errorf("stalled for %v, and at most for %v", got, most)
	}
	if n := src.s.Unread(); n != len("second\n") {
		t.Errorf("%d bytes wait in the pipe", n)
	}
	close(goOn)
	eventually(t, "the pipe is read again", func() bool { return src.s.Stalled() == 0 && src.s.Unread() == 0 })
	src.end()
	if got := content(t, s, "web.log"); got != "first\nsecond\n" {
		t.Errorf("got %q", got)
	}
}

// TestStalledByRetries: a full disk is tried again and again; all of it is one stall.
func TestStalledByRetries(t *testing.T) {
	s, _ := newStore(t)
	d := newDisk(s)
	d.full.Store(true)
	src := stream(t, s, "web", 1, raw)
	src.say("x\n")
	var before time.Duration
	for want := range int64(4) {
		eventually(t, "the write is tried again", func() bool { return d.tries.Load() > want+1 })
		now := src.s.Stalled()
		if now <= before {
			t.Errorf("stalled for %v, then for %v", before, now)
		}
		before = now
	}
	d.full.Store(false)
	eventually(t, "the stall is over", func() bool { return src.s.Stalled() == 0 })
	src.end()
}

func TestSignsOfARefusedStream(t *testing.T) {
	s, _ := newStore(t)
	src := stream(t, s, "../web", 1, raw)
	if src.s.Last() != 0 || src.s.Stalled() != 0 || src.s.Unread() != 0 {
		t.Error("a stream that never was shows signs of life")
	}
}

func BenchmarkSign(b *testing.B) {
	st := &Stream{}
	for b.Loop() {
		st.last.Store(monotonic())
		st.writing.Store(true)
		st.writing.Store(false)
	}
}
