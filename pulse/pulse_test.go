package pulse

import (
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestCalls goes through the life of a pulse, and looks at the file after each call.
func TestCalls(t *testing.T) {
	path := makePage(t, 31)
	pg := opened(t, path)
	begin := uint64(monotonic())
	p := pg.start("indexer", 3*time.Second, 0)
	at := index(pg, p)
	want := readSlot(t, path, at)
	if want.beat+uint64(time.Second) < begin || want.beat > uint64(monotonic()) {
		t.Errorf("started at %d, first beat at %d", begin, want.beat)
	}
	if first := (fields{beat: want.beat, count: 1, limit: 3e9, state: 2, name: "indexer"}); want != first {
		t.Errorf("started: %+v, want %+v", want, first)
	}
	steps := []struct {
		name  string
		call  func()
		beats uint64
		state uint32
		more  func(*fields)
	}{
		{"beat", p.Beat, 1, 2, nil},
		{"progress", func() { p.Progress(41) }, 0, 2, func(f *fields) { f.progress = 41 }},
		{"note", func() { p.Note("merging segment 41") }, 0, 2, func(f *fields) { f.note = "merging segment 41" }},
		{"shorter note", func() { p.Note("done") }, 0, 2, func(f *fields) { f.note = "done" }},
		{"idle", p.Idle, 1, 4, nil},
		{"beat while idle", p.Beat, 1, 4, nil},
		{"progress while idle", func() { p.Progress(42) }, 1, 2, func(f *fields) { f.progress = 42 }},
		{"pause", p.Pause, 0, 3, nil},
		{"beat while paused", p.Beat, 1, 3, nil},
		{"resume", p.Resume, 1, 2, nil},
		{"pause again", p.Pause, 0, 3, nil},
		{"progress while paused", func() { p.Progress(43) }, 1, 2, func(f *fields) { f.progress = 43 }},
		{"idle again", p.Idle, 1, 4, nil},
		{"busy", p.Busy, 1, 2, nil},
		{"no note", func() { p.Note("") }, 0, 2, func(f *fields) { f.note = "" }},
		{"close", p.Close, 0, 0, nil},
		{"close again", p.Close, 0, 0, nil},
		{"beat when closed", p.Beat, 0, 0, nil},
		{"note when closed", func() { p.Note("x") }, 0, 0, nil},
		{"resume when closed", p.Resume, 0, 0, nil},
	}
	for _, s := range steps {
		s.call()
		got := readSlot(t, path, at)
		if (got.beat > want.beat) != (s.beats > 0) || got.beat < want.beat {
			t.Errorf("%s: beat at %d, before at %d, want %d beats", s.name, got.beat, want.beat, s.beats)
		}
		want.beat = got.beat
		want.count += s.beats
		want.state = s.state
		if s.more != nil {
			s.more(&want)
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", s.name, got, want)
		}
	}
	if !errors.Is(p.Err(), ErrClosed) {
		t.Errorf("closed: %v", p.Err())
	}
}

func TestExtend(t *testing.T) {
	path := makePage(t, 1)
	p := opened(t, path).start("x", 0, 0)
	for _, c := range []struct {
		by       time.Duration
		min, max uint64 // beside the moment of the call
	}{
		{time.Hour, uint64(time.Hour), uint64(time.Hour)},
		{0, 0, 0},
		{-time.Hour, 0, 0},
	} {
		before := uint64(now())
		p.Extend(c.by)
		after := uint64(now())
		if got := readSlot(t, path, 0).beat; got < before+c.min || got > after+c.max {
			t.Errorf("extended by %v: beat at %d, called between %d and %d", c.by, got, before, after)
		}
	}
	p.Extend(math.MaxInt64)
	if got := readSlot(t, path, 0).beat; got != math.MaxInt64 {
		t.Errorf("extended for ever: beat at %d", got)
	}
	p.Beat()
	if got := readSlot(t, path, 0); got.beat > uint64(now()) || got.count != 6 {
		t.Errorf("a beat does not end it: %+v", got)
	}
}

func TestLimit(t *testing.T) {
	path := makePage(t, 1)
	pg := opened(t, path)
	for give, want := range map[time.Duration]uint64{0: 0, -1: 0, time.Millisecond: 1e6, math.MaxInt64: math.MaxInt64} {
		p := pg.start("x", give, 0)
		if got := readSlot(t, path, 0).limit; got != want {
			t.Errorf("limit %v: %d, want %d", give, got, want)
		}
		p.Close()
	}
}

// TestDoesNothing calls everything on pulses that have no page.
func TestDoesNothing(t *testing.T) {
	for name, p := range map[string]*Pulse{"nil": nil, "zero": {}, "outside": dead(ErrOutside)} {
		p.Beat()
		p.Progress(1)
		p.Note("x")
		p.Idle()
		p.Busy()
		p.Pause()
		p.Resume()
		p.Extend(time.Second)
		if err := p.Err(); err == nil || (name == "outside") != errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", name, err)
		}
		p.Close()
		p.Close()
		p.Beat()
	}
	if allocs := testing.AllocsPerRun(100, (*Pulse)(nil).Beat); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestOutside asks a program that is not under stay.
func TestOutside(t *testing.T) {
	for _, env := range [][]string{nil, {"STAY_PULSE="}} {
		cmd := helper(t, "err", env...)
		if len(env) == 0 {
			cmd.Env = append(without(os.Environ(), "STAY_PULSE"), "PULSE_TEST=err", "GORACE=atexit_sleep_ms=0")
		}
		if got := said(t, cmd); got != ErrOutside.Error() {
			t.Errorf("with %q: %q", env, got)
		}
	}
}

func without(env []string, name string) []string {
	var rest []string
	for _, e := range env {
		if !strings.HasPrefix(e, name+"=") {
			rest = append(rest, e)
		}
	}
	return rest
}

// TestAllocations sees to it that what a loop calls does not make garbage.
func TestAllocations(t *testing.T) {
	p := opened(t, makePage(t, 1)).start("x", 0, 0)
	defer p.Close()
	for name, f := range map[string]func(){
		"Beat":     p.Beat,
		"Progress": func() { p.Progress(1) },
		"Note":     func() { p.Note("merging segment 41") },
		"Idle":     p.Idle,
		"Busy":     p.Busy,
		"Pause":    p.Pause,
		"Resume":   p.Resume,
		"Extend":   func() { p.Extend(time.Second) },
		"Err":      func() { _ = p.Err() },
	} {
		if allocs := testing.AllocsPerRun(1000, f); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestManyBeat has one pulse beaten by many goroutines: no beat is lost.
func TestManyBeat(t *testing.T) {
	const goroutines, beats = 8, 1000
	path := makePage(t, 1)
	p := opened(t, path).start("shared", 0, 0)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range beats {
				p.Beat()
				p.Note("x")
				p.Progress(1)
			}
		})
	}
	wg.Wait()
	if got := readSlot(t, path, 0); got.count != 1+goroutines*beats || got.beat > uint64(now()) {
		t.Errorf("%+v, want %d beats", got, 1+goroutines*beats)
	}
}

// TestBeatWhileClosing closes a pulse that others beat, as a program that ends may do.
func TestBeatWhileClosing(t *testing.T) {
	pg := opened(t, makePage(t, 1))
	for range 200 {
		p := pg.start("x", 0, 0)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for p.Err() == nil {
					p.Beat()
				}
				if !errors.Is(p.Err(), ErrClosed) {
					t.Error(p.Err())
				}
			})
		}
		p.Close()
		wg.Wait()
	}
	if index(pg, pg.start("x", 0, 0)) != 0 {
		t.Error("the slot is not free again")
	}
}

// TestThread looks at the thread id of a pulse that names its thread, and at its goroutine: it stays there.
func TestThread(t *testing.T) {
	path := makePage(t, 2)
	pg := opened(t, path)
	done := make(chan [3]int)
	go func() {
		runtime.LockOSThread()
		p := pg.start("x", 0, threadID())
		defer p.Close()
		done <- [3]int{int(readSlot(t, path, 1).tid), syscall.Gettid(), os.Getpid()}
	}()
	if got := <-done; got[0] != got[1] || got[0] <= 0 {
		t.Errorf("slot, thread and process: %v", got)
	}
	p := StartThread("outside", 0) // this process has no page
	if p.Err() == nil {
		t.Error("a pulse without a page")
	}
	runtime.UnlockOSThread()
}
