package pulse

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestNamed: the second call of a name finds the slot of the first, in the state that it has.
func TestNamed(t *testing.T) {
	path := makePage(t, 8)
	for _, c := range []struct {
		what  string
		limit time.Duration
		call  func(*Pulse)
		want  fields
	}{
		{"first", time.Second, (*Pulse).Beat, fields{count: 2, limit: 1e9, state: 2}},
		{"pause", 0, (*Pulse).Pause, fields{count: 2, limit: 1e9, state: 3}},
		{"beat", 0, (*Pulse).Beat, fields{count: 3, limit: 1e9, state: 3}},
		{"other limit", 2 * time.Second, (*Pulse).Idle, fields{count: 4, limit: 2e9, state: 4}},
		{"negative limit", -1, func(p *Pulse) { p.Note("x") }, fields{count: 4, limit: 2e9, state: 4, note: "x"}},
		{"close", 0, (*Pulse).Close, fields{count: 4, limit: 2e9, state: 0, note: "x"}},
		{"anew", 0, (*Pulse).Beat, fields{count: 2, limit: 0, state: 2}},
	} {
		pg := opened(t, path) // as another program does
		before := uint64(now())
		c.call(pg.named("nightly import", c.limit))
		got := readSlot(t, path, 1)
		if got.beat > uint64(now()) || (c.what == "anew") && got.beat < before {
			t.Errorf("%s: beat at %d", c.what, got.beat)
		}
		c.want.beat, c.want.name = got.beat, "nightly import"
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
}

// TestNamedOthers: pulses with a thread, other names, and slots that are not live are left alone.
func TestNamedOthers(t *testing.T) {
	long := strings.Repeat("n", 30)
	path := makePage(t, 8)
	pg := opened(t, path)
	thread := pg.start("import", 0, 77)
	other := pg.start("imports", 0, 0)
	free := pg.start("import", 0, 0)
	free.Close()
	claimed := pg.start("import", 0, 0)
	claimed.live().state = stateClaimed
	p := pg.named("import", 0)
	for name, q := range map[string]*Pulse{"thread": thread, "other": other, "claimed": claimed} {
		if p.live() == q.live() {
			t.Errorf("it got the slot of %s", name)
		}
	}
	if a, b := pg.named(long, 0), pg.named(long+"x", 0); a.live() != b.live() {
		t.Error("names that are cut to the same are two")
	}
	if a, b := pg.named("", 0), pg.named("", 0); a.live() != b.live() || a.live() == p.live() {
		t.Error("no name is not one name")
	}
}

func TestNamedFails(t *testing.T) {
	pg := opened(t, makePage(t, 1))
	pg.start("x", 0, 0)
	if p := pg.named("y", 0); !errors.Is(p.Err(), ErrFull) {
		t.Error(p.Err())
	}
	if p := pg.named("x", 0); p.Err() != nil {
		t.Error(p.Err())
	}
	if err := syscall.Ftruncate(int(pg.file.f.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	if p := pg.named("x", 0); p == nil || !errors.Is(p.Err(), ErrCut) {
		t.Error("there is a pulse on a page that was cut off")
	}
	if p := Named("x", 0); !errors.Is(p.Err(), ErrOutside) { // this process has no page
		t.Error(p.Err())
	}
}

// TestNamedAtOnce has programs beat for one name at the same moment: they have one slot, and no beat is lost.
func TestNamedAtOnce(t *testing.T) {
	const processes = 6
	path := makePage(t, 31)
	var wg sync.WaitGroup
	var all []*claimer
	for range processes {
		all = append(all, startClaimer(t, "named", path))
	}
	for _, c := range all {
		wg.Go(func() { c.claim(t) })
	}
	wg.Wait()
	for _, c := range all {
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if got := readSlot(t, path, 1); got.count != 1+processes || got.name != "nightly import" || got.state != 2 {
		t.Errorf("slot 1: %+v", got)
	}
	for i := range 31 {
		if got := readSlot(t, path, i); i != 1 && got != (fields{}) {
			t.Errorf("slot %d: %+v", i, got)
		}
	}
}
