package page

import (
	"fmt"
	"testing"
	"time"
)

// TestPulse runs a program with 16 pulses of package pulse and reads them: the two packages mean the same page.
func TestPulse(t *testing.T) {
	for _, byPath := range []bool{true, false} {
		t.Run(fmt.Sprint("by path ", byPath), func(t *testing.T) {
			before := time.Duration(monotonic(t))
			f, path, err := Make(privateDir(t), "web.2", own(31))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if byPath {
				start(t, path)
			} else {
				start(t, "fd:3", f)
			}
			checkWriter(t, read(t, f, 31), int64(before), monotonic(t))
		})
	}
}

func checkWriter(t *testing.T, slots []Slot, begin, end int64) {
	t.Helper()
	seen := map[int]bool{}
	for k, s := range slots {
		var i int
		if _, err := fmt.Sscanf(s.Name(), "loop %d", &i); err != nil || seen[i] {
			t.Fatalf("slot %d has the name %q", s.Index, s.Name())
		}
		seen[i] = true
		want := Slot{Index: s.Index, State: Busy, Beat: s.Beat, Count: uint64(1 + i), Limit: time.Duration(i) * time.Second,
			Progress: uint64(100 + i), RawName: s.RawName, RawNote: s.RawNote}
		first, last := begin, end
		switch i {
		case 1:
			want.State = Paused
		case 2:
			want.State = Idle
			want.Count++
		case 3:
			want.Count++
			first, last = begin+int64(time.Hour), end+int64(time.Hour)
		}
		if s != want || s.Note() != fmt.Sprint("at ", i) {
			t.Errorf("goroutine %d: %+v, want %+v", i, s, want)
		}
		if s.Beat < first-int64(time.Millisecond) || s.Beat > last {
			t.Errorf("goroutine %d: beat at %d, not between %d and %d", i, s.Beat, first, last)
		}
		if s.Index == 0 || k > 0 && s.Index <= slots[k-1].Index {
			t.Errorf("slot %d comes as number %d", s.Index, k)
		}
	}
	if len(seen) != writers-1 || seen[4] {
		t.Errorf("pulses live of goroutines %v", seen)
	}
}

// TestOldGeneration: who has the page of an earlier generation writes there, and nobody else sees it.
func TestOldGeneration(t *testing.T) {
	dir := privateDir(t)
	older, path, err := Make(dir, "web", Options{Generation: 1, UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	start(t, path)
	newer := made(t, dir, "web", Options{Generation: 2, UID: -1, GID: -1})
	if got := read(t, newer, 31); len(got) != 0 {
		t.Errorf("the new page has %+v", got)
	}
	put(t, older, 30, raw{state: 2, name: "late"})
	if got := read(t, older, 31); len(got) != writers || got[writers-1].Name() != "late" {
		t.Errorf("the old page has %d slots", len(got))
	}
	if got := read(t, newer, 31); len(got) != 0 {
		t.Errorf("the new page has %+v", got)
	}
}
