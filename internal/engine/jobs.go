package engine

import (
	"fmt"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/schedule"
	"example.com/stay/internal/unit"
)

// This file: jobs with a cron line. Between two runs such a unit rests, wanted and without a deadline; when its time comes,
// the schedule says so and the engine starts it. What has to be remembered is in the unit's record, and the times in a file,
// so that those that pass while nobody is there are known.

// A plan is when a job with a cron line runs next.
type plan struct {
	job       schedule.Job
	line      string // what job was made of
	state     schedule.State
	at        unit.Time // when to look at the clock again; 0: never
	heapIndex int       // -1: not in the heap
}

func plans() deadlines {
	return deadlines{at: func(in *inst) unit.Time { return in.plan.at }, place: func(in *inst) *int { return &in.plan.heapIndex }}
}

// planned is the plan for the record.
func (in *inst) planned() *jobTime {
	if in.plan == nil {
		return nil
	}
	return &jobTime{in.plan.line, in.plan.state}
}

// timed says whether an instance is of a job with a cron line.
func (in *inst) timed() bool { return in.svc.spec.Job != nil && in.svc.spec.Job.Cron != "" }

// asPlanned is the event that makes an instance wanted as part of a start of others: a job with times waits for them.
func (in *inst) asPlanned() unit.Event { return unit.Event{Kind: unit.Start, Later: in.timed()} }

// planLine is all of a job that its times follow from: another one makes a new plan.
func (in *inst) planLine() string {
	j := in.svc.spec.Job
	return j.Cron + "\n" + j.Timezone
}

// planAll gives every job with a cron line its plan, and takes it from those that have none any more.
func (e *Engine) planAll() {
	for _, in := range e.insts {
		if in.timed() && !in.leaver {
			e.planJob(in)
		} else if in.plan != nil {
			e.unplan(in)
		}
	}
}

// planJob takes up a job: with what the last engine remembered, or the last daemon, or as a new one.
func (e *Engine) planJob(in *inst) {
	job, err := in.svc.spec.Schedule(e.o.Zone)
	if err != nil { // the zone was there when the file was read
		e.log.Error("job has no times", "unit", in.name, "error", err)
		return
	}
	line := in.planLine()
	switch {
	case in.plan == nil:
		in.plan = &plan{line: line, heapIndex: -1, state: e.jobTimes.remembered(in.name, line)}
	case in.plan.line != line:
		in.plan.line, in.plan.state = line, schedule.State{Queued: in.plan.state.Queued}
	}
	in.plan.job = job
	was := in.plan.state
	in.plan.state = job.Plan(was, e.wall)
	if n := in.plan.state.Missed; n > 0 {
		text := fmt.Sprintf("%d of its times passed while stay was down", n)
		if job.CatchUp {
			text += ": one run makes up for them"
		}
		e.event(event{kind: api.KindJob, in: in, text: text})
	}
	e.replan(in, was)
}

// unplan forgets the plan of what is no job with times any more.
func (e *Engine) unplan(in *inst) {
	in.plan.at = 0
	e.plans.set(in, 0)
	in.plan = nil
	e.jobTimes.forget(in.name)
}

// replan notes what changed and when to look again.
func (e *Engine) replan(in *inst, was schedule.State) {
	p := in.plan
	p.at = e.now.Add(max(p.job.Look(p.state, e.wall), time.Millisecond))
	e.plans.set(in, p.at)
	if p.state != was {
		in.noted = true
		e.touch(in)
	}
	if p.state.Time != was.Time {
		e.jobTimes.note(in.name, p.line, p.state)
	}
}

// duePlans looks at the clock for the jobs whose moment has come, and says whether there were any.
func (e *Engine) duePlans() bool {
	any := false
	for next := e.plans.next(); next != 0 && next <= e.now; next = e.plans.next() {
		any = true
		e.tickJob(e.plans.list[0])
	}
	return any
}

func (e *Engine) tickJob(in *inst) {
	was := in.plan.state
	underWay := in.u.HasProcess() || in.u.Phase == unit.Backoff || in.u.Phase == unit.Blocked // a run that is tried again, or waits
	state, act := in.plan.job.Tick(was, e.wall, underWay)
	in.plan.state = state
	e.replan(in, was)
	if in.u.Want == unit.Down || e.daemon.Mode != running {
		in.plan.state.Queued = false
		return
	}
	switch {
	case act == schedule.Run:
		e.step(in, unit.Event{Kind: unit.Start})
	case act == schedule.Restart:
		e.event(event{kind: api.KindJob, in: in, text: "its time has come, and a run is under way: it is replaced"})
		e.step(in, unit.Event{Kind: unit.Restart, Reason: unit.ByOperator})
	case state.Skipped > was.Skipped:
		e.event(event{kind: api.KindJob, in: in, text: "its time has come, and a run is under way: it is skipped"})
	case state.Queued && !was.Queued:
		e.event(event{kind: api.KindJob, in: in, text: "its time has come, and a run is under way: another follows"})
	}
}

// tendJob begins the run that was queued, when the one before is over.
func (e *Engine) tendJob(in *inst) {
	if in.plan == nil || !in.plan.state.Queued || in.u.HasProcess() || in.u.Phase == unit.Backoff || in.u.Phase == unit.Blocked {
		return
	}
	was := in.plan.state
	state, act := in.plan.job.Ended(was)
	in.plan.state = state
	e.replan(in, was)
	if act == schedule.Run && in.u.Want != unit.Down && e.daemon.Mode == running {
		e.step(in, unit.Event{Kind: unit.Start})
	}
}

// whyResting says what came of the last run, and when the next one is.
func (e *Engine) whyResting(in *inst) string {
	text := ""
	if in.u.Last.Gen != 0 {
		text = endPhrase(in.u.Last)
	}
	next := e.next(in)
	if next.IsZero() {
		return text
	}
	if text != "" {
		text += ", "
	}
	wait := next.Sub(e.wall)
	if wait < time.Minute {
		return text + "next run in " + short(max(0, wait))
	}
	return text + "next run at " + when(next.Local(), e.wall)
}

// when writes a moment to come as people say it.
func when(t, now time.Time) string {
	if y, d := t.Year(), t.YearDay(); y == now.Local().Year() && d == now.Local().YearDay() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// lastRun is what came of the last run; nil before there was one.
func (e *Engine) lastRun(in *inst) *api.LastRun {
	l := in.u.Last
	if l.Gen == 0 {
		return nil
	}
	return &api.LastRun{OK: l.Good(in.svc.spec.Success), Result: endPhrase(l), Ended: e.wallOf(l.At), TookMS: l.Uptime / 1e6}
}

// next is when the instance runs again by itself; the zero Time: it does not, or not at a moment that is known.
func (e *Engine) next(in *inst) time.Time {
	switch {
	case in.svc.spec.Job == nil || in.u.Want == unit.Down:
	case in.plan != nil:
		return in.plan.state.Due
	case in.u.Phase == unit.Backoff:
		return e.wallOf(in.u.Deadline)
	}
	return time.Time{}
}
