package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/stay/api"
	"example.com/stay/internal/graph"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/page"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// build makes services and graph of cfg. Instances that exist keep everything they have.
func (e *Engine) build(cfg *spec.Config) {
	old := map[string]*service{}
	for _, s := range e.services {
		old[s.spec.Name] = s
	}
	e.graph, _ = graph.New(nodes(cfg)) // cycles were refused when it was loaded
	e.tracker = graph.NewTracker(e.graph)
	e.services = make([]*service, e.graph.Len())
	e.dirty, e.unready, e.leavers = nil, nil, false
	for _, sp := range cfg.Services {
		i, _ := e.graph.Index(sp.Name)
		s := &service{spec: sp, hash: sp.Hash(), index: i}
		e.services[i] = s
		if was := old[sp.Name]; was != nil {
			s.unready = was.unready
			for _, in := range was.insts {
				in.svc = s
				s.insts = append(s.insts, in)
			}
		}
		e.number(s)
	}
	for place, i := range e.graph.Order() {
		e.services[i].order = place
	}
	e.judge.SetBrake(cfg.Daemon.KillBrake, len(e.insts))
	e.version++
}

// number sees to it that instances 1…n of a service exist, and that those above leave.
func (e *Engine) number(s *service) {
	have := map[int]*inst{}
	for _, in := range s.insts {
		have[in.number] = in
		in.leaver = in.number > s.spec.Instances || s.spec.Leaving
		e.leavers = e.leavers || in.leaver
		for _, st := range in.streams {
			st.SetPolicy(policy(s.spec, in.number))
		}
		if in.checking != nil || len(s.spec.Checks) > 0 {
			e.touch(in) // they may be others now
		}
	}
	for n := 1; n <= s.spec.Instances && !s.spec.Leaving; n++ {
		if have[n] == nil {
			e.newInst(s, n)
		}
	}
	e.leavers = e.leavers || s.spec.Transient
	slices.SortFunc(s.insts, func(a, b *inst) int { return cmp.Compare(a.number, b.number) })
}

func (e *Engine) newInst(s *service, n int) *inst {
	in := &inst{name: spec.InstanceName(s.spec.Name, n), number: n, svc: s, heapIndex: -1, pulse: pulse{heapIndex: -1}, notifyUID: -1, u: unit.Unit{Since: e.now}}
	e.insts[in.name] = in
	s.insts = append(s.insts, in)
	return in
}

// nodes makes the graph's view of a configuration.
func nodes(cfg *spec.Config) []graph.Node {
	list := make([]graph.Node, len(cfg.Services))
	for i, s := range cfg.Services {
		list[i] = graph.Node{Name: s.Name, Needs: s.Needs, Wants: s.Wants, After: s.After}
	}
	return list
}

// Cycles returns an error for each cycle in the dependencies of cfg, spelled out.
func Cycles(cfg *spec.Config) spec.Errors {
	_, cycles := graph.New(nodes(cfg))
	var errs spec.Errors
	for _, c := range cycles {
		errs = append(errs, spec.Error{File: cfg.File, Message: "dependencies go in a circle: " + c.String(),
			Hint: "take one of them out, or make it weaker: nobody in a circle can start first"})
	}
	return errs
}

// Apply reads the files again and makes them what runs. On an error nothing changed.
func (e *Engine) Apply(ctx context.Context) ([]api.Change, error) {
	by := api.CallerOf(ctx)
	changes, err := e.reread(ctx, func(next *spec.Config) ([]api.Change, error) { return e.apply(next, by) })
	if err != nil {
		_ = e.do(ctx, func() { e.daemonCommand("apply", "", by, "refused: apply", err) })
	}
	return changes, err
}

// Plan says what Apply would do now, and does nothing.
func (e *Engine) Plan(ctx context.Context) ([]api.Change, error) {
	return e.reread(ctx, func(next *spec.Config) ([]api.Change, error) {
		changes, _ := e.planned(next)
		return changes, nil
	})
}

// reread reads the files again, at the edge, and hands them to the loop if nothing is wrong with them.
func (e *Engine) reread(ctx context.Context, then func(next *spec.Config) ([]api.Change, error)) ([]api.Change, error) {
	next, errs := e.o.Load()
	if len(errs) == 0 {
		errs = Cycles(next)
	}
	if len(errs) > 0 {
		return nil, refuse("refused", errs.Error(), "nothing was changed; see `stay check`")
	}
	var changes []api.Change
	var refused error
	err := e.change(ctx, func() {
		if e.daemon.Mode != running {
			refused = errGoingDown()
			return
		}
		if len(next.Services) == 0 && len(visible(e.cfg).Services) > 0 { // a file that was cut off, more likely than a wish
			refused = refuse("refused", next.File+": the file names no service, and some run", "nothing was changed; `stay stop all` or `stay down`, if that is what is meant")
			return
		}
		changes, refused = then(next)
	})
	return changes, first(err, refused)
}

// planned is what it takes to make next what runs.
func (e *Engine) planned(next *spec.Config) ([]api.Change, agenda) {
	var changes []api.Change
	var a agenda
	for _, c := range spec.Diff(visible(e.cfg), next) {
		changes = append(changes, api.Change{Service: c.Service, Action: action(c, next), Keys: c.Keys})
		e.plan(&a, c, next.Service(c.Service))
	}
	return changes, a
}

// apply makes next what runs.
func (e *Engine) apply(next *spec.Config, by *api.Caller) ([]api.Change, error) {
	changes, a := e.planned(next)
	if err := e.become(merged(e.cfg, next), a); err != nil {
		return nil, err
	}
	e.daemonCommand("apply", "", by, "apply: "+summary(changes), nil)
	return changes, nil
}

// action is a change in the words of the API.
func action(c spec.Change, next *spec.Config) string {
	switch c.Action {
	case spec.ActionAdd:
		if next.Service(c.Service).Enabled {
			return "start"
		}
		return "none"
	case spec.ActionRemove:
		return "stop"
	case spec.ActionSame:
		return "none"
	}
	return string(c.Action)
}

func anyWanted(s *service) bool {
	for _, in := range s.insts {
		if !in.leaver && in.u.Want != unit.Down {
			return true
		}
	}
	return false
}

// visible is cfg as the operator wrote it: without what is leaving and what `stay run` made.
func visible(cfg *spec.Config) *spec.Config {
	v := *cfg
	v.Services = nil
	for _, s := range cfg.Services {
		if !s.Leaving && !s.Transient {
			v.Services = append(v.Services, s)
		}
	}
	return &v
}

// merged is next with what has to stay for a while: transient services, and those taken out until nothing of them runs.
func merged(was, next *spec.Config) *spec.Config {
	m := *next
	m.Daemon.RuntimeDir, m.Daemon.StateDir, m.Daemon.LogDir = was.Daemon.RuntimeDir, was.Daemon.StateDir, was.Daemon.LogDir
	m.Services = slices.Clone(next.Services)
	for _, s := range was.Services {
		if next.Service(s.Name) != nil {
			continue
		}
		if !s.Transient && !s.Leaving {
			gone := *s
			gone.Leaving, gone.Enabled = true, false
			s = &gone
		}
		m.Services = append(m.Services, s)
	}
	sortServices(&m)
	return &m
}

func sortServices(cfg *spec.Config) {
	slices.SortFunc(cfg.Services, func(a, b *spec.Service) int { return strings.Compare(a.Name, b.Name) })
}

// reapLeavers forgets instances that have left, and services without any.
func (e *Engine) reapLeavers() {
	var left []*inst
	empty := false
	for _, s := range e.services {
		if s.spec.Transient && !s.spec.Leaving && len(s.insts) > 0 && s.insts[0].u.Gen > 0 && s.insts[0].u.Phase == unit.Idle && s.insts[0].u.Want == unit.Down {
			s.insts[0].leaver = true
		}
		kept := s.insts[:0]
		for _, in := range s.insts {
			if in.leaver && in.u.Phase == unit.Idle && in.u.Want == unit.Down && len(in.heldBack) == 0 && !e.unsaved(in) {
				left = append(left, in)
				continue
			}
			kept = append(kept, in)
		}
		s.insts = kept
		empty = empty || len(kept) == 0
	}
	if empty { // first, or the next engine would find a service without a row, and start it
		e.dropServices()
	}
	for _, in := range left {
		e.forgetInst(in)
	}
}

// unsaved says whether there is output of an instance that is not in its log yet, because the disk is full, say. Who is forgotten
// has no pipes at the keeper any more: should the engine die, it would be lost.
func (e *Engine) unsaved(in *inst) bool {
	for _, st := range in.streams {
		if st.Stalled() > 0 || st.Unread() > 0 {
			return true
		}
	}
	return slices.ContainsFunc(e.late, func(o output) bool { return o.in == in })
}

func (e *Engine) forgetInst(in *inst) {
	e.busy -= busy(in.u)
	e.heap.set(in, 0)
	e.unqueue(in)
	if in.times != nil {
		e.untime(in)
	}
	e.handIn(in)
	if in.pulse.watch != nil {
		e.unwatch(in)
	}
	if in.svc.spec.Pulse != nil || in.pulse.page != nil { // the second: it had one before an apply
		e.closePage(in)
		go page.Remove(e.o.MemoryDir, pageName(in.name))
	}
	if in.notify != nil {
		in.notify.Close()
	}
	e.dropStored(in, dropAll)
	e.link.send(&keeper.Message{Kind: keeper.Forget, Unit: in.name})
	delete(e.insts, in.name)
	e.version++
}

// dropServices takes services without instances out of the applied configuration.
func (e *Engine) dropServices() {
	cfg := *e.cfg
	cfg.Services = nil
	for _, sp := range e.cfg.Services {
		if s := e.service(sp.Name); s != nil && len(s.insts) > 0 {
			cfg.Services = append(cfg.Services, sp)
		}
	}
	if err := e.holdConfig(&cfg, e.agenda); err != nil {
		e.log.Error("hold configuration", "error", err)
		return
	}
	e.build(e.cfg)
	e.initGraph()
}

// Run makes a transient service and starts it.
func (e *Engine) Run(ctx context.Context, r api.Run) (api.Result, error) {
	sp, errs := spec.NewTransient(spec.Transient{Name: r.Name, Directory: r.Directory, User: r.User, Restart: r.Restart, Ready: r.Ready,
		StartTimeout: r.StartTimeout, StopTimeout: r.StopTimeout, Pulse: r.Pulse, Every: r.Every, Command: r.Command, Env: r.Env, Environ: environ()})
	if len(errs) > 0 {
		return api.Result{}, refuse("bad-request", errs.Error(), "")
	}
	var refused error
	w := newWait()
	w.by = api.CallerOf(ctx)
	err := e.change(ctx, func() {
		switch {
		case e.daemon.Mode != running:
			refused = errGoingDown()
		case e.service(sp.Name) != nil:
			refused = refuse("conflict", "a service named "+quote(sp.Name)+" is there already",
				"choose another with --name, or `stay stop "+sp.Name+"` first")
		default:
			cfg := *e.cfg
			cfg.Services = append(slices.Clone(cfg.Services), sp)
			sortServices(&cfg)
			if refused = e.become(&cfg, agenda{Start: []string{sp.Name}}); refused == nil {
				refused = e.command(api.Command{Target: sp.Name, Verb: api.Start, NoWait: r.NoWait}, w)
			}
		}
	})
	return e.await(ctx, w, first(err, refused))
}

func summary(changes []api.Change) string {
	var parts []string
	for _, c := range changes {
		if c.Action != "none" {
			parts = append(parts, c.Action+" "+c.Service)
		}
	}
	if parts == nil {
		return "nothing changed"
	}
	return strings.Join(parts, ", ")
}
