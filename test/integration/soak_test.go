package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restarts is how many TestSoak waits for; STAY_TEST_RESTARTS says another number.
const restarts = 2000

// TestSoak: after many restarts keeper and engine have the memory, descriptors, threads and goroutines that they had after a
// twentieth of them.
func TestSoak(t *testing.T) {
	goal := restarts
	limit := patience
	if text := os.Getenv("STAY_TEST_RESTARTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			t.Fatalf("STAY_TEST_RESTARTS=%q is no number of restarts", text)
		}
		goal, limit = n, patience+time.Duration(n)*20*time.Millisecond
	}
	d := start(t, soaked(20))
	begin := time.Now()
	d.restarted(goal/20, limit)
	first, firstRoutines := d.usage(t), d.goroutines()
	d.restarted(goal, limit)
	last, lastRoutines := d.usage(t), d.goroutines()
	took := time.Since(begin)
	t.Logf("%d restarts, %.0f a second: memory %d KiB, then %d; descriptors %d, then %d; threads %d, then %d; goroutines of the engine %d, then %d",
		goal, float64(goal)/took.Seconds(), first.memory, last.memory, first.files, last.files, first.threads, last.threads, firstRoutines, lastRoutines)
	const spareKiB, spareFiles, spareThreads, spareRoutines = 12 << 10, 60, 10, 60 // what twenty services do just now
	if last.memory > first.memory+spareKiB {
		t.Errorf("memory grows: %d KiB, then %d", first.memory, last.memory)
	}
	if last.files > first.files+spareFiles {
		t.Errorf("descriptors are left: %d, then %d", first.files, last.files)
	}
	if last.threads > first.threads+spareThreads {
		t.Errorf("threads are left: %d, then %d", first.threads, last.threads)
	}
	if lastRoutines > firstRoutines+spareRoutines {
		t.Errorf("goroutines are left: %d, then %d", firstRoutines, lastRoutines)
	}
}

// soaked is n services that end at once, some of which write and beat.
func soaked(n int) string {
	var c strings.Builder
	c.WriteString("[stay]\nfork_rate = \"\"\n[defaults]\nrestart = { step = \"0s\", max_delay = \"0s\" }\nlog = { max_size = \"64KiB\", keep = 2 }\n")
	for i := range n {
		command, more := `"/bin/true"`, ""
		switch i % 4 {
		case 1:
			command = `["/bin/sh", "-c", "echo one; echo two >&2; exit 1"]`
		case 2:
			more = "pulse = \"1s\"\n"
		}
		fmt.Fprintf(&c, "[service.s%02d]\ncommand = %s\n%s", i, command, more)
	}
	return c.String()
}

// restarted waits until all services together were restarted n times.
func (d *daemon) restarted(n int, limit time.Duration) {
	d.t.Helper()
	for deadline := time.Now().Add(limit); ; {
		sum := 0
		for _, i := range d.status("") {
			sum += i.Restarts
		}
		if sum >= n {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%d of %d restarts in %v", sum, n, limit)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// goroutines has the engine die of SIGABRT, of which it writes down what each goroutine did, and counts them.
func (d *daemon) goroutines() int {
	d.t.Helper()
	count := func() int { return strings.Count(d.log(), "\ngoroutine ") }
	before := count()
	v, err := d.version()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Kill(v.EnginePid, syscall.SIGABRT); err != nil {
		d.t.Fatal(err)
	}
	d.wait("another engine", func() error {
		now, err := d.version()
		if err == nil && now.EnginePid == v.EnginePid {
			err = fmt.Errorf("it is still pid %d", v.EnginePid)
		}
		return err
	})
	n := count() - before
	if n < 5 {
		d.t.Fatalf("the engine has written down %d goroutines", n)
	}
	return n
}
