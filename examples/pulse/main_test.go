package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/internal/page"
)

// TestMain also is the example itself, for tests that run it as another process.
func TestMain(m *testing.M) {
	if os.Getenv("EXAMPLE_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the example with a page; "" is none.
func program(place string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "EXAMPLE_RUN=1", "STAY_PULSE="+place, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// TestOutside runs it without stay: it does its work.
func TestOutside(t *testing.T) {
	out, err := program("", "--jobs", "40").CombinedOutput()
	if err != nil || string(out) != "40 jobs are done\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]int{"--help": 0, "--workers 0": 2, "--jobs -1": 2, "--hang-after x": 2, "more": 2} {
		cmd := program("", strings.Fields(args)...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d: %s", args, got, want, out)
		}
	}
}

// makePage makes a page as stay does.
func makePage(t *testing.T) (f *os.File, path string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	f, path, err := page.Make(dir, "pool", page.Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

// watched runs the example with a page, and reads that.
type watched struct {
	t      *testing.T
	f      *os.File
	buffer page.Buffer
}

// watch makes a page and starts the example with it; it is told to end when the test does.
func watch(t *testing.T, args ...string) *watched {
	t.Helper()
	f, path := makePage(t)
	cmd := program(path, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &watched{t: t, f: f}
}

// until reads the page until what it says, by the names of the pulses, is as wanted.
func (w *watched) until(what string, wanted func(map[string]page.Slot) bool) map[string]page.Slot {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for {
		slots, err := page.Read(w.f, page.DefaultSlots, &w.buffer)
		if err != nil {
			w.t.Fatal(err)
		}
		by := map[string]page.Slot{}
		for _, s := range slots {
			by[s.Name()] = s
		}
		if wanted(by) {
			return by
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("never seen: %s; the last was %+v", what, by)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestHang has one worker of five hang: its pulse stands still and says where, the others go on.
func TestHang(t *testing.T) {
	w := watch(t, "--workers", "5", "--hang-after", "20ms")
	var stuck string
	before := w.until("a worker that hangs", func(by map[string]page.Slot) bool {
		for name, s := range by {
			if strings.HasSuffix(s.Note(), ": waits for a lock") {
				stuck = name
			}
		}
		return stuck != "" && len(by) == 5
	})
	after := w.until("others that go on", func(by map[string]page.Slot) bool {
		for name, s := range by {
			if name != stuck && s.Progress < before[name].Progress+5 {
				return false
			}
		}
		return true
	})
	if after[stuck] != before[stuck] || after[stuck].State != page.Busy || after[stuck].Count == 0 {
		t.Errorf("%s hangs, and changes from %+v to %+v", stuck, before[stuck], after[stuck])
	}
	for i := range 5 {
		if name := fmt.Sprint("worker ", i+1); after[name].Count == 0 {
			t.Errorf("%s has no pulse", name)
		}
	}
}

// TestWaiting: a worker without a job is paused.
func TestWaiting(t *testing.T) {
	w := watch(t, "--workers", "3", "--every", "100ms")
	w.until("three workers, one of them waiting for its second job", func(by map[string]page.Slot) bool {
		for _, s := range by {
			if s.State == page.Paused && s.Count > 1 {
				return len(by) == 3
			}
		}
		return false
	})
}

// TestLeave: a program that ends as it should leaves no pulse behind.
func TestLeave(t *testing.T) {
	f, path := makePage(t)
	if out, err := program(path, "--jobs", "20").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if slots, err := page.Read(f, page.DefaultSlots, &page.Buffer{}); err != nil || len(slots) != 0 {
		t.Errorf("left: %+v, %v", slots, err)
	}
}
