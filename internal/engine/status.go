package engine

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// A snapshot is everything there is to see, at one version. Nobody changes it.
type snapshot struct {
	version uint64
	at      unit.Time
	list    []api.Instance
}

// Status returns one Instance each for target.
func (e *Engine) Status(ctx context.Context, target string) ([]api.Instance, error) {
	var list []api.Instance
	var refused error
	err := e.do(ctx, func() {
		insts, err := e.resolve(target)
		if err != nil {
			refused = err
			return
		}
		if target == "" || target == "all" {
			list = e.snapshot().list
			return
		}
		for _, in := range insts {
			list = append(list, e.instance(in))
		}
	})
	if err = first(err, refused); err != nil {
		return nil, err
	}
	list = append([]api.Instance{}, list...) // the caller's own
	sortInstances(list)
	return list, nil
}

// snapshot returns the current one; it is built again when something changed, or its ages are a second old.
func (e *Engine) snapshot() *snapshot {
	if e.snap != nil && e.snap.version == e.version && e.now.Sub(e.snap.at) < 100*time.Millisecond {
		return e.snap
	}
	s := &snapshot{version: e.version, at: e.now, list: make([]api.Instance, 0, len(e.insts))}
	for _, svc := range e.services {
		for _, in := range svc.insts {
			s.list = append(s.list, e.instance(in))
		}
	}
	e.snap = s
	return s
}

// instance is the row of one instance.
func (e *Engine) instance(in *inst) api.Instance {
	u := in.u
	a := api.Instance{Name: in.name, Service: in.svc.spec.Name, Number: in.number, State: state(in), Why: e.why(in), Pid: u.Pid,
		Since: e.wallOf(u.Since), Restarts: u.Restarts, Generation: u.Gen, Status: in.status}
	if u.Pid != 0 && u.Started != 0 {
		a.UptimeMS = e.now.Sub(u.Started).Milliseconds()
	}
	if in.pulse.watch != nil {
		e.read(in)
		held := ""
		if a.Pulse, held = e.worst(in); held != "" && (a.Why == "" || a.Why == in.status) {
			a.Why = held
		}
	}
	if in.svc.spec.Job != nil {
		a.Next, a.LastRun = e.next(in), e.lastRun(in)
	}
	if u.Phase == unit.Killing {
		for _, m := range in.refusing {
			a.Refusing = append(a.Refusing, api.Process{Pid: m.Pid, Comm: m.Comm, State: m.State, Where: m.Wchan})
		}
	}
	return a
}

// state is what an operator is told of a phase.
func state(in *inst) api.State {
	u := in.u
	switch u.Phase {
	case unit.Blocked, unit.Backoff:
		return api.Waiting
	case unit.Spawning, unit.Starting:
		return api.Starting
	case unit.Examining, unit.Dumping:
		if !u.WasReady {
			return api.Starting
		}
		return api.Running
	case unit.Ready:
		return api.Running
	case unit.Stopping, unit.Killing:
		return api.Stopping
	case unit.Failed:
		return api.Failed
	}
	switch {
	case u.Want == unit.Down:
		return api.Stopped
	case in.timed():
		return api.Waiting
	}
	return api.Done
}

// Show returns the effective settings of a service, secrets hidden.
func (e *Engine) Show(ctx context.Context, name string) (api.Service, error) {
	a := api.Service{Name: name}
	var refused error
	err := e.do(ctx, func() {
		s := e.service(name)
		if s == nil {
			refused = refuse("not-found", "there is no service "+quote(name), "`stay status` shows what there is")
			return
		}
		for _, in := range s.insts {
			a.Instances = append(a.Instances, e.instance(in))
		}
		a.Settings = s.spec.Settings()
	})
	return a, first(err, refused)
}

// Version says who answers.
func (e *Engine) Version(ctx context.Context) (api.Daemon, error) {
	var d api.Daemon
	err := e.do(ctx, func() {
		d = api.Daemon{Version: e.o.Version, KeeperPid: e.about.Pid, EnginePid: os.Getpid(), Started: time.Unix(0, e.about.Started),
			Engines: e.about.Engines, File: e.cfg.File, RuntimeDir: e.cfg.Daemon.RuntimeDir, LogDir: e.cfg.Daemon.LogDir,
			Mode: string(e.daemon.Mode), Event: e.events.next - 1}
		if u := e.daemon.Upgrade; u != nil {
			shown := u.shown()
			d.Upgrade = &shown
		}
	})
	return d, err
}

func members(list []keeper.Member) string {
	var parts []string
	for _, m := range list {
		s := m.Comm + " (pid " + strconv.Itoa(m.Pid) + ", state " + m.State
		if m.Wchan != "" && m.Wchan != "0" {
			s += ", in " + m.Wchan
		}
		parts = append(parts, s+")")
	}
	return strings.Join(parts, ", ")
}
