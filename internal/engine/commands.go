package engine

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"example.com/stay/api"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// service returns the service of that name, nil if there is none.
func (e *Engine) service(name string) *service {
	if i, ok := e.graph.Index(name); ok {
		return e.services[i]
	}
	return nil
}

// resolve returns the instances that a target names, in the order of the graph.
func (e *Engine) resolve(target string) ([]*inst, error) {
	glob := strings.ContainsAny(target, "*?[")
	if _, err := path.Match(target, ""); err != nil {
		return nil, refuse("bad-request", "the pattern "+quote(target)+" is no pattern", "see `stay status` for the names")
	}
	var list []*inst
	for _, i := range e.graph.Order() {
		s := e.services[i]
		whole := target == "" || target == "all" || s.spec.Name == target || glob && match(target, s.spec.Name)
		for _, in := range s.insts {
			if whole || in.name == target || glob && match(target, in.name) || target == s.spec.Name+".1" && in.number == 1 {
				list = append(list, in)
			}
		}
	}
	if len(list) == 0 && !glob && target != "" && target != "all" {
		return nil, refuse("not-found", "there is no service "+quote(target), "`stay status` shows what there is")
	}
	return list, nil
}

func match(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Do takes a command and, unless it says NoWait, returns when every instance got there or failed to.
func (e *Engine) Do(ctx context.Context, c api.Command) (api.Result, error) {
	var refused error
	w := newWait()
	w.by = api.CallerOf(ctx)
	err := e.change(ctx, func() {
		if refused = e.command(c, w); refused != nil {
			e.commandRefused(c, w.by, refused)
		}
	})
	return e.await(ctx, w, first(err, refused))
}

// await returns what became of a command, if it was taken.
func (e *Engine) await(ctx context.Context, w *wait, err error) (api.Result, error) {
	if err != nil {
		return api.Result{}, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		_ = e.do(context.WithoutCancel(ctx), func() { e.abandon(w) })
		return api.Result{}, ctx.Err()
	case <-e.loop:
		return api.Result{}, errors.New("the engine is leaving")
	}
	for i := range w.result.Failures {
		f := &w.result.Failures[i]
		f.Log = e.lastLines(ctx, f.Name, 5)
	}
	return w.result, nil
}

// command steps every instance that the command names, and has w wait for them.
func (e *Engine) command(c api.Command, w *wait) error {
	if c.Verb == api.Scale {
		return e.scale(c, w)
	}
	list, err := e.resolve(c.Target)
	if err != nil {
		return err
	}
	if e.daemon.Mode == goingDown && c.Verb != api.Wait && c.Verb != api.Signal && c.Verb != api.Stop {
		return errGoingDown()
	}
	if c.Verb == api.Start || c.Verb == api.Restart || c.Verb == api.Reset {
		if list, err = staying(list); err != nil {
			return err
		}
	}
	w.verb, w.asked, w.insts = c.Verb, c.Target, list
	switch c.Verb {
	case api.Start:
		list = e.startList(list)
	case api.Stop, api.Restart, api.Reset:
	case api.Signal:
		return e.signalList(list, c, w)
	case api.Mute:
		return e.mute(list, c, w)
	case api.Wait:
		if c.For != "ready" && c.For != "running" && c.For != "stopped" {
			return refuse("bad-request", "cannot wait for "+quote(c.For), "say ready, running or stopped")
		}
		w.target = c.For
		if c.Target == "all" || c.Target == "" {
			w.insts = wantedOf(list)
			list = w.insts
		}
	default:
		return refuse("bad-request", "unknown command "+quote(string(c.Verb)), "")
	}
	for _, in := range list { // in the order of the graph: each hears first that those before it are on their way
		e.commandOne(in, c, w)
		if c.Verb == api.Start {
			e.settleGraph()
		}
	}
	if c.Verb != api.Wait {
		e.commandTaken(c, w)
	}
	if c.NoWait {
		w.left = map[*inst]bool{}
	}
	e.settleGraph() // so that what was asked for together is seen together
	e.settle(w)
	return nil
}

// staying leaves out who is on the way out of the configuration: nobody brings those back but an apply. It refuses where
// nobody else was named.
func staying(list []*inst) ([]*inst, error) {
	var stay []*inst
	for _, in := range list {
		if !in.leaver {
			stay = append(stay, in)
		}
	}
	if len(stay) == 0 && len(list) > 0 {
		return nil, refuse("not-found", quote(list[0].name)+" is being stopped, and no longer in the configuration", "put it back into the file, then `stay apply`")
	}
	return stay, nil
}

// scale has another number of instances of a service, and w wait for those that are new.
func (e *Engine) scale(c api.Command, w *wait) error {
	if e.daemon.Mode != running {
		return errGoingDown()
	}
	cfg, err := spec.Scaled(e.cfg, c.Target, c.Instances)
	if err != nil {
		return refuse("refused", err.Error(), "`stay status` shows what there is; for example: stay scale web=4")
	}
	var a agenda
	s := e.service(c.Target)
	if c.Instances > s.spec.Instances && anyWanted(s) {
		a.Grow = map[string]int{c.Target: s.spec.Instances}
	}
	if err := e.become(cfg, a); err != nil {
		return err
	}
	w.verb, w.asked = c.Verb, c.Target
	for _, in := range e.service(c.Target).insts {
		if in.leaver {
			continue
		}
		w.insts = append(w.insts, in)
		if in.u.Want != unit.Down && !c.NoWait {
			e.waitFor(w, in, max(in.u.Gen, 1)-1)
		}
	}
	e.commandTaken(c, w)
	e.settleGraph()
	e.settle(w)
	return nil
}

// wantedOf leaves out what nobody has asked for.
func wantedOf(list []*inst) []*inst {
	var wanted []*inst
	for _, in := range list {
		if in.u.Want != unit.Down {
			wanted = append(wanted, in)
		}
	}
	return wanted
}

func (e *Engine) commandOne(in *inst, c api.Command, w *wait) {
	from := in.u.Gen
	moved := c.Gen != 0 && in.u.Gen > c.Gen // the command was carried out before, its answer was lost
	switch c.Verb {
	case api.Start:
		e.step(in, unit.Event{Kind: unit.Start})
		if in.u.Gen == from && onItsWay(in.u) {
			from--
		}
	case api.Stop:
		if !moved {
			in.by = "stop"
			e.stop(in, false)
		}
	case api.Restart:
		if moved {
			from = c.Gen
		} else {
			e.unpark(in)
			in.by = "restart"
			e.step(in, unit.Event{Kind: unit.Restart, Reason: unit.ByOperator})
		}
	case api.Reset:
		e.step(in, unit.Event{Kind: unit.Reset})
		e.touch(in)
		return
	}
	e.waitFor(w, in, from)
}

// onItsWay says whether the generation there is, is the one that a start asks for.
func onItsWay(u unit.Unit) bool {
	switch u.Phase {
	case unit.Ready, unit.Starting, unit.Examining, unit.Dumping:
		return true
	case unit.Spawning:
		return u.Reason == unit.NoReason
	}
	return false
}

// startList adds what the instances need, and asks for it first.
func (e *Engine) startList(list []*inst) []*inst {
	want := map[int]bool{}
	for _, in := range list {
		e.pull(want, in.svc.index)
	}
	asked := map[*inst]bool{}
	own := map[int]bool{}
	for _, in := range list {
		asked[in] = true
		own[in.svc.index] = true
	}
	for _, i := range e.graph.Order() {
		if want[i] && !own[i] && !anyWanted(e.services[i]) {
			for _, in := range e.services[i].insts {
				if !in.leaver {
					e.step(in, in.asPlanned())
				}
			}
			e.settleGraph()
		}
	}
	return list
}

// unpark gives an instance that a panic had parked another chance.
func (e *Engine) unpark(in *inst) {
	if in.parked != "" {
		in.parked = ""
		e.heap.set(in, in.u.Deadline)
	}
}

// stop asks one instance to end: after those that need its service, if it is the last that they have.
func (e *Engine) stop(in *inst, now bool) {
	held := !now && e.mustWait(in)
	e.step(in, unit.Event{Kind: unit.Stop, Held: held, Now: now})
}

// mustWait says whether the stop of in has to wait for services that need it. Another instance that stays keeps them.
func (e *Engine) mustWait(in *inst) bool {
	if e.free(in.svc) {
		return false
	}
	if e.daemon.Mode == goingDown {
		return true
	}
	for _, other := range in.svc.insts {
		if other != in && !other.leaver && other.u.Want != unit.Down {
			return false
		}
	}
	return true
}

func (e *Engine) signalList(list []*inst, c api.Command, w *wait) error {
	sig, ok := spec.ParseSignal(c.Signal)
	if !ok {
		return refuse("bad-request", "unknown signal "+quote(c.Signal), "kill -l lists them")
	}
	sent := 0
	for _, in := range list {
		if in.u.Pid == 0 {
			continue
		}
		e.flush(in)
		e.sendSignal(in, sig)
		sent++
	}
	if sent == 0 {
		return refuse("conflict", "nothing to signal: no process is running", "`stay status` shows what runs")
	}
	c.Signal = sig.String()
	e.commandTaken(c, w)
	e.settle(w)
	return nil
}

// mute has the judge see what there is now of each instance's pulses, until it was restarted for that.
func (e *Engine) mute(list []*inst, c api.Command, w *wait) error {
	muted := 0
	for _, in := range list {
		if in.pulse.watch == nil || in.u.Phase != unit.Ready {
			continue
		}
		slots, _ := e.slots(in)
		live := false
		for _, s := range slots {
			live = live || s.State == judge.Busy || s.State == judge.Idle
		}
		if live {
			in.pulse.muted = slices.Clone(e.naming(in, slots))
			muted++
		}
	}
	if muted == 0 {
		return refuse("conflict", "no pulse to hold back: none of "+quote(c.Target)+" is ready and has a live pulse", "`stay pulse` shows what there is")
	}
	e.commandTaken(c, w)
	e.settle(w)
	return nil
}

// Shutdown stops everything in reverse order and returns when all is down.
func (e *Engine) Shutdown(ctx context.Context, now bool) error {
	done := make(chan struct{})
	err := e.do(ctx, func() {
		e.down = append(e.down, func() { close(done) })
		e.goDown(now, api.CallerOf(ctx))
	})
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.loop:
		return nil
	}
}

// goDown stores the intention first, then stops everything, dependents before what they need.
func (e *Engine) goDown(now bool, by *api.Caller) {
	first := e.daemon.Mode != goingDown || now && !e.daemon.Now
	e.daemon.Mode, e.daemon.Now = goingDown, now || e.daemon.Now
	if first {
		e.saveDaemon()
		e.daemonCommand("down", "", by, "down", nil)
	}
	e.queue, e.queueAt = nil, 0
	order := e.graph.Order()
	for n := len(order) - 1; n >= 0; n-- {
		for _, in := range e.services[order[n]].insts {
			in.queued = false
			e.stop(in, e.daemon.Now)
		}
	}
}

// abandon forgets a wait whose client has gone.
func (e *Engine) abandon(w *wait) {
	for in := range w.left {
		in.waits = remove(in.waits, w)
	}
	w.left = nil
}
