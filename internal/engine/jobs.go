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

// A timetable is when a job with a cron line runs next.
type timetable struct {
	job       schedule.Job
	line      string // what job was made of
	state     schedule.State
	at        unit.Time // when to look at the clock again; 0: never
	heapIndex int       // -1: not in the heap
}

func timetables() deadlines {
	return deadlines{at: func(in *inst) unit.Time { return in.times.at }, place: func(in *inst) *int { return &in.times.heapIndex }}
}

// kept is the timetable for the record.
func (in *inst) kept() *jobTime {
	if in.times == nil {
		return nil
	}
	return &jobTime{in.times.line, in.times.state}
}

// timed says whether an instance is of a job with a cron line.
func (in *inst) timed() bool { return in.svc.spec.Job != nil && in.svc.spec.Job.Cron != "" }

// asPlanned is the event that makes an instance wanted as part of a start of others: a job with times waits for them.
func (in *inst) asPlanned() unit.Event { return unit.Event{Kind: unit.Start, Later: in.timed()} }

// timeLine is all of a job that its times follow from: another one makes a new timetable.
func (in *inst) timeLine() string {
	j := in.svc.spec.Job
	return j.Cron + "\n" + j.Timezone
}

// timeAll gives every job with a cron line its timetable, and takes it from those that have none any more.
func (e *Engine) timeAll() {
	for _, in := range e.insts {
		if in.timed() && !in.leaver {
			e.timeJob(in)
		} else if in.times != nil {
			e.untime(in)
		}
	}
}

// timeJob takes up a job: with what the last engine remembered, or the last daemon, or as a new one.
func (e *Engine) timeJob(in *inst) {
	job, err := in.svc.spec.Schedule(e.o.Zone)
	if err != nil { // the zone was there when the file was read
		e.log.Error("job has no times", "unit", in.name, "error", err)
		return
	}
	line := in.timeLine()
	switch {
	case in.times == nil:
		in.times = &timetable{line: line, heapIndex: -1, state: e.jobTimes.remembered(in.name, line)}
	case in.times.line != line:
		in.times.line, in.times.state = line, schedule.State{Queued: in.times.state.Queued}
	}
	in.times.job = job
	was := in.times.state
	in.times.state = job.Plan(was, e.wall)
	if n := in.times.state.Missed; n > 0 {
		text := fmt.Sprintf("%d of its times passed while stay was down", n)
		if job.CatchUp {
			text += ": one run makes up for them"
		}
		e.event(event{kind: api.KindJob, in: in, text: text})
	}
	e.retime(in, was)
}

// untime forgets the timetable of what is no job with times any more.
func (e *Engine) untime(in *inst) {
	in.times.at = 0
	e.timetables.set(in, 0)
	in.times = nil
	e.jobTimes.forget(in.name)
}

// retime notes what changed and when to look again.
func (e *Engine) retime(in *inst, was schedule.State) {
	p := in.times
	p.at = e.now.Add(max(p.job.Look(p.state, e.wall), time.Millisecond))
	e.timetables.set(in, p.at)
	if p.state != was {
		in.noted = true
		e.touch(in)
	}
	if p.state.Time != was.Time {
		e.jobTimes.note(in.name, p.line, p.state)
	}
}

// dueTimes looks at the clock for the jobs whose moment has come, and says whether there were any.
func (e *Engine) dueTimes() bool {
	any := false
	for next := e.timetables.next(); next != 0 && next <= e.now; next = e.timetables.next() {
		any = true
		e.tickJob(e.timetables.list[0])
	}
	return any
}

func (e *Engine) tickJob(in *inst) {
	was := in.times.state
	underWay := in.u.HasProcess() || in.u.Phase == unit.Backoff || in.u.Phase == unit.Blocked // a run that is tried again, or waits
	state, act := in.times.job.Tick(was, e.wall, underWay)
	in.times.state = state
	e.retime(in, was)
	if in.u.Want == unit.Down || e.daemon.Mode != running {
		in.times.state.Queued = false
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
	if in.times == nil || !in.times.state.Queued || in.u.HasProcess() || in.u.Phase == unit.Backoff || in.u.Phase == unit.Blocked {
		return
	}
	was := in.times.state
	state, act := in.times.job.Ended(was)
	in.times.state = state
	e.retime(in, was)
	if act == schedule.Run && in.u.Want != unit.Down && e.daemon.Mode == running {
		e.step(in, unit.Event{Kind: unit.Start})
	}
}

// whyResting says what came of the last run, and when the next one is.
func (e *Engine) whyResting(in *inst) string {
	next := e.nextPhrase(in)
	switch {
	case in.u.Last.Gen == 0:
		return next
	case next == "":
		return endPhrase(in.u.Last)
	}
	return endPhrase(in.u.Last) + ", " + next
}

// nextPhrase says when the next run is; nothing if that is not known.
func (e *Engine) nextPhrase(in *inst) string {
	next := e.next(in)
	wait := next.Sub(e.wall)
	switch {
	case next.IsZero():
		return ""
	case wait < time.Minute:
		return "next run in " + short(max(0, wait))
	}
	return "next run at " + when(next.Local(), e.wall)
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
	case in.times != nil:
		return in.times.state.Due
	case in.u.Phase == unit.Backoff:
		return e.wallOf(in.u.Deadline)
	}
	return time.Time{}
}
