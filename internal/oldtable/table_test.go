package oldtable

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/stay/sysv"
)

func TestRead(t *testing.T) {
	m := makeTable(t, 1000*EntrySize)
	m.put(0, 17, "first", 30, 1_700_000_000)
	m.put(999, 18, "last", 5, 1_700_000_001)
	table, err := Open(m.key, m.key)
	must(t, err)
	defer table.Close()
	got := table.Read(context.Background())
	if len(got) != 2 || table.Size() != 1000 || table.Trouble() != "" {
		t.Fatalf("%+v of %d, %q", got, table.Size(), table.Trouble())
	}
	first, last := got[0], got[1]
	if first.Index != 0 || first.Pid != 17 || first.Name != "first" || first.Timeout != 30*time.Second || first.Atime != 1_700_000_000 {
		t.Errorf("first %+v", first)
	}
	if last.Index != 999 || last.Pid != 18 || last.Name != "last" {
		t.Errorf("last %+v", last)
	}
	if v, err := m.lock.Value(); v != 1 || err != nil {
		t.Errorf("the lock was not given back: %d %v", v, err)
	}
}

func TestHostileEntries(t *testing.T) {
	m := makeTable(t, 10*EntrySize)
	m.put(0, -1, strings.Repeat("x", nameSize), math.MinInt32, math.MinInt64) // a name without an end
	m.put(1, 1, "\x1b[2J\r\n", math.MaxInt32, math.MaxInt64)
	m.put(2, math.MaxInt32, "\xff\xfe näme\x00hidden", -1, -1)
	table, err := Open(m.key, 0)
	must(t, err)
	defer table.Close()
	got := table.Read(context.Background())
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []string{strings.Repeat("x", nameSize), "?[2J??", "?? näme"} {
		if got[i].Name != want {
			t.Errorf("name %q, want %q", got[i].Name, want)
		}
	}
	if got[0].odd() == "" || got[1].odd() == "" || got[2].odd() != "" {
		t.Errorf("odd are %q, %q, %q", got[0].odd(), got[1].odd(), got[2].odd())
	}
	if got[1].Timeout != math.MaxInt32*time.Second || got[0].Timeout >= 0 {
		t.Errorf("time-outs %v and %v", got[1].Timeout, got[0].Timeout)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 3*EntrySize+5))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, e := range decode(table) {
			if e.Pid == 0 || e.Index < 0 || (e.Index+1)*EntrySize > len(table) || !utf8.ValidString(e.Name) {
				t.Errorf("%+v", e)
			}
			if strings.ContainsFunc(e.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("name %q", e.Name)
			}
			if !e.same(table[e.Index*EntrySize:][:EntrySize]) {
				t.Errorf("%+v is not what it was", e)
			}
		}
	})
}

func TestSizes(t *testing.T) {
	for size, want := range map[int]int{1: 0, 71: 0, 72: 1, 143: 1, 72000: 1000, 8 << 20: mostEntries} {
		m := makeTable(t, size)
		table, err := Open(m.key, 0)
		must(t, err)
		if got := table.Size(); got != want {
			t.Errorf("%d bytes are %d entries, want %d", size, got, want)
		}
		table.Read(context.Background())
		must(t, table.Close())
	}
}

func TestOpenNothing(t *testing.T) {
	if _, err := Open(freeKey(t), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestCurrent(t *testing.T) {
	m := makeTable(t, EntrySize)
	table, err := Open(m.key, 0)
	must(t, err)
	defer table.Close()
	if !table.Current() {
		t.Error("it is not current")
	}
	removeMemory(m.key)
	if table.Current() {
		t.Error("it is current, and removed")
	}
	m.fill(EntrySize)
	if table.Current() {
		t.Error("it is current, and there is another")
	}
	if len(table.Read(context.Background())) != 0 {
		t.Error("there are entries")
	}
}

// TestClear: only what is still as it was is cleared.
func TestClear(t *testing.T) {
	m := makeTable(t, 10*EntrySize)
	yes := func() bool { return true }
	for _, c := range []struct {
		what   string
		change func()
		still  bool
		want   bool
	}{
		{"as it was", func() {}, true, true},
		{"taken by another", func() { m.put(3, 43, "x", 5, 1000) }, true, false},
		{"renewed", func() { m.put(3, 42, "x", 5, 1001) }, true, false},
		{"alive again", func() {}, false, false},
	} {
		m.put(3, 42, "x", 5, 1000)
		table, err := Open(m.key, m.key)
		must(t, err)
		e := table.Read(context.Background())[0]
		c.change()
		if got := table.Again(e); got != (c.want || !c.still) {
			t.Errorf("%s: again: %v", c.what, got)
		}
		still := yes
		if !c.still {
			still = func() bool { return false }
		}
		got, err := table.Clear(context.Background(), e, still)
		if err != nil || got != c.want || (m.pid(3) == 0) != c.want {
			t.Errorf("%s: cleared %v (%v), the entry has pid %d", c.what, got, err, m.pid(3))
		}
		if c.want && !bytes.Equal(m.bytes[3*EntrySize:][:EntrySize], make([]byte, EntrySize)) {
			t.Errorf("%s: not all of it is zero", c.what)
		}
		if v, _ := m.lock.Value(); v != 1 {
			t.Errorf("%s: the lock has value %d", c.what, v)
		}
		must(t, table.Close())
	}
}

// TestLockNotGivenBack: somebody has taken the lock and died without SEM_UNDO. Nothing waits for that twice.
func TestLockNotGivenBack(t *testing.T) {
	m := makeTable(t, EntrySize)
	m.put(0, 42, "x", 5, 1000)
	dead := m.lock
	dead.NoUndo = true
	must(t, dead.P(context.Background(), 1))
	table, err := Open(m.key, m.key)
	must(t, err)
	defer table.Close()
	for range 100 {
		if got := table.Read(context.Background()); len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		if !strings.Contains(table.Trouble(), "is not given back") {
			t.Fatalf("trouble %q", table.Trouble())
		}
	}
	must(t, dead.V(1))
	table.Read(context.Background())
	if table.Trouble() != "" {
		t.Errorf("the lock is there again, and %q", table.Trouble())
	}
}

func TestNoLock(t *testing.T) {
	m := makeTable(t, EntrySize)
	must(t, m.lock.Remove())
	table, err := Open(m.key, m.key)
	must(t, err)
	defer table.Close()
	table.Read(context.Background())
	if !strings.Contains(table.Trouble(), "there is no semaphore") {
		t.Errorf("trouble %q", table.Trouble())
	}
	if m.lock, err = sysv.MakeSemaphore(m.key, 1, 0o600); err != nil {
		t.Fatal(err)
	}
	if table.Read(context.Background()); table.Trouble() != "" {
		t.Errorf("there is one, and %q", table.Trouble())
	}
}

// BenchmarkLook is one look at a full table: what stay does once a second.
func BenchmarkLook(b *testing.B) {
	memory, err := sysv.CreateMemory(sysv.Private, 1000*EntrySize, 0o600)
	must(b, err)
	defer memory.Remove()
	x, err := memory.Attach()
	must(b, err)
	defer x.Detach()
	m := &made{bytes: x.Bytes()}
	for i := range 1000 {
		m.put(i, os.Getpid(), "a program", 30, time.Now().Unix())
	}
	table := &Table{memory: memory, mapping: x}
	var g Guard
	for b.Loop() {
		entries := table.Read(context.Background())
		sights := make([]Sight, len(entries))
		for i, e := range entries {
			sights[i] = Sight{Entry: e, Alive: exists(e.Pid)}
		}
		now, wall := clocks()
		g.Look(now, wall, sights)
	}
}
