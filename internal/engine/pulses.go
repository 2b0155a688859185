package engine

import (
	"container/heap"
	"os"
	"time"

	"example.com/stay/internal/judge"
	"example.com/stay/internal/page"
	"example.com/stay/internal/unit"
)

// This file: signs of life, on their way from pages, datagrams, output and tables to the judge. All of it runs on the loop.

// pulsePage is the name of the descriptor of a generation's page.
const pulsePage = "page"

// A pulse is what an instance has of signs of life.
type pulse struct {
	watch     *judge.Watch  // nil: nothing is judged
	gen       uint64        // that watch is about
	told      time.Duration // the limit that its process was told; 0: none
	page      *os.File      // of generation pageGen; nil: none
	pageGen   uint64
	slots     int           // of page
	watchdog  judge.Slot    // the last WATCHDOG=1; State Free: none came
	asked     time.Duration // the limit of WATCHDOG_USEC; 0: none
	table     []judge.Slot  // entries of old tables
	muted     []judge.Slot  // what is shown to the judge instead of what there is: a drill
	readAt    unit.Time     // when to read again; 0: no need
	heapIndex int
	looking   bool // the edge looks at late threads
}

// rule is what the configuration says about the signs of life of an instance. Its process was told a limit when it was
// started, and may beat as seldom as that allows: a shorter one counts from the next start on.
func (in *inst) rule() judge.Rule {
	sp := in.svc.spec
	r := judge.Rule{Pulse: sp.Pulse, Silence: sp.Silence, StartTimeout: sp.StartTimeout}
	if sp.Pulse != nil && sp.Pulse.Required && in.pulse.page == nil && in.pulse.muted == nil { // it was lost: nobody can say what is on it
		p := *sp.Pulse
		p.Required = false
		r.Pulse = &p
	}
	if told := in.pulse.told; sp.Pulse != nil && sp.Pulse.Limit < told {
		p := *r.Pulse
		p.Limit, p.LimitMax = told, max(p.LimitMax, told)
		r.Pulse = &p
	}
	return r
}

// judged says whether a process in this phase is held to its signs of life.
func judged(p unit.Phase) bool {
	switch p {
	case unit.Starting, unit.Ready, unit.Examining, unit.Dumping:
		return true
	}
	return false
}

// condemnable says whether a verdict leads to anything in this phase: who is being examined has one already.
func condemnable(p unit.Phase) bool { return p == unit.Starting || p == unit.Ready }

// followPulse keeps the watch in step with the unit.
func (e *Engine) followPulse(in *inst, before unit.Unit) {
	u := in.u
	if p := &in.pulse; (p.watch != nil || p.asked > 0 || p.watchdog.State != judge.Free) && (!judged(u.Phase) || u.Gen != p.gen) {
		e.unwatch(in)
	}
	if !judged(u.Phase) {
		return
	}
	sp := in.svc.spec
	if in.pulse.watch == nil && (sp.Pulse != nil || sp.Silence > 0 || in.pulse.asked > 0) {
		e.watch(in)
	}
	if w := in.pulse.watch; w != nil && u.Phase == unit.Ready && (before.Phase != unit.Ready || before.Gen != u.Gen) {
		if before.Phase != unit.Examining || !w.IsReady() {
			w.Ready(e.now)
		}
		e.read(in)
	}
}

// watch begins to judge the generation that runs.
func (e *Engine) watch(in *inst) *judge.Watch {
	p := &in.pulse
	if p.watch == nil {
		p.watch, p.gen = e.judge.Watch(in.rule(), in.u.Started), in.u.Gen
		switch {
		case in.u.Phase == unit.Ready:
			p.watch.Ready(in.u.Since)
		case in.u.WasReady: // it was examined when the engine before this one died
			p.watch.Ready(in.u.Started)
		}
		if p.asked > 0 {
			p.watch.SetWatchdog(e.now, p.asked)
		}
		e.read(in)
	}
	return p.watch
}

// watchAll begins to judge what the engine before this one has left.
func (e *Engine) watchAll() {
	for _, in := range e.insts {
		e.followPulse(in, in.u)
		if in.u.Phase == unit.Examining { // whoever looked at it has died: the verdict goes on, or falls, when its time is over
			e.watch(in)
		}
	}
}

// unwatch ends the judgement of a generation.
func (e *Engine) unwatch(in *inst) {
	p := &in.pulse
	if p.watch != nil {
		p.watch.Close()
	}
	p.asked = 0
	p.watch, p.watchdog, p.table, p.muted, p.looking = nil, judge.Slot{}, nil, nil, false
	e.readNext(in, 0)
}

// rejudge goes on with another configuration.
func (e *Engine) rejudge(in *inst) {
	if w := in.pulse.watch; w != nil {
		w.SetRule(in.rule())
		e.read(in)
	} else if sp := in.svc.spec; judged(in.u.Phase) && (sp.Pulse != nil || sp.Silence > 0) {
		e.watch(in)
	}
}

func (e *Engine) readNext(in *inst, at unit.Time) {
	in.pulse.readAt = at
	e.readings.set(in, at)
}

// readDue reads every instance whose moment has come.
func (e *Engine) readDue() {
	for at := e.readings.next(); at != 0 && at <= e.now; at = e.readings.next() {
		in := e.readings.list[0]
		heap.Pop(&e.readings)
		in.pulse.readAt = 0
		e.read(in)
	}
}

// read shows the judge what the instance has.
func (e *Engine) read(in *inst) {
	p := &in.pulse
	if p.watch == nil || p.looking || !condemnable(in.u.Phase) {
		return
	}
	slots, broken := e.slots(in)
	e.heed(in, p.watch.Read(e.now, slots, broken))
}

// slots are all signs of life of an instance, valid until the next call, and what is wrong with its page. Names and notes
// of the page are left out: naming adds them where somebody wants to read them.
func (e *Engine) slots(in *inst) (list []judge.Slot, broken string) {
	p := &in.pulse
	if p.muted != nil {
		return append(e.slotList[:0], p.muted...), ""
	}
	list = e.slotList[:0]
	if p.page != nil && p.pageGen == in.u.Gen {
		slots, err := page.Read(p.page, p.slots, &e.pageBuf)
		if err != nil {
			broken = err.Error()
		}
		for i := range slots {
			s := &slots[i]
			list = append(list, judge.Slot{Source: judge.Page, Index: s.Index, State: judge.State(s.State), Beat: unit.Time(s.Beat), Count: s.Count,
				Limit: time.Duration(s.Limit), Tid: s.Tid, Progress: s.Progress})
		}
	}
	if p.watchdog.State != judge.Free {
		list = append(list, p.watchdog)
	}
	if in.svc.spec.Silence > 0 {
		list = append(list, judge.Slot{Source: judge.Output, State: judge.Busy, Name: "output", Beat: e.lastOutput(in)})
	}
	list = append(list, p.table...)
	e.slotList = list[:0]
	return list, broken
}

// naming adds name and note to slots that were just read: the page's text is not worth a look most of the time.
func (e *Engine) naming(in *inst, list []judge.Slot) []judge.Slot {
	if in.pulse.muted != nil || in.pulse.page == nil {
		return list
	}
	slots, _ := page.Read(in.pulse.page, in.pulse.slots, &e.pageBuf)
	for i := range slots {
		for k := range list {
			if s := &list[k]; s.Source == judge.Page && s.Index == slots[i].Index {
				s.Name, s.Note = slots[i].Name(), slots[i].Note()
			}
		}
	}
	return list
}

// lastOutput is when the generation that runs last wrote something; 0: never.
func (e *Engine) lastOutput(in *inst) unit.Time {
	st := in.streams[in.u.Gen]
	switch {
	case st == nil:
		return 0
	case st.Unread() > 0: // written, and not yet read: the disk is slow, or nobody came to it
		return e.now
	}
	return unit.Time(st.Last())
}

// takePage makes f the pulse page of generation gen.
func (e *Engine) takePage(in *inst, gen uint64, f *os.File) {
	e.closePage(in)
	in.pulse.page, in.pulse.pageGen, in.pulse.slots = f, gen, 0
	if sp := in.svc.spec.Pulse; sp != nil {
		in.pulse.slots = slotsOf(f, sp.Slots)
	}
}

// slotsOf is how many slots to read of a page. It may have been made for fewer than are configured by now.
func slotsOf(f *os.File, configured int) int {
	size, err := page.SizeOf(f)
	for n := 1; err == nil && n < configured; n++ {
		if page.SizeMade(n+1).Length > size.Length {
			return n
		}
	}
	return configured
}

func (e *Engine) closePage(in *inst) {
	if in.pulse.page != nil {
		in.pulse.page.Close()
		in.pulse.page = nil
	}
}

// beatNoted takes WATCHDOG=1.
func (e *Engine) beatNoted(in *inst) {
	if in.svc.spec.Pulse == nil && in.pulse.watch == nil || !judged(in.u.Phase) {
		return
	}
	w := &in.pulse.watchdog
	first := w.State == judge.Free
	in.noted = in.noted || first // the next engine waits for more of them
	*w = judge.Slot{Source: judge.Watchdog, State: judge.Busy, Name: "watchdog", Beat: e.now, Count: w.Count + 1}
	if first {
		e.read(in)
	}
}

// restoreWatchdog goes on with the watchdog of a process that the last engine judged. When that heard it last is not known:
// it has its full limit from now.
func (e *Engine) restoreWatchdog(in *inst, r *record) {
	if !judged(in.u.Phase) {
		return
	}
	in.pulse.gen, in.pulse.asked = in.u.Gen, r.Asked
	if r.Beats {
		in.pulse.watchdog = judge.Slot{Source: judge.Watchdog, State: judge.Busy, Name: "watchdog", Beat: e.now, Count: 1}
	}
}

// triggerNoted takes WATCHDOG=trigger, which counts without any pulse configured.
func (e *Engine) triggerNoted(in *inst) {
	if condemnable(in.u.Phase) {
		e.heed(in, e.watch(in).Trigger(e.now))
	}
}

// watchdogNoted takes WATCHDOG_USEC.
func (e *Engine) watchdogNoted(in *inst, limit time.Duration) {
	if !judged(in.u.Phase) {
		return
	}
	w := e.watch(in)
	in.pulse.asked, in.noted = limit, true
	w.SetWatchdog(e.now, limit)
	e.read(in)
}

// checkFailed takes the bad answer of a check of generation gen that has failed too often, and whose then is restart.
func (e *Engine) checkFailed(in *inst, gen uint64, check string, failures int, message string) {
	if gen == in.u.Gen && condemnable(in.u.Phase) {
		e.heed(in, e.watch(in).Failed(e.now, check, failures, message))
	}
}

// checkPassed takes back what checkFailed said of a check: a restart that waits for the brake is not for it any more.
func (e *Engine) checkPassed(in *inst, check string) {
	if w := in.pulse.watch; w != nil && in.pulse.gen == in.u.Gen {
		w.Passed(check)
	}
}

// tableNoted takes the entries of old tables that belong to processes of generation gen; nil: none any more.
func (e *Engine) tableNoted(in *inst, gen uint64, entries []judge.Slot) {
	if gen != in.u.Gen || !judged(in.u.Phase) {
		return
	}
	in.pulse.table = entries
	e.watch(in)
	e.read(in)
}
