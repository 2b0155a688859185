package unit

import (
	"time"

	"example.com/stay/internal/backoff"
	"example.com/stay/internal/spec"
)

// killAgain is how long SIGKILL gets until it is sent once more.
const killAgain = time.Second

// examineFor is how long evidence may take before the verdict goes on without it.
const examineFor = 500 * time.Millisecond

// spawnFor bounds Spawning where the service sets no start_timeout.
const spawnFor = time.Minute

// Step returns what u becomes by ev at now, and what has to be done for it. The name seeds the jitter of delays.
func Step(u Unit, name string, s *spec.Service, now Time, ev Event) (Unit, Action) {
	if ev.Kind.outside() && ev.Gen != u.Gen {
		return u, Action{}
	}
	m := machine{Unit: u, name: name, s: s, now: now}
	m.step(ev)
	return m.Unit, m.act
}

// A machine is one step under way.
type machine struct {
	Unit
	name string
	s    *spec.Service
	now  Time
	act  Action
}

func (m *machine) step(ev Event) {
	switch ev.Kind {
	case Start:
		m.start(ev)
	case Stop:
		m.stop(ev)
	case Restart:
		m.restart(ev)
	case Reload:
		m.reload()
	case Reset:
		m.reset()
	case DepsMet:
		m.depsMet()
	case DepsUnmet:
		m.DepsMet = false
	case DepLost:
		m.depLost()
	case Deadline:
		m.deadline()
	case Spawned:
		m.spawned(ev)
	case SpawnFailed:
		m.spawnFailed(ev)
	case Exited:
		m.exited(ev)
	case TreeEmpty:
		if (m.Phase == Stopping || m.Phase == Killing) && m.Pid == 0 {
			m.gone()
		}
	case MainMoved:
		if m.alive() && m.Pid != 0 && ev.Pid > 0 {
			m.Pid = ev.Pid
		}
	case ReadyNoted:
		m.readyNoted()
	case StoppingNoted:
		if m.Phase == Starting || m.Phase == Ready {
			m.enter(Stopping, ByItself, m.s.Stop.Timeout)
		}
	case Hung:
		m.examine(Hang)
	case ProbeFailed:
		m.examine(Probe)
	case WentOver:
		m.examine(OverLimit)
	case Recovered:
		m.recovered()
	case EvidenceTaken:
		if m.Phase == Examining {
			m.dump()
		}
	case ExtendNoted:
		m.extend(ev.For)
	case ResetNoted:
		if m.alive() {
			m.forget()
			m.Restarts = 0
		}
	}
}

// alive says whether a process is there and nobody has asked it to end yet, or it is being asked.
func (m *machine) alive() bool { return m.HasProcess() && m.Phase != Spawning }

// serving says whether the process is there and not asked to end.
func (m *machine) serving() bool {
	switch m.Phase {
	case Starting, Ready, Examining, Dumping:
		return true
	}
	return false
}

// enter moves to phase p with its deadline d from now; d 0 or less is due at once.
func (m *machine) enter(p Phase, r Reason, d time.Duration) {
	m.settle(p, r)
	m.Deadline = m.now.Add(max(d, 0))
}

// settle moves to phase p, which waits for no moment.
func (m *machine) settle(p Phase, r Reason) {
	if m.Phase != p {
		m.Since = m.now
	}
	m.Phase, m.Reason, m.Deadline, m.Delay = p, r, 0, 0
}

// try makes a process, or waits for what it needs.
func (m *machine) try() {
	m.Pid, m.Held = 0, false
	if !m.DepsMet {
		m.settle(Blocked, Dependency)
		return
	}
	m.Gen++
	m.Started, m.WasReady = 0, false
	d := m.s.StartTimeout
	if d <= 0 {
		d = spawnFor
	}
	m.settle(Idle, NoReason) // so that Since is that of this attempt also after an attempt
	m.enter(Spawning, NoReason, d)
	m.act = Action{Kind: Spawn, Gen: m.Gen}
}

// end asks the process to end.
func (m *machine) end(r Reason) {
	m.enter(Stopping, r, m.s.Stop.Timeout)
	m.act = Action{Kind: Signal, Gen: m.Gen, Signal: m.s.Stop.Signal, To: m.s.Stop.To}
	if m.Pid == 0 {
		m.act.To = spec.StopTree // the main process is no more: what it left behind is asked
	}
}

func (m *machine) kill(r Reason) {
	m.enter(Killing, r, killAgain)
	m.act = Action{Kind: KillTree, Gen: m.Gen}
}

// gone decides what follows when nothing is left of the generation.
func (m *machine) gone() {
	m.Pid = 0
	switch {
	case m.Want == Down:
		m.Held = false
		m.settle(Idle, m.Reason)
	case m.Reason == ByOperator || m.Reason == Changed || m.Reason == Dependency:
		m.try()
	default:
		m.decide()
	}
}

// decide applies the restart policy to an end that nobody asked for.
func (m *machine) decide() {
	good := m.succeeded()
	job := m.s.Job
	m.Done = job != nil && (m.Done || good)
	switch {
	case job != nil && m.Want == Up && (good || m.s.Restart.When == spec.RestartNever) && job.Every > 0:
		m.forget()
		m.settle(Idle, m.Reason)
		m.enter(Backoff, m.Reason, job.Every+backoff.Jitter(job.Jitter, backoff.Seed(m.name, m.Gen)))
		m.Delay = int64(m.Deadline.Sub(m.now))
		return
	case job != nil && good, m.Want == Once, !backoff.Wants(m.s.Restart, good):
		p := Failed
		if good {
			p = Idle
		}
		m.settle(p, m.Reason)
		return
	}
	next, delay, giveUp := backoff.After(m.s.Restart, m.Unit.Restart, time.Duration(m.Last.Uptime), backoff.Seed(m.name, m.Gen))
	m.Unit.Restart = next
	if giveUp {
		m.settle(Failed, m.Reason)
		return
	}
	m.settle(Idle, m.Reason) // each delay has a Since of its own
	m.enter(Backoff, m.Reason, delay)
	m.Delay = int64(delay)
}

// succeeded says whether the last end counts as a good one.
func (m *machine) succeeded() bool { return m.Last.Good(m.s.Success) }

// Good says whether the end is in the list of good ends. An end that stay brought about never is.
func (e End) Good(list []spec.Success) bool {
	for _, ok := range list {
		switch e.Reason {
		case ExitCode:
			if ok.Signal == 0 && ok.Code == e.Code {
				return true
			}
		case Signalled:
			if ok.Signal != 0 && int(ok.Signal) == e.Signal {
				return true
			}
		}
	}
	return false
}
