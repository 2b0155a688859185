package engine

import (
	"context"
	"fmt"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/evidence"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/unit"
)

// This file: from what the judge says to the first signal. Late threads are looked at and evidence is taken at the edge;
// right before the first signal the signs of life are read once more.

// examineFor bounds the taking of evidence; the unit goes on without it a little later.
const examineFor = 450 * time.Millisecond

// heed does what a watch asks for.
func (e *Engine) heed(in *inst, what judge.What) {
	e.readNext(in, what.At)
	if len(what.News) > 0 {
		e.tellNews(in, what.News)
	}
	if len(what.Look) > 0 {
		e.look(in, what.Look)
	}
	if what.Verdict != nil {
		e.condemn(in, what.Verdict)
	}
}

// look has the edge look at the threads of late slots.
func (e *Engine) look(in *inst, refs []judge.Ref) {
	w, gen := in.pulse.watch, in.u.Gen
	in.pulse.looking = true
	r := evidence.LookRequest{Main: in.u.Pid, Start: in.start}
	for _, ref := range refs {
		r.Tids = append(r.Tids, ref.Tid)
	}
	refs = append([]judge.Ref(nil), refs...)
	go func() {
		seen := evidence.Look(r)
		e.post(func() {
			if in.pulse.watch != w || in.u.Gen != gen {
				return
			}
			in.pulse.looking = false
			if !condemnable(in.u.Phase) {
				return
			}
			slots, broken := e.slots(in)
			e.heed(in, w.Looked(e.now, e.naming(in, slots), broken, e.looks(in, refs, seen)))
		})
	}()
}

// looks are what the edge saw, in the judge's words.
func (e *Engine) looks(in *inst, refs []judge.Ref, seen []evidence.LookedAt) []judge.Look {
	blocked := false
	if st := in.streams[in.u.Gen]; st != nil {
		blocked = st.Stalled() > 0
	}
	list := make([]judge.Look, 0, len(refs))
	for i, ref := range refs {
		if i >= len(seen) {
			break
		}
		s := seen[i]
		list = append(list, judge.Look{Source: ref.Source, Index: ref.Index, At: unit.Time(s.At), Gone: s.Gone, State: s.State, Traced: s.Traced,
			Frozen: s.Frozen, InLog: s.PipeWrite && blocked, Waited: s.Waited, Ran: s.Ran, IO: s.IO, Tight: s.Tight})
	}
	return list
}

var newsKinds = map[judge.NewsKind]string{judge.LateNews: "late", judge.HeldNews: "held", judge.CrowdNews: "held", judge.BrakeNews: "held",
	judge.ExcusedNews: "held", judge.LostNews: "pulse", judge.OddNews: "pulse", judge.BrokenNews: "pulse"}

// tellNews makes events of what a watch found.
func (e *Engine) tellNews(in *inst, news []judge.News) {
	for _, n := range news {
		named := e.naming(in, []judge.Slot{n.Slot})[0]
		text := newsPhrase(n, named)
		e.event(event{kind: newsKinds[n.Kind], in: in, text: text})
		e.log.Warn(text, "unit", in.name)
	}
	e.touch(in)
}

// newsPhrase says what happened to a pulse.
func newsPhrase(n judge.News, s judge.Slot) string {
	what := pulsePhrase(s)
	switch n.Kind {
	case judge.LateNews:
		return what + " was late, and beat again before anything was done"
	case judge.HeldNews:
		return what + " is late, but " + n.Text + ": held"
	case judge.CrowdNews:
		return what + " is late, and so are most others while the machine is under pressure: held"
	case judge.BrakeNews:
		if n.Text != "" {
			what = n.Text
		} else {
			what += " is late"
		}
		return what + ", and too many were killed in this minute: waiting its turn (kill_brake)"
	case judge.ExcusedNews:
		return what + " is late and excused: " + n.Text
	case judge.LostNews:
		return what + " is lost: its thread ended without leaving"
	case judge.BrokenNews:
		return "its pulse page cannot be read: " + n.Text
	}
	return what + ": " + n.Text
}

// pulsePhrase names a slot for people.
func pulsePhrase(s judge.Slot) string {
	switch s.Source {
	case judge.Watchdog:
		return "its watchdog"
	case judge.Output:
		return "its output"
	case judge.Table:
		return fmt.Sprintf("its entry %q in an old table", s.Name)
	}
	if s.Name == "" {
		return fmt.Sprintf("its pulse in slot %d", s.Index)
	}
	return fmt.Sprintf("its pulse %q", s.Name)
}

// condemn begins what follows from a verdict.
func (e *Engine) condemn(in *inst, v *judge.Verdict) {
	kind := unit.Hung
	if v.Kind == judge.Failing {
		kind = unit.ProbeFailed
	}
	in.verdict = e.verdict(in, v)
	in.evidence = nil
	gen := in.u.Gen
	e.step(in, unit.Event{Kind: kind, Gen: gen})
	if in.u.Phase != unit.Examining {
		return
	}
	text := verdictPhrase(in.verdict)
	cause := api.CauseHang
	if kind == unit.ProbeFailed {
		cause = api.CauseCheck
	}
	e.event(event{kind: api.KindHang, in: in, text: text, more: func(a *api.Event) { a.Cause = cause }})
	e.log.Warn("hang", "unit", in.name, "pid", in.u.Pid, "verdict", text)
}

// takeEvidence has the edge look at a hanging instance before it is touched.
func (e *Engine) takeEvidence(in *inst, gen uint64) {
	r := evidence.Request{Main: in.u.Pid, Start: in.start}
	if v := in.verdict; v != nil {
		for _, s := range v.Slots {
			if s.Tid != 0 && (s.Why != "" || s.Slot == v.Slot) {
				r.Late = append(r.Late, evidence.LateThread{Tid: s.Tid, Pulse: s.Pulse})
			}
		}
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), examineFor)
		defer cancel()
		seen := evidence.Take(ctx, r)
		e.post(func() {
			if in.u.Gen != gen || in.u.Phase != unit.Examining {
				return
			}
			in.evidence = seen
			e.whenHeard(in, func() {
				if in.u.Gen == gen && in.u.Phase == unit.Examining && e.stands(in) {
					e.step(in, unit.Event{Kind: unit.EvidenceTaken, Gen: gen})
				}
			})
		})
	}()
}

// whenHeard has the loop run f when all that is in the notify socket of an instance now has been heard: a sign of life that
// was sent in time counts, however late it is read.
func (e *Engine) whenHeard(in *inst, f func()) {
	if in.hears == nil {
		f()
		return
	}
	in.hears.Drained(func() { e.post(f) })
}

// stands reads the signs of life of an examined instance once more, and says whether the verdict stands. If not, the unit
// goes on as if there had been none.
func (e *Engine) stands(in *inst) bool {
	w := in.pulse.watch
	if w == nil || in.u.Reason != unit.Hang && in.u.Reason != unit.Probe {
		return true
	}
	if in.verdict != nil && in.verdict.Kind == verdictKinds[judge.Triggered] { // also when the judge that said so is no more
		return true
	}
	slots, broken := e.slots(in)
	still, what := w.Confirm(e.now, e.naming(in, slots), broken)
	if !still {
		in.verdict, in.evidence = nil, nil
		e.step(in, unit.Event{Kind: unit.Recovered, Gen: in.u.Gen})
	}
	e.heed(in, what)
	return still
}

var verdictKinds = map[judge.Kind]string{judge.Silent: "pulse", judge.Stuck: "progress", judge.TooLong: "paused", judge.Missing: "required",
	judge.Lost: "lost", judge.Broken: "broken", judge.Triggered: "trigger", judge.Failing: "check"}

var sourceNames = map[judge.Source]string{judge.Page: "page", judge.Watchdog: "watchdog", judge.Output: "silence", judge.Table: "table"}

// verdict is the judge's word as it is stored.
func (e *Engine) verdict(in *inst, v *judge.Verdict) *api.Verdict {
	a := &api.Verdict{Kind: verdictKinds[v.Kind], Slot: -1, SilentMS: ms(v.Silence), LimitMS: ms(v.Limit), Message: v.Message, Failures: v.Failures,
		Fine: v.Fine, Late: v.Late, FoundNS: int64(e.now), HeldMS: ms(v.Held), Slots: e.standings(in)}
	switch v.Kind {
	case judge.Silent, judge.Stuck, judge.TooLong, judge.Lost:
		s := v.Slot
		if s.Source == judge.Page {
			s = e.naming(in, []judge.Slot{s})[0]
			a.Slot = s.Index
		} else if v.Kind == judge.Silent {
			a.Kind = sourceNames[s.Source]
		}
		a.Pulse, a.Tid, a.Note = s.Name, s.Tid, s.Note
	case judge.Failing:
		a.Pulse = v.Check
	}
	return a
}

// verdictPhrase says in a few words what an instance was condemned for.
func verdictPhrase(v *api.Verdict) string {
	what := fmt.Sprintf("pulse %q", v.Pulse)
	if v.Pulse == "" {
		what = fmt.Sprintf("the pulse in slot %d", v.Slot)
	}
	silent, limit := short(span(v.SilentMS)), short(span(v.LimitMS))
	switch v.Kind {
	case "progress":
		return fmt.Sprintf("%s made no progress for %s (limit %s)", what, silent, limit)
	case "paused":
		return fmt.Sprintf("%s was paused for %s (limit %s)", what, silent, limit)
	case "required":
		return "no pulse came up in time"
	case "lost":
		return "the thread of " + what + " ended without leaving"
	case "broken":
		return "its pulse page is broken: " + v.Message
	case "watchdog":
		return fmt.Sprintf("no watchdog message for %s (limit %s)", silent, limit)
	case "trigger":
		return "it triggered its own watchdog"
	case "silence":
		return fmt.Sprintf("no output for %s (limit %s)", silent, limit)
	case "check":
		return fmt.Sprintf("check %s failed %d times: %s", v.Pulse, v.Failures, v.Message)
	case "table":
		return fmt.Sprintf("entry %q of an old table was silent for %s (limit %s)", v.Pulse, silent, limit)
	}
	return fmt.Sprintf("%s was silent for %s (limit %s)", what, silent, limit)
}

// standings are all signs of life of an instance as clients see them.
func (e *Engine) standings(in *inst) []api.PulseSlot {
	w := in.pulse.watch
	if w == nil {
		return nil
	}
	var list []api.PulseSlot
	for _, s := range w.Standings(e.now) {
		if s.Slot.Source == judge.Page {
			s.Slot = e.naming(in, []judge.Slot{s.Slot})[0]
		}
		index := -1
		switch s.Slot.Source {
		case judge.Page:
			index = s.Slot.Index
		case judge.Table:
			index = entryIndex(s.Slot)
		}
		list = append(list, api.PulseSlot{Name: in.name, Source: sourceNames[s.Slot.Source], Slot: index, Pulse: s.Slot.Name, State: s.State,
			Tid: s.Slot.Tid, AgeMS: ms(s.Age), LimitMS: ms(s.Limit), Count: s.Slot.Count, Rate: s.Rate, Progress: s.Slot.Progress, Note: s.Slot.Note,
			Late: s.Late, Why: s.Why})
	}
	return list
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func span(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
