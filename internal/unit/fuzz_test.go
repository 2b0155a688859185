package unit

import (
	"testing"
	"time"

	"example.com/stay/internal/spec"
)

// world plays keeper and kernel for a unit: it makes a process for each Spawn, kills it for a KillTree, and offers the
// events that such a world can bring, the impossible ones included.
type world struct {
	t       *testing.T
	u       Unit
	s       *spec.Service
	now     Time
	highest uint64 // generation
	live    bool   // a process of generation highest may exist
	told    bool   // its birth was told
	pid     int
	ended   bool // its main process has ended and that was told
}

func (w *world) step(ev Event) {
	before := w.u
	u, act := Step(w.u, "web", w.s, w.now, ev)
	if ev.Kind.outside() && ev.Gen != before.Gen && (u != before || act != (Action{})) {
		w.t.Fatalf("an event of generation %d changed a unit of %d: %+v", ev.Gen, before.Gen, ev)
	}
	w.u = u
	w.check(before, act, ev)
	switch act.Kind {
	case Spawn:
		w.highest, w.live, w.told, w.ended, w.pid = act.Gen, true, false, false, int(act.Gen)*10
	}
}

// check holds the invariants of the package comment.
func (w *world) check(before Unit, act Action, ev Event) {
	u := w.u
	switch {
	case u.Gen < before.Gen:
		w.t.Fatalf("%v: generation went from %d to %d", ev, before.Gen, u.Gen)
	case act.Kind == Spawn && w.live:
		w.t.Fatalf("%v: spawn of %d while %d may be alive: %+v", ev, act.Gen, w.highest, before)
	case act.Kind == Spawn && (act.Gen != u.Gen || u.Gen != before.Gen+1 || u.Phase != Spawning):
		w.t.Fatalf("%v: spawn without a new generation: %+v", ev, u)
	case act.Kind != NoAction && act.Gen != u.Gen:
		w.t.Fatalf("%v: %s is about another generation: %+v", ev, act.Kind, u)
	case act.Kind == Signal && (act.Signal <= 0 || !u.HasProcess()):
		w.t.Fatalf("%v: signal %d in %s", ev, act.Signal, u.Phase)
	case w.live && w.highest == u.Gen && !u.HasProcess():
		w.t.Fatalf("%v: %s was left for %s while a process may be alive", ev, before.Phase, u.Phase)
	case waits(u.Phase) && u.Deadline == 0:
		w.t.Fatalf("%v: %s has no deadline", ev, u.Phase)
	case u.Phase == Spawning && u.Want == Down && u.Reason == NoReason && !u.Held:
		w.t.Fatalf("%v: a spawn that nobody wants goes on: %+v", ev, u)
	case !u.HasProcess() && u.Pid != 0:
		w.t.Fatalf("%v: pid %d in %s", ev, u.Pid, u.Phase)
	case u.Held && (u.Want != Down || !u.HasProcess()):
		w.t.Fatalf("%v: held, but %+v", ev, u)
	case u.Phase >= phases || u.Reason >= reasons:
		w.t.Fatalf("%v: no such phase or reason: %+v", ev, u)
	case u.Want == Down && (u.Phase == Blocked || u.Phase == Backoff || u.Phase == Failed):
		w.t.Fatalf("%v: %s is not wanted", ev, u.Phase)
	case u.Delay < 0 || u.Delay > int64(w.s.Restart.MaxDelay)+int64(w.s.Restart.Delay) && (w.s.Job == nil || u.Delay != int64(w.s.Job.Every)):
		w.t.Fatalf("%v: delay %d", ev, u.Delay)
	}
}

func waits(p Phase) bool {
	switch p {
	case Spawning, Examining, Dumping, Stopping, Killing, Backoff:
		return true
	}
	return false
}

// truth tells the unit something that is so.
func (w *world) truth(b byte) {
	if !w.live {
		w.step(Event{Kind: TreeEmpty, Gen: w.highest})
		return
	}
	gen := w.highest
	switch {
	case !w.told && b%4 == 0:
		w.live = false
		w.step(Event{Kind: SpawnFailed, Gen: gen, End: End{Stage: "exec", Errno: 2}})
	case !w.told:
		w.told = true
		w.step(Event{Kind: Spawned, Gen: gen, Pid: w.pid})
	case !w.ended && b%3 == 0:
		w.ended, w.live = true, false
		w.step(Event{Kind: Exited, Gen: gen, Pid: w.pid, Empty: true, End: End{Reason: ExitCode, Code: int(b >> 6)}})
	case !w.ended && b%3 == 1:
		w.ended = true
		w.step(Event{Kind: Exited, Gen: gen, Pid: w.pid, End: End{Reason: Signalled, Signal: 9}})
	case !w.ended:
		w.pid++
		w.step(Event{Kind: MainMoved, Gen: gen, Pid: w.pid})
	default:
		w.live = false
		w.step(Event{Kind: TreeEmpty, Gen: gen})
	}
}

func FuzzStep(f *testing.F) {
	f.Add([]byte{0, 0, 1, 5, 200, 201, 8, 202, 255, 3})
	f.Add([]byte("start stop restart deps lost and so on, at random"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := service()
		if len(data) > 0 {
			s.Ready.When = []spec.ReadyWhen{spec.ReadyExec, spec.ReadyNotify, spec.ReadyAfter, spec.ReadyFD}[data[0]%4]
			s.Restart.When = []spec.RestartWhen{spec.RestartAlways, spec.RestartOnFailure, spec.RestartNever}[data[0]/4%3]
			s.Restart.GiveUp = int(data[0] / 12 % 3)
			s.Hang.Dump = spec.Signal(data[0] / 36 % 2 * 3)
			s.StartTimeout = time.Duration(data[0]/72%2) * time.Minute
		}
		if len(data) > 1 {
			s.Job = []*spec.Job{nil, {}, {Every: time.Hour}, {Cron: "@daily", Timeout: time.Second}}[data[1]%4]
		}
		w := &world{t: t, s: s, now: start, u: Unit{Since: start}}
		for i, b := range data {
			w.now = w.now.Add(time.Duration(b) * 7 * time.Millisecond)
			switch {
			case b < 100: // anything at all, of any generation, but no lie about the death of a live process
				w.anything(b, data[i/2])
			case b < 200:
				w.truth(b)
			case b < 230:
				w.step(Event{Kind: Deadline})
			default:
				w.now = w.now.Add(time.Minute)
				w.step(Event{Kind: Deadline})
			}
		}
		w.comesDown()
	})
}

func (w *world) anything(b, c byte) {
	kind := EventKind(int(b) % int(eventKinds))
	gen := w.u.Gen - uint64(c%3) // 0…2 generations ago
	ev := Event{Kind: kind, Gen: gen, For: time.Duration(c) * time.Minute, Pid: int(c), Once: c&1 == 1, Later: c&8 == 8, Held: c&2 == 2, Now: c&4 == 4, Reason: Reason(c % byte(reasons))}
	switch kind {
	case Spawned, SpawnFailed, Exited, TreeEmpty, MainMoved:
		if gen == w.u.Gen && w.live { // the keeper tells no lies: truth says these
			return
		}
	}
	w.step(ev)
}

// comesDown checks that a unit that is not wanted any more comes to rest within bounded time, in a world that kills what
// is to be killed.
func (w *world) comesDown() {
	w.step(Event{Kind: Stop})
	for range 10 {
		if w.u.Phase == Idle {
			return
		}
		if w.u.Phase == Killing {
			w.told = true
			w.truth(0)
			w.truth(0)
			w.truth(0)
			continue
		}
		w.now = max(w.now, w.u.Deadline)
		w.step(Event{Kind: Deadline})
	}
	if w.u.Phase != Idle {
		w.t.Fatalf("does not come down: %+v", w.u)
	}
}

func TestStepHasNoMemory(t *testing.T) {
	u := in(Ready, start)
	ev := Event{Kind: Exited, Gen: 7, Pid: 70, Empty: true, End: End{Reason: ExitCode, Code: 1}}
	a, actA := Step(u, "web", service(), start.Add(time.Second), ev)
	b, actB := Step(u, "web", service(), start.Add(time.Second), ev)
	if a != b || actA != actB {
		t.Errorf("the same event led to %+v and %+v", a, b)
	}
	if a.Last.Uptime != int64(time.Second) || a.Last.Gen != 7 {
		t.Errorf("last end is %+v", a.Last)
	}
}

func BenchmarkStep(b *testing.B) {
	u, s := in(Ready, start), service()
	ev := Event{Kind: Exited, Gen: 7, Pid: 70, Empty: true, End: End{Reason: ExitCode, Code: 1}}
	b.ReportAllocs()
	for b.Loop() {
		Step(u, "web", s, start, ev)
	}
}
