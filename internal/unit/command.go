package unit

// This file: what operators, dependencies and the clock do to a unit.

func (m *machine) start(ev Event) {
	was := m.Want
	m.Want = Up
	if ev.Once {
		m.Want = Once
	}
	m.Held = false
	if ev.Later && !m.HasProcess() {
		return
	}
	switch m.Phase {
	case Idle, Backoff:
		m.try()
	case Failed:
		m.forget()
		m.try()
	case Spawning:
		if was == Down && m.Reason == ByOperator { // its stop had not begun: it is withdrawn
			d := m.s.StartTimeout
			if d <= 0 {
				d = spawnFor
			}
			m.Reason, m.Deadline = NoReason, m.Since.Add(d)
		}
	case Stopping, Killing:
		if was == Down {
			m.Reason = ByOperator // gone then leads to a new generation without delay
		}
	}
}

func (m *machine) stop(ev Event) {
	m.Want = Down
	if ev.Held && m.HasProcess() && m.Phase != Stopping && m.Phase != Killing {
		m.Held = true
		return
	}
	m.Held = false
	switch m.Phase {
	case Idle, Blocked, Backoff, Failed:
		m.settle(Idle, ByOperator)
	case Spawning:
		m.endSpawning(ByOperator, ev.Now)
	case Stopping:
		if ev.Now {
			m.kill(m.Reason)
		}
	case Killing:
	default:
		if ev.Now {
			m.kill(ByOperator)
		} else {
			m.end(ByOperator)
		}
	}
}

// endSpawning makes the process end as soon as it exists, and bounds the wait for it.
func (m *machine) endSpawning(r Reason, now bool) {
	if now {
		m.kill(r)
		return
	}
	m.Reason = r
	m.Deadline = min(m.Deadline, m.now.Add(m.s.Stop.Timeout))
}

func (m *machine) restart(ev Event) {
	if ev.Reason == Changed && (m.Want == Down || m.s.Job != nil && m.Phase != Failed) { // a job is changed with its next run
		return
	}
	if m.Want == Down {
		m.Want = Up
	}
	m.Held = false
	r := ByOperator
	if ev.Reason == Changed {
		r = Changed
	}
	switch m.Phase {
	case Idle, Blocked, Backoff, Failed:
		m.forget()
		m.try()
	case Spawning:
		m.endSpawning(r, false)
	case Stopping, Killing:
		m.Reason = r
	default:
		m.end(r)
	}
}

func (m *machine) reload() {
	if m.Phase == Ready && m.s.Reload != 0 {
		m.act = Action{Kind: Signal, Gen: m.Gen, Signal: m.s.Reload, To: "main"}
	}
}

// forget makes the restart policy begin anew.
func (m *machine) forget() {
	m.Unit.Restart.Level, m.Unit.Restart.Deaths = 0, 0
}

func (m *machine) reset() {
	m.forget()
	m.Restarts = 0
	switch m.Phase {
	case Failed:
		if m.Want != Down {
			m.try()
		}
	case Backoff:
		m.Deadline = m.now
	}
}

func (m *machine) depsMet() {
	if m.DepsMet {
		return
	}
	m.DepsMet = true
	switch m.Phase {
	case Blocked:
		m.try()
	case Backoff: // what it failed for may be back: no need to wait for the delay
		if m.s.Job == nil || !m.succeeded() {
			m.Deadline = min(m.Deadline, m.now)
		}
	}
}

func (m *machine) depLost() {
	m.DepsMet = false
	switch {
	case m.Phase == Backoff:
		m.settle(Blocked, Dependency)
	case m.Phase == Spawning:
		if m.Reason == NoReason {
			m.endSpawning(Dependency, false)
		}
	case m.serving():
		m.end(Dependency)
	}
}

func (m *machine) deadline() {
	if m.Deadline == 0 || m.now < m.Deadline {
		return
	}
	switch m.Phase {
	case Spawning:
		r := m.Reason
		if r == NoReason {
			r = StartTimeout
		}
		m.kill(r)
	case Starting:
		if m.s.Ready.When == "after" {
			m.ready()
		} else {
			m.examine(StartTimeout)
		}
	case Ready:
		m.examine(RunTimeout)
	case Examining:
		m.dump()
	case Dumping:
		m.end(m.Reason)
	case Stopping, Killing:
		m.kill(m.Reason)
	case Backoff:
		if m.DepsMet && m.s.Job == nil {
			m.Restarts++
		}
		m.try()
	}
}
