package engine

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// fact takes one message of the keeper.
func (e *Engine) fact(f fact) error {
	e.tick()
	if f.err != nil {
		return e.keeperGone()
	}
	e.keeperWatch.said(e.now)
	defer func() { keeper.CloseAll(f.fds) }()
	m := f.m
	switch m.Kind {
	case keeper.Ping:
		e.link.send(&keeper.Message{Kind: keeper.Ping})
		return nil
	case keeper.Asked:
		e.asked(m.Signal)
		return nil
	case keeper.Leave:
		return errLeft // another program has everything, and starts its own engine
	case keeper.Resume:
		e.notUpgraded(m.About)
		return nil
	}
	in := e.insts[m.Unit]
	if in == nil {
		e.helperFact(&f)
		return nil
	}
	switch m.Kind {
	case keeper.Spawned:
		e.adoptFiles(in, m.Names, f.fds)
		f.fds = nil
		if m.Gen == in.u.Gen {
			in.start = m.Start
		}
		e.step(in, unit.Event{Kind: unit.Spawned, Gen: m.Gen, Pid: m.Pid, At: unit.Time(m.At)})
		e.reborn(in)
	case keeper.SpawnFailed:
		e.spawnFailed(in, m)
	case keeper.Exited:
		if e.holdBack(in, f) {
			return nil
		}
		e.exited(in, m)
	case keeper.TreeEmpty:
		if len(in.heldBack) > 0 && m.Gen == in.u.Gen {
			in.heldBack = append(in.heldBack, fact{m: m})
			return nil
		}
		in.seen = max(in.seen, m.Gen)
		e.step(in, unit.Event{Kind: unit.TreeEmpty, Gen: m.Gen})
	case keeper.MainMoved:
		e.mainMoved(in, m)
	case keeper.Refusing:
		in.refusing = m.Members
		e.touch(in)
		e.event(event{kind: "state", in: in, text: "refuses to die: " + members(m.Members)})
	}
	return nil
}

func (e *Engine) exited(in *inst, m *keeper.Message) {
	if m.Empty {
		in.seen = max(in.seen, m.Gen)
	}
	main := m.Gen == in.u.Gen && m.Pid == in.u.Pid
	end := endOf(m.Exit)
	if main {
		in.usage = usage(m.Exit)
		if in.verdict != nil && (in.u.Reason == unit.Hang || in.u.Reason == unit.Probe) {
			end.Text = verdictPhrase(in.verdict)
		}
	}
	e.step(in, unit.Event{Kind: unit.Exited, Gen: m.Gen, Pid: m.Pid, Empty: m.Empty, End: end})
	if main {
		in.lastPid = m.Pid
		how := in.u.Last
		if how.Reason == unit.Hang || how.Reason == unit.Probe {
			how.Text = "" // why is told already, by the event of the hang
		}
		e.event(event{kind: api.KindExit, in: in, pid: m.Pid, gen: m.Gen, text: endPhrase(how), more: in.ended})
	}
}

func (e *Engine) spawnFailed(in *inst, m *keeper.Message) {
	in.seen = max(in.seen, m.Gen)
	mine := m.Gen == in.u.Gen && in.u.Phase == unit.Spawning
	e.step(in, unit.Event{Kind: unit.SpawnFailed, Gen: m.Gen, End: spawnEnd(m, e.now)})
	if mine && in.u.Last.Gen == m.Gen {
		e.event(event{kind: api.KindExit, in: in, gen: m.Gen, text: endPhrase(in.u.Last), more: in.ended})
	}
}

// ended completes the event of the end that its unit had last.
func (in *inst) ended(a *api.Event) {
	l := in.u.Last
	in.wanted(a)
	a.Cause, a.Code, a.UptimeMS = causes[l.Reason], l.Code, l.Uptime/1e6
	if l.Signal != 0 {
		a.Signal = signalName(l.Signal)
	}
	asked := a.Cause == api.CauseOperator || a.Cause == api.CauseChanged || a.Cause == api.CauseDependency
	over := in.u.Phase == unit.Idle && l.Good(in.svc.spec.Success)
	a.Expected = asked || over || in.svc.spec.Job != nil && l.Good(in.svc.spec.Success)
}

// spawnEnd is the end of what never was.
func spawnEnd(m *keeper.Message, now unit.Time) unit.End {
	end := unit.End{Reason: unit.SpawnError, At: now}
	if f := m.Failure; f != nil {
		end.Stage, end.Errno, end.Text = f.Stage, f.Errno, f.Detail
	}
	return end
}

// endOf reads a wait status.
func endOf(x *keeper.Exit) unit.End {
	if x == nil {
		return unit.End{Reason: unit.KeeperDeath}
	}
	s := unix.WaitStatus(x.Status)
	if s.Signaled() {
		return unit.End{Reason: unit.Signalled, Signal: int(s.Signal()), Core: s.CoreDump(), At: unit.Time(x.At)}
	}
	return unit.End{Reason: unit.ExitCode, Code: s.ExitStatus(), At: unit.Time(x.At)}
}

// usage is what an ended process used.
func usage(x *keeper.Exit) *api.Usage {
	if x == nil {
		return nil
	}
	return &api.Usage{UserMS: x.UserNS / 1e6, SysMS: x.SysNS / 1e6, MaxRSS: x.MaxRSS}
}

// handOver is how long the good end of a launcher waits for the word of its child that it is the main process now. What the
// launcher itself sent before it went has no such limit: see holdBack.
const handOver = 100 * time.Millisecond

// holdBack keeps the end of a main process back until all that was in its notify socket has been heard: what it said last
// (why it fails, what it stores, who the main process is now) and its end come by different roads. The good end of one
// that leaves others behind waits for a MAINPID of theirs, too.
func (e *Engine) holdBack(in *inst, f fact) bool {
	m := f.m
	if m.Gen != in.u.Gen || m.Pid != in.u.Pid || in.hears == nil || !in.u.HasProcess() || in.u.Phase == unit.Spawning {
		return false
	}
	in.heldBack = append(in.heldBack, fact{m: m})
	gen := in.u.Gen
	serving := in.u.Phase == unit.Starting || in.u.Phase == unit.Ready
	if serving && !m.Empty && m.Exit != nil && m.Exit.Status == 0 {
		e.after(handOver, func() { e.releaseWhenHeard(in, gen) })
	} else {
		e.releaseWhenHeard(in, gen)
	}
	return true
}

// releaseWhenHeard releases what was held back of generation gen when all that is in the notify socket now has been heard,
// unless it names another main process: then the keeper's word on that one does.
func (e *Engine) releaseWhenHeard(in *inst, gen uint64) {
	in.hears.Drained(func() {
		e.post(func() {
			if in.u.Gen == gen && in.moving == 0 {
				e.release(in)
			}
		})
	})
}

// release steps what was held back.
func (e *Engine) release(in *inst) {
	held := in.heldBack
	in.heldBack = nil
	for _, f := range held {
		if f.m.Kind == keeper.Exited {
			e.exited(in, f.m)
		} else {
			in.seen = max(in.seen, f.m.Gen)
			e.step(in, unit.Event{Kind: unit.TreeEmpty, Gen: f.m.Gen})
		}
	}
}

// mainMoved takes the keeper's word on a MAINPID.
func (e *Engine) mainMoved(in *inst, m *keeper.Message) {
	if m.Pid == in.moving { // of several that were named the last one counts
		in.moving = 0
	}
	if m.Missing {
		e.log.Warn("main process refused: it is not of this instance", "unit", in.name, "pid", m.Pid)
	} else {
		in.start = m.Start
		e.step(in, unit.Event{Kind: unit.MainMoved, Gen: m.Gen, Pid: m.Pid})
	}
	if in.moving == 0 {
		e.release(in)
	}
}

// asked acts on a signal that was sent to the keeper.
func (e *Engine) asked(sig int) {
	if unix.Signal(sig) == unix.SIGHUP {
		e.daemonCommand("HUP", "", nil, "HUP: apply", nil)
		go func() {
			if _, err := e.Apply(backgroundContext()); err != nil {
				e.log.Error("apply", "error", err)
			}
			e.link.send(&keeper.Message{Kind: keeper.Acted})
		}()
		return
	}
	name := strings.TrimPrefix(unix.SignalName(unix.Signal(sig)), "SIG")
	e.daemonCommand(name, "", nil, name+": down", nil)
	e.goDown(false, nil)
	e.link.send(&keeper.Message{Kind: keeper.Acted}) // not before the mode is stored
}
