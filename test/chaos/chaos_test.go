package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"example.com/stay/api"
)

// binaries is where TestMain puts stay and stayd.
var binaries string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == actorArg {
		os.Exit(actorMain(os.Args[2:]))
	}
	if code, done := goInside(); done {
		os.Exit(code)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if binaries = os.Getenv("STAY_TEST_BINARIES"); binaries != "" { // for a user who cannot build
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "stay-chaos-")
	if err != nil {
		return refuse(err)
	}
	defer os.RemoveAll(dir)
	if binaries, err = build(dir); err != nil {
		return refuse(err)
	}
	return m.Run()
}

// TestChaos is 30 s of it: make test runs it as nobody and as root. STAY_CHAOS_SECONDS and STAY_CHAOS_SEED choose others. Where
// CI is set the seed is always the same, for each user another, and only engines, processes and trees are killed: a change is
// judged by what it does, not by luck. All the rest is for who looks into what it finds.
func TestChaos(t *testing.T) {
	seconds, seed, only := 30, 1+rand.Uint64N(1_000_000), ""
	if os.Getenv("CI") != "" {
		seed, only = 1+uint64(os.Geteuid()), "kill-[ept]*"
	}
	if testing.Short() {
		seconds = 5
	}
	if n, err := strconv.Atoi(os.Getenv("STAY_CHAOS_SECONDS")); err == nil {
		seconds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("STAY_CHAOS_SEED"), 10, 64); err == nil {
		seed = n
	}
	dir, err := os.MkdirTemp("", "chaos-") // short: sockets lie in it; kept after a violation
	if err != nil {
		t.Fatal(err)
	}
	o := options{dir: dir, binaries: binaries, seed: seed, length: time.Duration(seconds) * time.Second, only: only, say: t.Logf}
	bad := play(o)
	for _, v := range bad {
		t.Errorf("violation: %s", v)
	}
	if len(bad) > 0 {
		t.Logf("kept: %s; again: make chaos SEED=%d", dir, seed)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// TestSequence: which holes among events are marked.
func TestSequence(t *testing.T) {
	e := func(seq uint64) api.Event { return api.Event{Seq: seq, Kind: api.KindState} }
	gap := func(seq uint64) api.Event { return api.Event{Seq: seq, Kind: api.KindGap} }
	for _, c := range []struct {
		what   string
		events []api.Event
		bad    int
	}{
		{"in order", []api.Event{e(5), e(6), e(7)}, 0},
		{"a hole", []api.Event{e(5), e(7)}, 1},
		{"a marked hole", []api.Event{e(5), gap(8), e(9)}, 0},
		{"a mark and a hole", []api.Event{e(5), gap(8), e(10)}, 1},
		{"again", []api.Event{e(5), e(5)}, 1},
		{"back", []api.Event{e(5), e(4)}, 1},
		{"the next daemon", []api.Event{e(5), {Seq: 1030, Kind: api.KindEngine, After: 5}, e(1031)}, 0},
		{"the next daemon knows of more", []api.Event{e(5), {Seq: 1030, Kind: api.KindEngine, After: 6}}, 1},
	} {
		s := sequence{seen: map[uint64]string{}}
		bad := 0
		for _, x := range c.events {
			if s.next(x) != nil {
				bad++
			}
		}
		if bad != c.bad {
			t.Errorf("%s: %d errors, want %d", c.what, bad, c.bad)
		}
	}
}

// TestReadLogs: what the check of the logs is for is found by it, and nothing else is.
func TestReadLogs(t *testing.T) {
	const name = "flood@1@77"
	lines := func(numbers ...int) (text []byte) {
		for _, n := range numbers {
			text = numberedLine(text, name, n)
		}
		return text
	}
	stamped := fmt.Appendf(nil, "2026-01-02T03:04:05.000000Z %s", lines(3))
	for _, c := range []struct {
		what    string
		old     []byte // the rotated file
		now     []byte
		written int
		bad     int
	}{
		{what: "all there", old: lines(1, 2), now: lines(3, 4), written: 4},
		{what: "stamps", old: lines(1, 2), now: append(stamped, lines(4)...), written: 4},
		{what: "a chunk twice", now: lines(1, 2, 3, 2, 3, 4), written: 4},
		{what: "more than was counted yet", now: lines(1, 2, 3), written: 2},
		{what: "a hole", now: lines(1, 3), written: 3, bad: 1},
		{what: "a hole at the rotation", old: lines(1), now: lines(3), written: 3, bad: 1},
		{what: "the end is missing", now: lines(1, 2), written: 3, bad: 1},
		{what: "all is missing", written: 3, bad: 1},
		{what: "mangled", now: append(lines(1), "flood@1@77 2 xyz.\n"...), written: 1, bad: 1},
		{what: "words of a runtime", now: append(lines(1), "panic: oh\n"...), written: 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := &run{options: options{dir: t.TempDir()}, chronicle: newChronicle(t.Logf)}
			r.say = t.Logf
			r.daemon = newDaemon(r.dir, "")
			for file, text := range map[string][]byte{
				filepath.Join(r.daemon.logDir(), "flood.log.1"): c.old,
				filepath.Join(r.daemon.logDir(), "flood.log"):   c.now,
				filepath.Join(r.dir, "counts", name):            strconv.AppendInt(nil, int64(c.written), 10),
			} {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r.readLogs()
			if len(r.violations) != c.bad {
				t.Errorf("%d violations, want %d: %q", len(r.violations), c.bad, r.violations)
			}
		})
	}
}

// TestLockFindsTheSecond: an actor that finds the lock of its instance held says so, and one that comes after does not.
func TestLockFindsTheSecond(t *testing.T) {
	s, err := newStage(t.TempDir(), "self")
	if err != nil {
		t.Fatal(err)
	}
	first := &actor{stage: s.dir, instance: "web", mark: "id/web/1"}
	if code := first.lock(); code != 0 {
		t.Fatalf("the first: %d", code)
	}
	second := &actor{stage: s.dir, instance: "web", mark: "id/web/2"}
	if code := second.lock(); code != exitDoubled {
		t.Errorf("the second: %d, want %d", code, exitDoubled)
	}
	if found := s.doubled(); len(found) != 1 {
		t.Errorf("it is written down as %q", found)
	}
	other := &actor{stage: s.dir, instance: "web.2", mark: "id/web.2/1"}
	if code := other.lock(); code != 0 {
		t.Errorf("another instance: %d", code)
	}
	first.locked.Close()
	if code := second.lock(); code != 0 {
		t.Errorf("after the first: %d", code)
	}
}

// TestSeedDecides: the same seed varies and chooses the same.
func TestSeedDecides(t *testing.T) {
	course := func(seed uint64) (text string) {
		dice := rand.New(rand.NewPCG(seed, 0))
		for range 20 {
			roles := vary(dice, cast())
			text += choose(injections, dice).name + render(roles, "self", "stage")
		}
		return text
	}
	if first, again := course(1), course(1); first != again || first == course(2) {
		t.Error("the course does not depend on the seed, or on more")
	}
}

// TestEveryInjectionCanCome: no weight is 0, no name twice.
func TestEveryInjectionCanCome(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range injections {
		if i.weight <= 0 || seen[i.name] || i.run == nil {
			t.Errorf("%+v", i)
		}
		seen[i.name] = true
	}
}
