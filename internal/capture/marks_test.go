package capture

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// heirloom makes a legacy and opens it as often as it is called for.
func heirloom(t *testing.T) (files []*os.File, open func() *table) {
	t.Helper()
	files, err := NewLegacy(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range files {
			f.Close()
		}
	})
	return files, func() *table {
		table, pipes, err := inheritance(files, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pipes.close)
		t.Cleanup(table.close)
		return table
	}
}

func TestSlotsAreFoundByName(t *testing.T) {
	_, open := heirloom(t)
	first := open()
	for i := range 100 {
		first.claim(fmt.Sprint("web.", i)).end = int64(i)
	}
	first.release(first.claim("gone"), true)
	second := open()
	if len(second.left) != 100 || len(second.free) != 1 {
		t.Fatalf("%d are left, %d are free", len(second.left), len(second.free))
	}
	for i := range 100 {
		if got := second.claim(fmt.Sprint("web.", i)).end; got != int64(i) {
			t.Errorf("web.%d: end %d", i, got)
		}
	}
	if got := second.claim("new"); got.end != 0 || got.index != 101 {
		t.Errorf("a new one has slot %d, end %d", got.index, got.end)
	}
	if got := second.claim("newer"); got.index != 102 {
		t.Errorf("a newer one has slot %d", got.index)
	}
}

func TestSlotThatNobodyNeededIsLeft(t *testing.T) {
	_, open := heirloom(t)
	table := open()
	s := table.claim("web")
	s.end = 5
	table.release(s, false)
	if again := table.claim("web"); again != s || again.end != 5 {
		t.Errorf("got slot %d with end %d", again.index, again.end)
	}
	table.release(s, true)
	if again := table.claim("web"); again != s || again.end != 0 {
		t.Errorf("got slot %d with end %d", again.index, again.end)
	}
}

func TestMoreNamesThanSlots(t *testing.T) {
	_, open := heirloom(t)
	first := open()
	left := first.claim("left")
	left.end = 7
	table := open()
	table.head().used.Store(maxSlots)
	if s := table.claim("web"); s.index != left.index || s.end != 0 {
		t.Errorf("the first gets slot %d with end %d, want the one that is left over", s.index, s.end)
	}
	if s := table.claim("other"); s.index != 0 {
		t.Errorf("the next gets slot %d", s.index)
	} else {
		table.release(s, true) // is no trouble
	}
}

func TestMarksThatCannotBeRead(t *testing.T) {
	_, open := heirloom(t)
	for _, c := range []struct {
		name  string
		spoil func(t *table)
	}{
		{"another layout", func(t *table) { t.head().magic++ }},
		{"another size", func(t *table) { t.head().size++ }},
		{"too many", func(t *table) { t.head().used.Store(maxSlots + 1) }},
		{"no phase", func(t *table) { t.slot(1).phase.Store(9) }},
		{"too many cuts", func(t *table) { t.slot(1).now.cut = maxCuts + 1 }},
		{"negative", func(t *table) { t.slot(1).offset = -1 }},
	} {
		first := open()
		s := first.claim("web")
		s.end, s.now.mid = 9, true
		c.spoil(first)
		if got := open().claim("web"); got.end != 0 || got.now != (ending{}) || phase(got.phase.Load()) != settled {
			t.Errorf("%s: end %d, %+v", c.name, got.end, got.now)
		}
	}
}

func TestLegaciesThatAreRefused(t *testing.T) {
	files, _ := heirloom(t)
	small, err := unix.MemfdCreate("stay-test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(small), "small")
	defer other.Close()
	for name, legacy := range map[string][]*os.File{
		"too few":         files[:2],
		"too little":      append([]*os.File{other}, files[1:]...),
		"what is no pipe": append([]*os.File{files[0], other}, files[2:]...),
	} {
		if s, err := Open(Options{Dir: t.TempDir(), Legacy: legacy}); err == nil {
			s.Close()
			t.Errorf("%s: was opened", name)
		}
	}
	if err := unix.Ftruncate(fdNumber(t, files[0]), 1); err != syscall.EPERM {
		t.Errorf("the marks shrink: %v", err)
	}
}

func fdNumber(t *testing.T, f *os.File) int {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := -1
	if err := raw.Control(func(fd uintptr) { n = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestResolve(t *testing.T) {
	within := ending{owner: 3, owned: true, mid: true, width: 4}
	for _, c := range []struct {
		name  string
		phase phase
		took  int64
		pipes map[uint64]int
		want  phase
		end   int64
		owned bool // the last line, by whoever owned it
	}{
		{"settled", settled, 0, nil, settled, 10, false},
		{"not written", writing, 5, map[uint64]int{8: 0}, writing, 10, false},
		{"still in the pipe", consuming, 5, map[uint64]int{8: 0}, writing, 10, false},
		{"out of the pipe", consuming, 5, map[uint64]int{8: 5}, settled, 27, true},
		{"nothing to take out", consuming, 0, map[uint64]int{8: 0}, settled, 27, true},
		{"nobody knows", consuming, 5, map[uint64]int{9: 0}, settled, 27, false},
	} {
		s := &slot{by: 8, took: c.took, offset: 20, length: 7, end: 10, next: within}
		s.phase.Store(uint32(c.phase))
		s.resolve(c.pipes, 0)
		if got := phase(s.phase.Load()); got != c.want || s.end != c.end || s.now.owned != c.owned {
			t.Errorf("%s: phase %d, end %d, owned %v", c.name, got, s.end, s.now.owned)
		}
		if c.name == "nobody knows" && !s.now.isCut(3) {
			t.Errorf("%s: the line was not cut", c.name)
		}
	}
}

func TestEnding(t *testing.T) {
	var e ending
	for gen := range uint64(maxCuts + 2) {
		e.cutOff(gen)
		e.cutOff(gen)
	}
	if e.cut != maxCuts || !e.isCut(0) || e.isCut(maxCuts) {
		t.Errorf("%+v", e)
	}
	e.heal(1)
	e.heal(1)
	if e.cut != maxCuts-1 || e.isCut(1) || !e.isCut(0) || !e.isCut(maxCuts-1) {
		t.Errorf("%+v", e)
	}
	e = e.after(7, text{open: true, width: 3})
	if !e.mid || !e.owned || e.owner != 7 || e.text(7) != (text{open: true, width: 3}) || e.text(0) != (text{again: true}) || e.text(9) != (text{}) {
		t.Errorf("%+v", e)
	}
	e.disown()
	if e.owned || !e.isCut(7) {
		t.Errorf("%+v", e)
	}
}

// TestSmallPipes: a user with many pipes gets pipes of two pages, and some of one.
func TestSmallPipes(t *testing.T) {
	files, err := NewLegacy(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files[1:] {
		if _, err := unix.FcntlInt(uintptr(fdNumber(t, f)), unix.F_SETPIPE_SZ, 4096); err != nil {
			t.Fatal(err)
		}
	}
	s, r := newStore(t)
	small, err := Open(Options{Dir: s.dir.path, Legacy: files, Report: r.add})
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	src := stream(t, small, "web", 1, raw)
	var want string
	for i := range 2000 {
		text := fmt.Sprintf("line %d of many", i)
		if i%3 > 0 {
			text += "\n"
		}
		want += text
		src.say(text)
	}
	src.end()
	if got := content(t, s, "web.log"); got != want || len(r.all()) > 0 {
		t.Errorf("%d bytes, want %d (%q)", len(got), len(want), r.all())
	}
}

// TestWithoutDevNull: what was consumed is read away.
func TestWithoutDevNull(t *testing.T) {
	s, _ := newStore(t)
	unix.Close(s.pipes.null)
	s.pipes.null = -1
	src := stream(t, s, "web", 1, raw)
	go src.lines(20_000, "line")
	src.wait()
	if got, err := s.Tail("web", -1); err != nil || len(got) != 20_000 || got[19_999].Text != "line 19999" {
		t.Errorf("%d lines (%v)", len(got), err)
	}
}
