package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/unit"
)

// This file: how the end of a generation becomes an incident. What the loop knows goes into a draft; the clerk completes
// and stores it.

// An ending is what is remembered of the generation that runs, for the day it ends.
type ending struct {
	verdict   *api.Verdict
	evidence  *api.Evidence
	usage     *api.Usage
	errno     string // what it sent by ERRNO=
	by        string // what the operator asked for last: "stop", "restart"
	escalated bool   // SIGKILL was ordered
}

// pendingFor is how long an incident waits for the birth of the next generation, which belongs to its story.
const pendingFor = time.Second

// spare is how long after an incident another one of the same instance and cause is only counted: a service that dies at
// once again and again tells the same story. The end after which it is given up is kept in any case.
const spare = 100 * time.Millisecond

// generationEnded drafts the incident of the generation that ended with this step.
func (e *Engine) generationEnded(in *inst, before unit.Unit) {
	x := in.ending
	in.ending = ending{}
	u := in.u
	neverWas := before.Pid == 0 && before.Started == 0
	byOrder := u.Last.Reason == unit.ByOperator || u.Last.Reason == unit.Changed || u.Last.Reason == unit.Dependency
	switch {
	case neverWas && (byOrder || before.Reason == unit.ByOperator || before.Reason == unit.Changed):
		return // it was called off before there was anything
	case in.svc.spec.Job != nil && u.Last.Gen == before.Gen && u.Last.Good(in.svc.spec.Success):
		return // a run, and no death
	case e.daemon.Mode == goingDown && before.Reason == unit.ByOperator && !x.escalated:
		return // all of it ends: `stay down` explains that
	}
	a := e.draft(in, before, x)
	if a.Cause == in.lastCause && e.now.Sub(in.lastIncident) < spare && u.Phase != unit.Failed {
		in.spared++
		return
	}
	in.lastCause, in.lastIncident = a.Cause, e.now
	a.Skipped, in.spared = in.spared, 0
	d := &draft{incident: a, gone: e.now, stream: in.streams[before.Gen]}
	e.handIn(in) // the one before has nothing to wait for any more
	if !in.u.HasProcess() && (u.Phase != unit.Backoff || time.Duration(u.Delay) > pendingFor/2) {
		e.clerk.take(d)
		return
	}
	in.pending = d
	e.after(pendingFor, func() {
		if in.pending == d {
			e.handIn(in)
		}
	})
}

// untold is how old an end may be that the last engine has had no time to store: what waits for a birth, and a full queue.
const untold = 10 * time.Second

// redraft drafts the incidents that the last engine died over: of ends a moment ago that are not in the store. What only it
// knew of them, as what it had seen of a hang, is lost.
func (e *Engine) redraft() {
	stored := e.clerk.known(e.wall.Add(-untold))
	for _, in := range e.insts {
		l := in.u.Last
		if l.Gen == 0 || e.now.Sub(l.At) > untold || stored[storedEnd{in.name, l.Gen}] || l.Reason == unit.ByOperator && e.daemon.Mode == goingDown ||
			in.svc.spec.Job != nil && l.Good(in.svc.spec.Success) {
			continue
		}
		before := unit.Unit{Gen: l.Gen, Pid: in.lastPid, WasReady: in.u.WasReady && in.u.Gen == l.Gen}
		if l.Uptime > 0 {
			before.Started = l.At - unit.Time(l.Uptime)
		}
		var x ending
		if l.Reason == unit.Hang || l.Reason == unit.Probe {
			x.verdict = in.verdict
		}
		e.clerk.take(&draft{incident: e.draft(in, before, x), gone: e.now, stream: in.streams[l.Gen]})
	}
}

// handIn gives the pending incident of an instance to the clerk.
func (e *Engine) handIn(in *inst) {
	if in.pending != nil {
		e.clerk.take(in.pending)
		in.pending = nil
	}
}

// reborn completes the story of the last end: its successor has been made.
func (e *Engine) reborn(in *inst) {
	if d := in.pending; d != nil && in.u.Started != 0 {
		d.incident.BackMS = ms(max(0, in.u.Started.Sub(d.gone)))
		e.handIn(in)
	}
}

// draft is all that the loop knows of the end of a generation.
func (e *Engine) draft(in *inst, before unit.Unit, x ending) *api.Incident {
	l := in.u.Last
	if l.Gen != before.Gen {
		l = unit.End{Reason: unit.KeeperDeath, Gen: before.Gen, At: e.now}
	}
	at := l.At
	if at == 0 {
		at = e.now
	}
	a := &api.Incident{Name: in.name, Service: in.svc.spec.Name, Number: in.number, Generation: before.Gen, Cause: causes[l.Reason],
		Message: endPhrase(l), Time: e.wallOf(at), MonoNS: int64(at), Pid: before.Pid, UptimeMS: l.Uptime / 1e6, Ready: before.WasReady,
		Code: l.Code, Core: l.Core, Stage: l.Stage, Errno: x.errno, Detail: l.Text, Status: in.status, Escalated: x.escalated,
		Usage: x.usage, Verdict: x.verdict, Evidence: x.evidence, DelayMS: delayOf(in.u)}
	if a.Pid == 0 {
		a.Pid = in.lastPid
	}
	if before.Started != 0 {
		a.Started = e.wallOf(before.Started)
	}
	if l.Signal != 0 {
		a.Signal = signalName(l.Signal)
	}
	switch a.Cause {
	case api.CauseExec:
		a.Pid = 0
		if l.Errno != 0 {
			a.Errno = unix.ErrnoName(unix.Errno(l.Errno))
		}
	case api.CauseOperator:
		a.By = x.by
		if e.daemon.Mode == goingDown {
			a.By = "down"
		}
	case api.CauseDependency:
		a.Detail = e.lostNames(in.svc)
	case api.CauseHang, api.CauseCheck:
		a.Detail = ""
	}
	return a
}

// causes are the reasons of ends in the words of the API.
var causes = map[unit.Reason]api.Cause{
	unit.NoReason: api.CauseExit, unit.ByOperator: api.CauseOperator, unit.ExitCode: api.CauseExit, unit.Signalled: api.CauseSignal,
	unit.SpawnError: api.CauseExec, unit.StartTimeout: api.CauseStartTimeout, unit.Hang: api.CauseHang, unit.Probe: api.CauseCheck,
	unit.OverLimit: api.CauseOverLimit, unit.Dependency: api.CauseDependency, unit.ByItself: api.CauseExit,
	unit.KeeperDeath: api.CauseKeeper, unit.Changed: api.CauseChanged, unit.RunTimeout: api.CauseRunTimeout,
}

// delayOf is the wait before the next generation in ms; −1: there will be none.
func delayOf(u unit.Unit) int64 {
	switch u.Phase {
	case unit.Backoff:
		return u.Delay / 1e6
	case unit.Idle, unit.Failed:
		return -1
	}
	return 0
}

// lostNames are the services that one needs and has lost.
func (e *Engine) lostNames(s *service) string {
	text := ""
	for _, name := range s.spec.Needs {
		d := e.service(name)
		if d == nil || !d.gone && (d.unready == 0 || e.now < d.unready.Add(s.spec.LostAfter)) {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += name
	}
	return text
}
