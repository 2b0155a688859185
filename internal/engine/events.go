package engine

import (
	"cmp"
	"errors"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/unit"
)

// keepEvents is how many events are kept for readers that come later.
const keepEvents = 4096

// reserve is how many event numbers are taken at once where there is no mark of the last one: so that numbers never go
// back, the first of each batch is stored in the daemon's record before any is given out.
const reserve = 1024

// events is the ring of the last events and those who read along.
type events struct {
	ring    []api.Event
	next    uint64 // number of the next event
	ceiling uint64 // numbers below it are reserved
	boot    string
	readers map[chan api.Event]bool
}

// start has numbers go on above given; those up to kept are reserved.
func (ev *events) start(given, kept uint64) {
	ev.next, ev.ceiling = given+1, kept
	ev.readers = map[chan api.Event]bool{}
	ev.boot = bootID()
}

// An event is what the loop says of something; the rest is filled in.
type event struct {
	kind string
	in   *inst
	from api.State
	to   api.State
	pid  int    // 0: the instance's
	gen  uint64 // 0: the instance's
	text string
	more func(*api.Event) // fills in what only some kinds have; nil: nothing
}

// event gives out one event, and returns its number.
func (e *Engine) event(x event) uint64 {
	ev := &e.events
	a := api.Event{Seq: ev.next, Time: e.wall, MonoNS: int64(e.now), Kind: x.kind, From: x.from, To: x.to, Message: x.text}
	if x.in != nil {
		a.Name = x.in.name
		a.Generation = cmp.Or(x.gen, x.in.u.Gen)
		a.Pid = cmp.Or(x.pid, x.in.u.Pid)
	}
	if x.more != nil {
		x.more(&a)
	}
	ev.next++
	if ev.next > ev.ceiling {
		ev.ceiling = ev.next + reserve
		e.daemon.Seq = ev.ceiling
		e.saveDaemon()
	}
	e.inscribe(a) // first: what somebody was told is never told under another event's number
	ev.keep(a)
	for r := range ev.readers {
		select {
		case r <- a:
		default: // it finds the gap itself: numbers are missing
		}
	}
	if e.diary.told > checkpointBytes {
		e.checkpoint()
	}
	return a.Seq
}

// keep puts an event into the ring.
func (ev *events) keep(a api.Event) {
	if len(ev.ring) == keepEvents {
		copy(ev.ring, ev.ring[keepEvents/4:])
		clear(ev.ring[keepEvents-keepEvents/4:])
		ev.ring = ev.ring[:keepEvents-keepEvents/4]
	}
	ev.ring = append(ev.ring, a)
}

// shown is what readers were last told of an instance.
type shown struct {
	state api.State
	gen   uint64
	phase unit.Phase
}

// showChange gives out an event when what an operator sees has changed.
func (e *Engine) showChange(in *inst) {
	now := shown{state: state(in), gen: in.u.Gen, phase: in.u.Phase}
	was := in.shown
	if was.state == "" {
		was.state = api.Stopped
	}
	if now == in.shown || now.state == was.state && now.phase == was.phase && now.gen == was.gen {
		return
	}
	in.shown = now
	if now.state == was.state && now.gen == was.gen {
		return
	}
	text := e.why(in)
	if now.state == api.Stopping && in.verdict != nil && now.phase == unit.Stopping && (in.u.Reason == unit.Hang || in.u.Reason == unit.Probe) {
		text = reasonPhrase(in.u.Reason) // the event of the hang has just told how it was found
	}
	if now.state == api.Waiting && in.svc.spec.Job != nil && now.phase != unit.Blocked {
		text = e.nextPhrase(in) // how the run ended, its own event has just told
	}
	if now.state == api.Starting && was.state == api.Running && in.u.Last.Gen == was.gen {
		text = "again: " + endPhrase(in.u.Last) // it came back so fast that nobody saw it gone
	}
	e.event(event{kind: api.KindState, in: in, from: was.state, to: now.state, text: text, more: in.wanted})
}

// wanted notes of an event whether its instance is to be up, and whether it is to stay so.
func (in *inst) wanted(a *api.Event) {
	a.Wanted, a.Job = in.u.Want != unit.Down, in.svc.spec.Job != nil
}

// logTrouble makes an event of a log file that cannot be written, and of one that can again.
func (e *Engine) logTrouble(name string, problem error) {
	e.post(func() {
		text := "its log is written again"
		if problem != nil {
			text = "its log cannot be written, it waits: " + problem.Error()
			if old := (*capture.OldFiles)(nil); errors.As(problem, &old) {
				text = "its old log files: " + problem.Error()
			}
			e.log.Error("log", "unit", name, "error", problem)
		}
		e.event(event{kind: "log", in: e.insts[name], text: text})
	})
}

// sinceBoot converts a moment on the monotonic clock to wall time.
func (e *Engine) wallOf(t unit.Time) time.Time { return e.wall.Add(t.Sub(e.now)) }
