package unit

import (
	"time"

	"example.com/stay/internal/spec"
)

// This file: what a process, its keeper and its judge do to a unit.

func (m *machine) spawned(ev Event) {
	switch m.Phase {
	case Killing: // the order to kill was faster than the news of the birth
		if m.Started == 0 {
			m.Pid, m.Started = ev.Pid, m.made(ev)
		}
		return
	case Spawning:
	default:
		return
	}
	m.Pid, m.Started = ev.Pid, m.made(ev)
	switch {
	case m.Reason != NoReason:
		m.end(m.Reason)
	case m.WasReady || m.s.Ready.When == spec.ReadyExec:
		m.ready()
	case m.s.Ready.When == spec.ReadyAfter:
		m.enter(Starting, NoReason, m.s.Ready.After)
	default:
		m.starting()
	}
}

// made is when the process was made: its news may be old, if an engine died meanwhile.
func (m *machine) made(ev Event) Time {
	if ev.At <= 0 || ev.At > m.now {
		return m.now
	}
	return ev.At
}

func (m *machine) starting() {
	m.settle(Starting, NoReason)
	if m.s.StartTimeout > 0 {
		m.Deadline = m.Started.Add(m.s.StartTimeout)
	}
}

func (m *machine) ready() {
	m.WasReady = true
	m.settle(Ready, NoReason)
	if m.s.Job != nil && m.s.Job.Timeout > 0 {
		m.Deadline = m.Started.Add(m.s.Job.Timeout)
	}
}

func (m *machine) readyNoted() {
	switch m.Phase {
	case Starting:
		m.ready()
	case Examining: // the verdict on its start is withdrawn; one on something else is not
		if m.Reason == StartTimeout {
			m.ready()
		}
		m.WasReady = true
	case Spawning: // its datagram was faster than the keeper's news of the birth
		m.WasReady = true
	}
}

// maxExtend bounds one extension: who needs longer has to say so again, while he still can.
const maxExtend = time.Hour

// extend moves the deadline of a start that waits for readiness, or of a stop, to d from now. It never brings one nearer,
// and it comes too late when the deadline has passed.
func (m *machine) extend(d time.Duration) {
	if m.Phase != Starting && m.Phase != Stopping || m.Deadline == 0 || m.now > m.Deadline || m.s.Ready.When == spec.ReadyAfter && m.Phase == Starting {
		return
	}
	m.Deadline = max(m.Deadline, m.now.Add(min(d, maxExtend)))
}

func (m *machine) spawnFailed(ev Event) {
	if m.Phase != Spawning && !(m.Phase == Killing && m.Pid == 0) {
		return
	}
	m.Last = ev.End
	m.Last.Reason, m.Last.Gen, m.Last.Uptime = SpawnError, m.Gen, 0
	if m.Phase == Killing && m.Reason == StartTimeout {
		m.Last.Reason = StartTimeout
	}
	if m.Reason == NoReason {
		m.Reason = SpawnError
	}
	m.gone()
}

func (m *machine) exited(ev Event) {
	if !m.HasProcess() || ev.Pid != m.Pid && !(m.Phase == Spawning && m.Pid == 0) {
		return
	}
	m.note(ev.End)
	m.Pid = 0
	switch m.Phase {
	case Stopping, Killing:
	default: // nobody had asked it to end
		if m.Reason == NoReason {
			m.Reason = m.Last.Reason
		}
	}
	switch {
	case ev.Empty:
		m.gone()
	case m.Phase == Killing:
	case m.Phase == Stopping: // what the main process left behind is asked too, within the same deadline
		m.act = Action{Kind: Signal, Gen: m.Gen, Signal: m.s.Stop.Signal, To: spec.StopTree}
	default:
		m.end(m.Reason)
	}
}

// note keeps how the generation ended. Where stay made it end, the reason is stay's and the status only its detail.
func (m *machine) note(e End) {
	if m.Reason != NoReason && m.Reason != ByItself {
		e.Reason = m.Reason
	}
	e.Gen = m.Gen
	if e.At == 0 {
		e.At = m.now
	}
	if m.Started != 0 {
		e.Uptime = max(0, int64(e.At-m.Started))
	}
	m.Last = e
	if m.Reason == ByItself {
		m.Reason = e.Reason
	}
}

func (m *machine) examine(r Reason) {
	if m.Phase != Starting && m.Phase != Ready {
		return
	}
	m.enter(Examining, r, examineFor)
	m.act = Action{Kind: TakeEvidence, Gen: m.Gen}
}

func (m *machine) recovered() {
	if m.Phase != Examining {
		return
	}
	if m.WasReady {
		m.ready()
		return
	}
	m.starting()
}

func (m *machine) dump() {
	if m.s.Hang.Dump == 0 {
		m.end(m.Reason)
		return
	}
	m.enter(Dumping, m.Reason, m.s.Hang.DumpWait)
	m.act = Action{Kind: Signal, Gen: m.Gen, Signal: m.s.Hang.Dump, To: spec.StopMain}
}
