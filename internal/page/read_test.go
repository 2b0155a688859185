package page

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestDecode(t *testing.T) {
	name, note := strings.Repeat("n", 24), strings.Repeat("m", 64)
	for _, c := range []struct {
		what string
		give raw
		want Slot
	}{
		{"all", raw{beat: 1e9, count: 2, limit: 3e9, progress: 4, state: 2, tid: 5, name: "a", note: "b"},
			Slot{State: Busy, Tid: 5, Beat: 1e9, Count: 2, Limit: 3 * time.Second, Progress: 4}},
		{"claimed", raw{state: 1}, Slot{State: Claimed}},
		{"paused", raw{state: 3}, Slot{State: Paused}},
		{"idle", raw{state: 4}, Slot{State: Idle}},
		{"state 5", raw{state: 5}, Slot{State: Odd}},
		{"state 256", raw{state: 256}, Slot{State: Odd}},
		{"state of all ones", raw{state: math.MaxUint32}, Slot{State: Odd}},
		{"full texts", raw{state: 2, name: name, note: note}, Slot{State: Busy}},
		{"largest numbers", raw{state: 2, beat: MaxTime, count: math.MaxUint64, limit: MaxTime, progress: math.MaxUint64, tid: MaxTid},
			Slot{State: Busy, Beat: MaxTime, Count: math.MaxUint64, Limit: MaxTime, Progress: math.MaxUint64, Tid: MaxTid}},
		{"numbers out of range", raw{state: 2, beat: MaxTime + 1, limit: MaxTime + 1, tid: MaxTid + 1}, Slot{State: Busy, Limit: MaxTime}},
		{"negative numbers", raw{state: 2, beat: 1 << 63, limit: 1 << 63, tid: 1 << 31}, Slot{State: Busy, Limit: MaxTime}},
		{"all ones", raw{state: 2, beat: math.MaxUint64, limit: math.MaxUint64, tid: math.MaxUint32}, Slot{State: Busy, Limit: MaxTime}},
	} {
		f := made(t, privateDir(t), "web", own(0))
		put(t, f, 30, c.give)
		c.want.Index = 30
		copy(c.want.RawName[:], c.give.name)
		copy(c.want.RawNote[:], c.give.note)
		got := read(t, f, 31)
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
			continue
		}
		if got[0].Name() != c.give.name || got[0].Note() != c.give.note {
			t.Errorf("%s: name %q, note %q", c.what, got[0].Name(), got[0].Note())
		}
	}
}

// TestSlots reads pages with slots here and there, of all sizes, with one buffer.
func TestSlots(t *testing.T) {
	var b Buffer
	for _, n := range []int{31, 1, 64, 4096, 2, 31} {
		f := made(t, privateDir(t), "web", own(n))
		var want []int
		for i := 0; i < n; i += 3 {
			put(t, f, i, raw{state: 2, count: uint64(i)})
			want = append(want, i)
		}
		got, err := Read(f, n, &b)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d slots: %d live, want %d: %v", n, len(got), len(want), err)
		}
		for k, s := range got {
			if s.Index != want[k] || s.Count != uint64(s.Index) {
				t.Errorf("%d slots: number %d is %+v", n, k, s)
			}
		}
	}
}

// TestOnlyConfigured: slots behind the configured ones are not looked at, nor is the header, whatever a service writes there.
func TestOnlyConfigured(t *testing.T) {
	f := made(t, privateDir(t), "web", own(4))
	for i := range 10 {
		put(t, f, i, raw{state: 2})
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("\xff", 128)), 0); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f, 4); len(got) != 4 {
		t.Errorf("%d slots are live", len(got))
	}
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 3: 3} {
		if got := read(t, f, n); len(got) != want {
			t.Errorf("asked for %d slots, got %d", n, len(got))
		}
	}
}

// TestBroken reads what is no page any more, or never was.
func TestBroken(t *testing.T) {
	pipeR, pipeW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipeR.Close()
	defer pipeW.Close()
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	cut := func(size int64) *os.File {
		f := made(t, privateDir(t), "web", own(31))
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, c := range []struct {
		name string
		f    *os.File
		want string
	}{
		{"empty", cut(0), "it is cut off: 0 of 3968 bytes"},
		{"header only", cut(128), "it is cut off: 0 of 3968 bytes"},
		{"one byte short", cut(4095), "it is cut off: 3967 of 3968 bytes"},
		{"folder", folder, "it is no regular file"},
		{"pipe", pipeR, "it is no regular file"},
		{"more slots than made", cut(4096), ""},
	} {
		slots := 31
		if c.want == "" {
			slots, c.want = 32, "it is cut off: 3968 of 4096 bytes"
		}
		got, err := Read(c.f, slots, &Buffer{})
		var b *Broken
		if got != nil || !errors.As(err, &b) || b.Phrase != c.want || err.Error() != "read pulse page: "+c.want {
			t.Errorf("%s: %v, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// TestClosed: a descriptor of ours that is wrong is our fault, not the page's.
func TestClosed(t *testing.T) {
	f := made(t, privateDir(t), "web", own(31))
	f.Close()
	var b *Broken
	if _, err := Read(f, 31, &Buffer{}); err == nil || errors.As(err, &b) {
		t.Errorf("read a closed file: %v", err)
	}
	if _, err := SizeOf(f); err == nil {
		t.Error("a closed file has a size")
	}
}

// TestGrown: a page that has grown is read as before, and the size says it.
func TestGrown(t *testing.T) {
	f := made(t, privateDir(t), "web", own(31))
	put(t, f, 1, raw{state: 2, name: "x"})
	if _, err := f.WriteAt(make([]byte, 4096), 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f, 31); len(got) != 1 || got[0].Name() != "x" {
		t.Errorf("read %v", got)
	}
	size, err := SizeOf(f)
	if err != nil || size.Length != 1<<20+4096 || size.Memory < 8192 || size.Memory >= 1<<20 {
		t.Errorf("its size is %+v, %v", size, err)
	}
}

// TestWhileItChanges reads a page that others cut off, let grow and fill with nonsense all the time.
func TestWhileItChanges(t *testing.T) {
	const rounds = 3000
	f := made(t, privateDir(t), "web", own(100))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	again := func(change func(i int) error) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := change(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	again(func(i int) error {
		return f.Truncate([]int64{0, 4096, 1 << 20, 128, 128 + 128*100, 5000}[i%6])
	})
	again(func(i int) error {
		_, err := f.WriteAt([]byte(strings.Repeat("\x02\x1b\xff\x00"[i%4:i%4+1], 128*101)), 0)
		return err
	})
	var b Buffer
	ok, broken := 0, 0
	for i := 0; i < rounds || (ok == 0 || broken == 0) && i < 100*rounds; i++ {
		slots, err := Read(f, 100, &b)
		var bad *Broken
		switch {
		case err == nil:
			ok++
			checkSlots(t, slots, 100)
		case errors.As(err, &bad):
			broken++
		default:
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if ok == 0 || broken == 0 {
		t.Errorf("%d readings were good, %d broken: nothing happened", ok, broken)
	}
}

// TestTorn: a beat of which only one half was stored looks older than it is, by 4 s here; the next reading is another one.
func TestTorn(t *testing.T) {
	f := made(t, privateDir(t), "web", own(1))
	const before, after = 0x1_ffff_fff0, 0x2_0000_0010
	put(t, f, 0, raw{state: 2, beat: before, count: 1})
	first := read(t, f, 1)[0]
	put(t, f, 0, raw{state: 2, beat: before&^0xffff_ffff | after&0xffff_ffff, count: 1})
	torn := read(t, f, 1)[0]
	put(t, f, 0, raw{state: 2, beat: after, count: 2})
	whole := read(t, f, 1)[0]
	if torn.Beat >= first.Beat || torn == first || torn == whole || whole.Beat != after {
		t.Errorf("%+v, %+v, %+v", first, torn, whole)
	}
	if again := read(t, f, 1)[0]; again != whole {
		t.Errorf("nobody wrote, and %+v became %+v", whole, again)
	}
}

// TestReadAllocations: 10,000 readings a second make no garbage.
func TestReadAllocations(t *testing.T) {
	f := made(t, privateDir(t), "web", own(31))
	for i := range 31 {
		put(t, f, i, raw{state: 2, name: "x", note: "y"})
	}
	var b Buffer
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := Read(f, 31, &b); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestAfterEverything reads by a copy of the descriptor when name and first descriptor are gone.
func TestAfterEverything(t *testing.T) {
	dir := privateDir(t)
	f := made(t, dir, "web", own(31))
	put(t, f, 1, raw{state: 2, name: "x"})
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	kept := os.NewFile(uintptr(fd), "kept")
	defer kept.Close()
	f.Close()
	if err := os.Remove(filepath.Join(dir, "web")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, kept, 31); len(got) != 1 || got[0].Name() != "x" {
		t.Errorf("read %v", got)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name        string
		slots, live int
	}{{"31 slots, 1 live", 31, 1}, {"31 slots, all live", 31, 31}, {"4096 slots, all live", 4096, 4096}} {
		b.Run(c.name, func(b *testing.B) {
			f := made(b, privateDir(b), "web", own(c.slots))
			for i := range c.live {
				put(b, f, i, raw{state: 2, beat: 1, name: "indexer", note: "merging segment 41"})
			}
			var buf Buffer
			b.ReportAllocs()
			for b.Loop() {
				slots, err := Read(f, c.slots, &buf)
				if err != nil || len(slots) != c.live {
					b.Fatal(len(slots), err)
				}
			}
		})
	}
}
