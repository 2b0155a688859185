package engine

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A stage is an engine whose loop does not run, with clocks that the test moves and one service with a pulse that the test
// writes.
type stage struct {
	*Engine
	mono unit.Time
	real time.Time
	web  *inst
}

func newStage(t *testing.T) *stage {
	t.Helper()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); unix.Close(other) })
	s := &stage{mono: 1e12, real: time.Unix(1e9, 0)}
	s.Engine = newEngine(Options{Conn: conn, Log: slog.New(slog.DiscardHandler), Now: func() (unit.Time, time.Time) { return s.mono, s.real }})
	close(s.loop) // what the edge posts is dropped: the test acts for it
	web := aService("web", func(s *spec.Service) {
		s.Pulse = &spec.Pulse{Limit: time.Second, LimitMax: 10 * time.Second, ExtendMax: 10 * time.Second, Lost: spec.LostMark, Slots: 31}
	})
	s.cfg, s.daemon = &spec.Config{Services: []*spec.Service{web}}, daemonRecord{Mode: running}
	s.events.start(0, 0)
	s.build(s.cfg)
	s.web = s.insts["web"]
	s.web.u = unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 7, Pid: 70, Started: s.mono, Since: s.mono, WasReady: true, DepsMet: true}
	s.web.pulse.muted = []judge.Slot{{Index: 1, State: judge.Busy, Beat: s.mono, Count: 1, Name: "indexer"}}
	s.initGraph()
	s.watchAll()
	return s
}

// pass lets d go by on the monotonic clock while the wall clock jumps, and does what is due.
func (s *stage) pass(d, jump time.Duration) {
	s.mono, s.real = s.mono.Add(d), s.real.Add(jump)
	s.tick()
	s.dueNow()
}

func (s *stage) beat() {
	m := &s.web.pulse.muted[0]
	m.Beat, m.Count = s.mono, m.Count+1
}

// TestWallClockIsNoBeat: whatever the clock on the wall does, who beats lives, and who does not is late at its limit.
func TestWallClockIsNoBeat(t *testing.T) {
	s := newStage(t)
	const year = 365 * 24 * time.Hour
	for i, jump := range []time.Duration{0, year, -2 * year, 10 * year, -time.Hour, time.Millisecond, -9 * year} {
		for range 20 {
			s.pass(100*time.Millisecond, jump)
			if s.web.pulse.looking || s.web.u.Phase != unit.Ready {
				t.Fatalf("after jump %d (%v) it is late: %+v", i, jump, s.web.u)
			}
			s.beat()
		}
	}
	last := s.mono
	for !s.web.pulse.looking && s.mono.Sub(last) < time.Minute {
		s.pass(10*time.Millisecond, -year/100)
	}
	if took := s.mono.Sub(last); took < time.Second || took > 1100*time.Millisecond {
		t.Errorf("late after %v, the limit is 1s", took)
	}
}

// TestStoppedEngineBlamesNobody: what it slept through is no silence of others.
func TestStoppedEngineBlamesNobody(t *testing.T) {
	s := newStage(t)
	for range 5 {
		s.pass(100*time.Millisecond, 0)
	}
	s.pass(time.Hour, 0)
	if s.web.pulse.looking || s.web.u.Phase != unit.Ready {
		t.Errorf("it is late: %+v", s.web.u)
	}
}

// TestVerdictFallsAtTheLastMoment: a pulse that beats while evidence is taken keeps its process; one that does not gets the
// stop signal, also when the evidence does not come.
func TestVerdictFallsAtTheLastMoment(t *testing.T) {
	for _, beats := range []bool{true, false} {
		s := newStage(t)
		for s.web.pulse.readAt != 0 && s.web.pulse.readAt > s.mono {
			s.pass(50*time.Millisecond, 0)
		}
		slots, _ := s.slots(s.web)
		looks := []judge.Look{{Index: 1, At: s.mono, State: 'S'}}
		s.web.pulse.looking = false
		s.heed(s.web, s.web.pulse.watch.Looked(s.mono, slots, "", looks))
		if s.web.u.Phase != unit.Examining || s.web.verdict == nil || s.web.verdict.Pulse != "indexer" {
			t.Fatalf("it is %+v, verdict %+v", s.web.u, s.web.verdict)
		}
		if beats {
			s.beat()
		}
		for range 12 {
			s.pass(50*time.Millisecond, 0) // the evidence takes too long
		}
		want, verdict := unit.Stopping, true
		if beats {
			want, verdict = unit.Ready, false
		}
		if s.web.u.Phase != want || (s.web.verdict != nil) != verdict {
			t.Errorf("beats %v: it is %+v, verdict %+v", beats, s.web.u, s.web.verdict)
		}
	}
}

// TestShorterLimitWaitsForTheNextStart: a process beats as often as it was told; a longer limit counts at once.
func TestShorterLimitWaitsForTheNextStart(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{200 * time.Millisecond: time.Second, 3 * time.Second: 3 * time.Second} {
		s := newStage(t)
		s.web.pulse.told = time.Second
		sp := *s.web.svc.spec.Pulse
		sp.Limit = limit
		s.web.svc.spec.Pulse = &sp
		s.rejudge(s.web)
		s.beat()
		last := s.mono
		s.read(s.web)
		for !s.web.pulse.looking && s.mono.Sub(last) < time.Minute {
			s.pass(10*time.Millisecond, 0)
		}
		if took := s.mono.Sub(last); took < want || took > want+100*time.Millisecond {
			t.Errorf("limit %v: late after %v, want %v", limit, took, want)
		}
	}
}

// TestHangIsToldOnce: one event says how a hang was found; those of the stop and of the exit do not say it again.
func TestHangIsToldOnce(t *testing.T) {
	s := newStage(t)
	s.web.shown = shown{state: api.Running, gen: 7, phase: unit.Ready}
	s.condemn(s.web, &judge.Verdict{Kind: judge.Silent, Slot: s.web.pulse.muted[0], Silence: 2 * time.Second, Limit: time.Second})
	s.step(s.web, unit.Event{Kind: unit.EvidenceTaken, Gen: 7})
	s.showChange(s.web)
	if err := s.fact(fact{m: &keeper.Message{Kind: keeper.Exited, Unit: "web", Gen: 7, Pid: 70, Exit: &keeper.Exit{At: int64(s.mono.Add(time.Second))}}}); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, ev := range s.events.ring {
		told = append(told, strings.TrimSpace(ev.Kind+" "+string(ev.To)+": "+ev.Message))
	}
	want := []string{`hang : pulse "indexer" was silent for 2s (limit 1s)`, "state stopping: it hangs", "exit : exit code 0 after 1s"}
	if !slices.Equal(told, want) {
		t.Errorf("it was told\n%q, want\n%q", told, want)
	}
}

// TestGivenUpIsKept: of ends that follow each other at once the first is kept, and the one after which it is given up.
func TestGivenUpIsKept(t *testing.T) {
	s := newStage(t)
	before := s.web.u
	die := func(phase unit.Phase) int {
		s.web.u.Phase, s.web.u.Pid, s.web.u.Delay = phase, 0, int64(time.Hour)
		s.web.u.Last = unit.End{Reason: unit.ExitCode, Code: 1, Gen: before.Gen, At: s.mono}
		s.generationEnded(s.web, before)
		return len(s.clerk.queue)
	}
	if first, second := die(unit.Backoff), die(unit.Backoff); first != 1 || second != 1 {
		t.Fatalf("%d and %d are kept", first, second)
	}
	if die(unit.Failed) != 2 {
		t.Fatal("the last end is not kept")
	}
	<-s.clerk.queue
	if a := (<-s.clerk.queue).incident; a.Skipped != 1 || a.DelayMS != -1 {
		t.Errorf("%+v", a)
	}
}

// TestHeldIsShown: who asks for the status of what is late and lives is told so.
func TestHeldIsShown(t *testing.T) {
	s := newStage(t)
	if a := s.instance(s.web); a.Why != "" || a.Pulse == nil {
		t.Fatalf("%+v", a)
	}
	for s.web.pulse.readAt != 0 && s.web.pulse.readAt > s.mono {
		s.pass(50*time.Millisecond, 0)
	}
	slots, _ := s.slots(s.web)
	s.web.pulse.looking = false
	s.heed(s.web, s.web.pulse.watch.Looked(s.mono, slots, "", []judge.Look{{Index: 1, At: s.mono, State: 't', Traced: true}}))
	if a := s.instance(s.web); a.Why != `"indexer" is late, and held: traced` || a.State != api.Running {
		t.Errorf("%+v, pulse %+v", a, a.Pulse)
	}
}
