package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/unit"
)

// keepEvents is how many events are kept for readers that come later.
const keepEvents = 4096

// reserve is how many event numbers are taken at once: so that numbers never go back, the first of each batch is stored
// in the daemon's record before any is given out.
const reserve = 1024

// events is the ring of the last events and those who read along.
type events struct {
	ring    []api.Event
	next    uint64 // number of the next event
	ceiling uint64 // numbers below it are reserved
	readers map[chan api.Event]bool
}

func (ev *events) start(from uint64) {
	ev.next, ev.ceiling = from+1, from
	ev.readers = map[chan api.Event]bool{}
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
}

// event gives out one event.
func (e *Engine) event(x event) {
	ev := &e.events
	a := api.Event{Seq: ev.next, Time: e.wall, MonoNS: int64(e.now), Kind: x.kind, From: x.from, To: x.to, Message: x.text}
	if x.in != nil {
		a.Name = x.in.name
		a.Generation = cmp.Or(x.gen, x.in.u.Gen)
		a.Pid = cmp.Or(x.pid, x.in.u.Pid)
	}
	ev.next++
	if ev.next > ev.ceiling {
		ev.ceiling = ev.next + reserve
		e.daemon.Seq = ev.ceiling
		e.saveDaemon()
	}
	if len(ev.ring) == keepEvents {
		copy(ev.ring, ev.ring[keepEvents/4:])
		ev.ring = ev.ring[:keepEvents-keepEvents/4]
	}
	ev.ring = append(ev.ring, a)
	for r := range ev.readers {
		select {
		case r <- a:
		default: // it finds the gap itself: numbers are missing
		}
	}
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
	if now.state == api.Starting && was.state == api.Running && in.u.Last.Gen == was.gen {
		text = "again: " + endPhrase(in.u.Last) // it came back so fast that nobody saw it gone
	}
	e.event(event{kind: "state", in: in, from: was.state, to: now.state, text: text})
}

// Events calls emit with each event above since, then with each new one if follow.
func (e *Engine) Events(ctx context.Context, since uint64, follow bool, emit func(api.Event) error) error {
	reader := make(chan api.Event, 256)
	var past []api.Event
	err := e.do(ctx, func() {
		for _, a := range e.events.ring {
			if a.Seq > since {
				past = append(past, a)
			}
		}
		if follow {
			e.events.readers[reader] = true
		}
	})
	if err != nil {
		return err
	}
	if follow {
		defer e.post(func() { delete(e.events.readers, reader) })
	}
	last := since
	send := func(a api.Event) error {
		if last != 0 && a.Seq > last+1 {
			if err := emit(api.Event{Seq: a.Seq - 1, Time: a.Time, Kind: "gap", Message: "events are missing here"}); err != nil {
				return err
			}
		}
		last = a.Seq
		return emit(a)
	}
	for _, a := range past {
		if err := send(a); err != nil {
			return err
		}
	}
	for follow {
		select {
		case a := <-reader:
			if err := send(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-e.loop:
			return errors.New("the engine is leaving")
		}
	}
	return nil
}

// logTrouble makes an event of a log file that cannot be written, and of one that can again.
func (e *Engine) logTrouble(name string, problem error) {
	e.post(func() {
		text := "its log is written again"
		if problem != nil {
			text = "its log cannot be written, it waits: " + problem.Error()
			e.log.Error("log", "unit", name, "error", problem)
		}
		e.event(event{kind: "log", in: e.insts[name], text: text})
	})
}

// sinceBoot converts a moment on the monotonic clock to wall time.
func (e *Engine) wallOf(t unit.Time) time.Time { return e.wall.Add(t.Sub(e.now)) }
