package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/backoff"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// recover brings the engine to where the last one was, or to a first start where there was none.
func (e *Engine) recover() (net.Listener, error) {
	hello, fds, err := e.link.ask(&keeper.Message{Kind: keeper.Hello, Version: keeper.Version}, keeper.Hello)
	if err != nil {
		return nil, fail("keeper", err)
	}
	keeper.CloseAll(fds)
	if hello.Version != keeper.Version {
		return nil, fmt.Errorf("the keeper speaks version %d of the wire, this engine %d: the stayd files were mixed; stop everything with the stay that started it, or install one version",
			hello.Version, keeper.Version)
	}
	e.about = *hello.About
	e.watchKeeper()
	control, err := e.fetchControl()
	if err != nil {
		return nil, err
	}
	first, err := e.fetchConfig()
	if err != nil {
		return nil, err
	}
	e.legacy = e.fetchLegacy("logs")
	e.store, err = capture.Open(capture.Options{Dir: e.cfg.Daemon.LogDir, Legacy: e.legacy, Report: e.logTrouble, Ended: e.captured})
	if err != nil {
		return nil, err
	}
	e.relayOutput(true)
	e.openClerk()
	e.fetchAlive()
	e.openJournal()
	rows, err := e.list()
	if err != nil {
		return nil, err
	}
	e.bucket = backoff.NewBucket(e.cfg.Daemon.ForkRate)
	e.startEvents()
	e.build(e.cfg)
	e.restore(rows)
	e.redraft()
	e.initGraph()
	e.reconcile(rows)
	e.watchAll()
	e.followTables()
	e.jobTimes = openJobTimes(e.cfg.Daemon.StateDir, e.log)
	e.timeAll()
	e.startWanted(rows, first)
	e.endUpgrade()
	return control, nil
}

func (e *Engine) fetch(name string) (int, error) {
	m, fds, err := e.link.ask(&keeper.Message{Kind: keeper.Fetch, Name: name}, keeper.Held)
	if err != nil {
		return -1, fail("keeper", err)
	}
	if m.Missing || len(fds) == 0 {
		keeper.CloseAll(fds)
		return -1, os.ErrNotExist
	}
	return fds[0], nil
}

func (e *Engine) fetchControl() (net.Listener, error) {
	if lock, err := e.fetch("lock"); err == nil { // as long as any engine lives, no second daemon starts
		e.keepCopy("lock", lock)
	}
	fd, err := e.fetch("control")
	if err != nil {
		return nil, fail("control socket", err)
	}
	e.keepCopy("control", fd)
	if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return nil, fail("control socket", err)
	}
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fail("control socket", err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return l, nil
}

// fetchConfig takes the applied configuration from the keeper; where there is none, this is the first start, and the
// files are read.
func (e *Engine) fetchConfig() (first bool, err error) {
	fd, err := e.fetch("config")
	if err == nil {
		defer unix.Close(fd)
		return false, e.readConfig(fd)
	}
	cfg, errs := e.o.Load()
	if len(errs) > 0 {
		return false, errs
	}
	return true, e.holdConfig(cfg, agenda{})
}

// readConfig reads what holdConfig wrote: the agenda in the first line, then the configuration.
func (e *Engine) readConfig(fd int) error {
	data, err := keeper.ReadMemfd(fd)
	if err != nil {
		return fail("applied configuration", err)
	}
	head, frozen, _ := bytes.Cut(data, []byte("\n"))
	if err := json.Unmarshal(head, &e.agenda); err != nil {
		return fail("applied configuration", err)
	}
	if e.cfg, err = spec.Decode(frozen); err != nil {
		return fail("applied configuration", err)
	}
	return nil
}

// holdConfig makes cfg the applied configuration, and gives it to the keeper for the next engine. On an error nothing
// changed.
func (e *Engine) holdConfig(cfg *spec.Config, a agenda) error {
	frozen, err := spec.Encode(cfg)
	if err != nil {
		return err
	}
	applied, err := spec.Decode(frozen) // what the next engine will read, and without what only reading the files needed
	if err != nil {
		return err
	}
	fd, err := e.kept("config", append(append(mustJSON(a), '\n'), frozen...))
	if err != nil {
		return err
	}
	e.cfg, e.agenda = applied, a
	e.link.send(&keeper.Message{Kind: keeper.Hold, Name: "config"}, fd)
	unix.Close(fd)
	return nil
}

// kept is a file that holds data, for the keeper to hold under a name. It outlives both processes where that is possible.
func (e *Engine) kept(name string, data []byte) (int, error) {
	if fd, err := keeper.KeptFile(e.o.MemoryDir, data); err == nil {
		return fd, nil
	}
	return keeper.Memfd(name, data)
}

// A rowIn is what the keeper said of one unit.
type rowIn struct {
	m      *keeper.Message
	fds    []int
	record record
	known  bool // there is a record, and it could be read

	refusing []keeper.Member
}

func (e *Engine) list() (map[string]*rowIn, error) {
	if err := e.link.tell(&keeper.Message{Kind: keeper.List}); err != nil {
		return nil, fail("keeper", err)
	}
	rows := map[string]*rowIn{}
	for {
		m, fds, err := e.link.receive()
		if err != nil {
			return nil, fail("keeper", err)
		}
		switch m.Kind {
		case keeper.Row:
			r := &rowIn{m: m, fds: fds}
			if len(m.Record) > 0 && !e.o.Fresh {
				r.known = json.Unmarshal(m.Record, &r.record) == nil
			}
			rows[m.Unit] = r
		case keeper.Refusing: // comes right after its row
			if r := rows[m.Unit]; r != nil {
				r.refusing = m.Members
			}
		case keeper.Listed:
			e.daemon = daemonRecord{Mode: running, Only: e.o.Only}
			if len(m.Record) > 0 {
				if err := json.Unmarshal(m.Record, &e.daemon); err != nil {
					e.log.Error("internal error: the daemon's record cannot be read", "error", err)
				}
			}
			return rows, nil
		default:
			keeper.CloseAll(fds)
		}
	}
}

// restore gives every instance its record. A row that belongs to no service of the configuration any more is of one that
// was removed or scaled down: it gets an instance of its own, to be stopped and forgotten.
func (e *Engine) restore(rows map[string]*rowIn) {
	for name, r := range rows {
		in := e.insts[name]
		if in == nil {
			if isHelper(name) {
				e.strayHelper(r)
				continue
			}
			service, n, ok := spec.ParseInstance(name)
			s := e.service(service)
			if !ok || s == nil {
				e.unknown(r)
				continue
			}
			in = e.newInst(s, n)
			in.leaver, e.leavers = true, true
		}
		in.op = r.m.Op
		in.start = r.m.Start
		in.seen = r.m.Seen
		in.refusing = r.refusing
		if r.known {
			in.u, in.hash, in.status, in.parked = r.record.Unit, r.record.Spec, r.record.Status, r.record.Parked
			in.lastPid, in.verdict, in.pulse.told = r.record.LastPid, r.record.Verdict, r.record.Told
			e.restoreWatchdog(in, &r.record)
			in.errno, in.reloading = r.record.Errno, r.record.Reloading
			if p := r.record.Times; p != nil {
				in.times = &timetable{line: p.Line, state: p.State, heapIndex: -1}
			}
			in.svc.unready = max(in.svc.unready, r.record.Unready)
			e.bucket.Paid = max(e.bucket.Paid, r.record.Paid)
		} else {
			in.u = rebuilt(r.m, e.now)
			in.hash = in.svc.hash // for all that is known
		}
		in.shown = shown{state: state(in), gen: in.u.Gen, phase: in.u.Phase}
		in.stored = in.u.Want
		if len(in.svc.spec.Checks) > 0 {
			e.touch(in)
		}
		e.busy += busy(in.u)
		e.heap.set(in, in.u.Deadline)
		e.adoptFiles(in, r.m.Names, r.fds)
		r.fds = nil
		e.findAgain(in)
		if in.u.Phase == unit.Idle || in.u.Phase == unit.Failed { // the last engine died over it
			e.dropStored(in, dropAll)
		}
	}
}

// unknown takes leave of a row that no service of the configuration explains.
func (e *Engine) unknown(r *rowIn) {
	keeper.CloseAll(r.fds)
	if r.m.State == keeper.Alive || r.m.State == keeper.InSpawn || !r.m.Empty {
		e.log.Error("a process of an unknown service is left alone", "unit", r.m.Unit, "pid", r.m.Pid)
		return
	}
	e.link.send(&keeper.Message{Kind: keeper.Forget, Unit: r.m.Unit})
}

// rebuilt is a unit of which only the keeper's row is known: its process is there or not, and that is all.
func rebuilt(m *keeper.Message, now unit.Time) unit.Unit {
	u := unit.Unit{Gen: m.Gen, Since: now}
	switch {
	case m.State == keeper.Alive, m.State == keeper.Ended && !m.Empty: // of one that left something behind, the end is still to be told
		u.Want, u.Phase, u.Pid, u.Started, u.WasReady, u.DepsMet = unit.Up, unit.Ready, m.Pid, unit.Time(m.At), true, true
	case m.State == keeper.InSpawn:
		u.Want, u.Phase, u.DepsMet, u.Deadline = unit.Up, unit.Spawning, true, now.Add(time.Minute)
	}
	return u
}

// reconcile steps what happened while no engine was there.
func (e *Engine) reconcile(rows map[string]*rowIn) {
	for name, r := range rows {
		in := e.insts[name]
		if in == nil {
			continue
		}
		if in.u.Phase == unit.Spawning && in.u.Gen > r.m.Gen {
			e.spawnAgain(in)
			continue
		}
		if in.u.Gen != r.m.Gen {
			continue
		}
		e.reconcileOne(in, r.m)
		if in.u.Phase == unit.Killing { // harmless to repeat, and it may not have been said
			e.flush(in)
			e.sendOrder(in, &keeper.Message{Kind: keeper.KillTree, Gen: in.u.Gen})
		}
	}
}

// reconcileOne tells a unit what became of its generation, in the order in which it happened.
func (e *Engine) reconcileOne(in *inst, m *keeper.Message) {
	if m.State == keeper.Alive || m.State == keeper.Ended {
		e.step(in, unit.Event{Kind: unit.Spawned, Gen: m.Gen, Pid: m.Pid, At: unit.Time(m.At)})
		if m.Pid != in.u.Pid {
			e.step(in, unit.Event{Kind: unit.MainMoved, Gen: m.Gen, Pid: m.Pid})
		}
	}
	switch m.State {
	case keeper.Ended:
		exit := *m
		exit.Kind = keeper.Exited
		if e.holdBack(in, fact{m: &exit}) {
			return
		}
		e.exited(in, &exit)
		if m.Empty {
			e.step(in, unit.Event{Kind: unit.TreeEmpty, Gen: m.Gen})
		}
	case keeper.NotBorn:
		e.spawnFailed(in, m)
	case keeper.NoProcess:
		e.step(in, unit.Event{Kind: unit.TreeEmpty, Gen: m.Gen})
	}
}

// spawnAgain is for a unit whose Spawn was decided but never reached the keeper.
func (e *Engine) spawnAgain(in *inst) {
	if in.u.Reason != unit.NoReason {
		e.notMade(in)
		return
	}
	in.act = unit.Action{Kind: unit.Spawn, Gen: in.u.Gen}
	e.touch(in)
}

// startWanted starts what was never started, and carries on with a down or an apply that was under way.
func (e *Engine) startWanted(rows map[string]*rowIn, first bool) {
	if first {
		e.saveDaemon()
	}
	if e.daemon.Mode == goingDown {
		e.goDown(e.daemon.Now, nil)
		return
	}
	want := e.wanted()
	for _, i := range e.graph.Order() {
		s := e.services[i]
		if !want[i] || s.hasRecord(rows) && !anyWanted(s) {
			continue // an operator stopped it, and what was added to it since stays down too
		}
		for _, in := range s.insts {
			if r := rows[in.name]; !in.leaver && (r == nil || !r.known && in.u.Phase == unit.Idle) {
				e.step(in, in.asPlanned())
				in.asked, in.stored = false, unit.Up // the next engine would start it too
			}
		}
		e.settleGraph() // who comes after it hears that it is on its way before its own start
	}
	e.carryOut()
}

func (s *service) hasRecord(rows map[string]*rowIn) bool {
	for _, in := range s.insts {
		if r := rows[in.name]; r != nil && r.known {
			return true
		}
	}
	return false
}

// wanted says which services a start of the daemon starts.
func (e *Engine) wanted() map[int]bool {
	want := map[int]bool{}
	for i, s := range e.services {
		if len(e.daemon.Only) == 0 && s.spec.Enabled && !s.spec.Leaving {
			e.pull(want, i)
		}
	}
	for _, name := range e.daemon.Only {
		if i, ok := e.graph.Index(name); ok {
			e.pull(want, i)
		}
	}
	return want
}

// pull adds a service and all that it needs or wants.
func (e *Engine) pull(want map[int]bool, i int) {
	if want[i] {
		return
	}
	for _, j := range e.graph.Pull(i) {
		want[j] = true
	}
}

// saveDaemon stores the daemon's own record.
func (e *Engine) saveDaemon() {
	e.link.send(&keeper.Message{Kind: keeper.Note, Record: mustJSON(e.daemon)})
}
