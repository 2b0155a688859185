package engine

import (
	"encoding/json"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// nextEngine is a stage on which the engine before this one died over an instance in Examining, a moment ago. Its last beat was
// silent ago.
func nextEngine(t *testing.T, silent time.Duration, verdict string) *stage {
	t.Helper()
	s := newStage(t)
	s.unwatch(s.web)
	s.judge = judge.New(s.mono)
	s.judge.Lived(s.mono.Add(-10 * time.Millisecond))
	s.web.u.Phase, s.web.u.Reason = unit.Examining, unit.Hang
	s.web.u.Started, s.web.u.Since, s.web.u.Deadline = s.mono.Add(-time.Hour), s.mono.Add(-20*time.Millisecond), s.mono.Add(480*time.Millisecond)
	s.web.verdict = &api.Verdict{Kind: verdict}
	s.heap.set(s.web, s.web.u.Deadline)
	s.web.pulse.muted = []judge.Slot{{Index: 1, State: judge.Busy, Beat: s.mono.Add(-silent), Count: 1, Name: "indexer"}}
	s.watchAll()
	return s
}

// TestEngineDiesOverHang: the verdict of an engine that died while evidence was taken goes on where it is still true.
func TestEngineDiesOverHang(t *testing.T) {
	for _, c := range []struct {
		kind   string
		silent time.Duration
		want   unit.Phase
	}{
		{"pulse", 5 * time.Second, unit.Stopping},
		{"pulse", 100 * time.Millisecond, unit.Ready},
		{"trigger", 100 * time.Millisecond, unit.Stopping}, // it said so itself
	} {
		s := nextEngine(t, c.silent, c.kind)
		for range 6 {
			s.pass(100*time.Millisecond, 0)
			if c.want == unit.Ready {
				s.beat()
			}
		}
		if s.web.u.Phase != c.want || (s.web.verdict != nil) != (c.want == unit.Stopping) {
			t.Errorf("%s, silent for %v: it is %s, verdict %+v", c.kind, c.silent, s.web.u.Phase, s.web.verdict)
		}
	}
}

// TestJudgedAgainAfterWithdrawal: who was spared when the engine died over its verdict is judged from then on.
func TestJudgedAgainAfterWithdrawal(t *testing.T) {
	s := nextEngine(t, 100*time.Millisecond, "pulse")
	for s.web.u.Phase == unit.Examining {
		s.pass(100*time.Millisecond, 0)
		s.beat()
	}
	last := s.mono
	for !s.web.pulse.looking && s.mono.Sub(last) < time.Minute {
		s.pass(10*time.Millisecond, 0)
	}
	if took := s.mono.Sub(last); took < time.Second || took > 1200*time.Millisecond {
		t.Errorf("it is late after %v, the limit is 1s", took)
	}
}

// TestEngineDiesWithWatchdog: the next engine holds a process to the limit that it asked for itself, and goes on waiting for its
// datagrams.
func TestEngineDiesWithWatchdog(t *testing.T) {
	for _, c := range []struct {
		text  string
		pulse bool
		limit time.Duration
	}{
		{"WATCHDOG=1", true, time.Second},
		{"WATCHDOG_USEC=5000000\nWATCHDOG=1", true, 5 * time.Second},
		{"WATCHDOG_USEC=5000000", false, 5 * time.Second},
	} {
		start := func() *stage {
			s := newStage(t)
			s.web.pulse.muted = nil
			if !c.pulse {
				s.unwatch(s.web)
				s.web.svc.spec.Pulse = nil
			}
			return s
		}
		before := start()
		before.noted(before.web, own(c.text))
		if !before.web.noted {
			t.Errorf("%q: the keeper does not hear of it", c.text)
		}
		s := start()
		s.unwatch(s.web)
		s.restore(map[string]*rowIn{"web": {m: &keeper.Message{Gen: 7, Pid: 70, State: keeper.Alive}, record: recordOf(t, before.record(before.web)), known: true}})
		s.watchAll()
		last := s.mono
		for !s.web.pulse.looking && s.mono.Sub(last) < time.Minute {
			s.pass(10*time.Millisecond, 0)
		}
		if took := s.mono.Sub(last); took < c.limit || took > c.limit+200*time.Millisecond {
			t.Errorf("%q: it is late after %v", c.text, took)
		}
	}
}

// TestWatchdogEndsWithItsGeneration: what a process asked for is not for the next one, also when no engine saw it end.
func TestWatchdogEndsWithItsGeneration(t *testing.T) {
	e, in := heardBy(t, unit.Ready)
	e.restoreWatchdog(in, &record{Asked: time.Second, Beats: true})
	e.step(in, unit.Event{Kind: unit.Exited, Gen: 7, Pid: 70, Empty: true})
	if p := &in.pulse; p.asked != 0 || p.watchdog.State != judge.Free {
		t.Errorf("asked for %v, watchdog %+v", p.asked, p.watchdog)
	}
}

func recordOf(t *testing.T, data []byte) (r record) {
	t.Helper()
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestUnreadBeatCounts: a WATCHDOG=1 that stands in the socket, behind another datagram, when the evidence is complete is heard
// before the verdict is carried out.
func TestUnreadBeatCounts(t *testing.T) {
	e, in, socket, say := hearing(t)
	in.svc.spec.Pulse = &spec.Pulse{Limit: time.Second, LimitMax: time.Second}
	w := e.watch(in)
	e.noted(in, own("WATCHDOG=1"))
	e.now = e.now.Add(3 * time.Second)
	slots, _ := e.slots(in)
	w.Read(e.now, slots, "") // the test looks at its threads
	e.heed(in, w.Looked(e.now, slots, "", []judge.Look{{Source: judge.Watchdog, At: e.now, State: 'S'}}))
	if in.u.Phase != unit.Examining {
		t.Fatalf("it is %s", in.u.Phase)
	}
	say("STATUS=shining")
	say("WATCHDOG=1")
	e.takeNotify(in, socket, -1)
	status := <-e.requests // until it has run nothing more is read
	e.takeEvidence(in, 7)
	(<-e.requests)()
	status()
	for in.u.Phase == unit.Examining {
		(<-e.requests)()
	}
	if in.u.Phase != unit.Ready {
		t.Errorf("it is %s, verdict %+v", in.u.Phase, in.verdict)
	}
}
