package engine

import (
	"slices"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A wait is a client that waits until instances got where a command should bring them.
type wait struct {
	verb   api.Verb
	target string // of Wait
	insts  []*inst
	from   map[*inst]uint64 // the generation before the command
	left   map[*inst]bool
	result api.Result
	done   chan struct{}
	closed bool

	by      *api.Caller // nil: nobody said
	asked   string      // the command's target
	command uint64      // number of the command's event; 0: its result is nobody's business
}

func newWait() *wait { return &wait{left: map[*inst]bool{}, done: make(chan struct{})} }

// waitFor has w wait for in. The end of generations up to from is no failure of the command.
func (e *Engine) waitFor(w *wait, in *inst, from uint64) {
	if w.from == nil {
		w.from = map[*inst]uint64{}
	}
	w.from[in] = from
	w.left[in] = true
	in.waits = append(in.waits, w)
}

// settle completes w where nothing is left to wait for.
func (e *Engine) settle(w *wait) {
	for in := range w.left {
		e.judgeWait(w, in)
	}
	e.completeWait(w)
}

func (e *Engine) completeWait(w *wait) {
	if len(w.left) > 0 || w.closed {
		return
	}
	w.closed = true
	for _, in := range w.insts {
		w.result.Instances = append(w.result.Instances, e.instance(in))
	}
	for _, in := range w.insts {
		in.waits = remove(in.waits, w)
	}
	e.commandDone(w)
	e.answers = append(e.answers, func() { close(w.done) })
}

// judgeWait looks whether in got where w wants it.
func (e *Engine) judgeWait(w *wait, in *inst) {
	there, failed := reached(w, in)
	if !there && failed == "" && !w.forEnd() && in.u.Phase == unit.Blocked {
		failed = e.hopeless(in.svc)
	}
	if !there && failed == "" {
		return
	}
	if failed != "" {
		w.result.Failures = append(w.result.Failures, api.Failure{Name: in.name, Message: failed})
	}
	delete(w.left, in)
	in.waits = remove(in.waits, w)
}

// forEnd says whether w waits for the end of something.
func (w *wait) forEnd() bool {
	return w.verb == api.Stop || w.verb == api.Wait && w.target == "stopped"
}

// hopeless says what keeps a blocked service from ever starting unless somebody does something, "" if nothing does: what it
// needs is not wanted or has failed for good, or needs such a thing itself.
func (e *Engine) hopeless(s *service) string {
	for _, i := range e.graph.Needs(s.index) {
		need := e.services[i]
		if need.status.Ready {
			continue
		}
		for _, in := range need.insts {
			switch {
			case in.leaver:
			case in.u.Phase == unit.Failed, in.u.Phase == unit.Idle:
				return "waiting for " + in.name + ", which is " + string(state(in))
			case in.u.Phase == unit.Blocked:
				if why := e.hopeless(need); why != "" {
					return "waiting for " + in.name + ", " + why
				}
			}
		}
	}
	return ""
}

// reached says whether in is where w wants it, or has failed to get there, with a phrase.
func reached(w *wait, in *inst) (there bool, failed string) {
	u := in.u
	switch {
	case in.svc.spec.Job != nil && !w.forEnd():
		return ranOnce(w, in)
	case w.forEnd():
		return u.Phase == unit.Idle && u.Want == unit.Down || w.verb == api.Wait && !u.HasProcess() && u.Phase != unit.Backoff && u.Phase != unit.Blocked, ""
	case u.Phase == unit.Ready && (u.Gen > w.from[in] || w.verb == api.Wait):
		return true, ""
	case u.Phase == unit.Idle && u.Want != unit.Down && u.Last.Gen > w.from[in] && u.Last.Good(in.svc.spec.Success):
		return true, ""
	case u.Phase == unit.Idle && u.Want == unit.Down:
		return false, "it was stopped meanwhile"
	case in.parked != "":
		return false, "internal error: " + firstLine(in.parked)
	case u.Phase == unit.Failed, u.Phase == unit.Backoff && u.Last.Gen > w.from[in], u.Phase == unit.Idle && u.Last.Gen > w.from[in]:
		return false, endPhrase(u.Last)
	}
	return false, ""
}

// ranOnce is reached for a job: who starts one waits for the end of the run, who waits for one, until it is planned or has
// done what it is for.
func ranOnce(w *wait, in *inst) (there bool, failed string) {
	u := in.u
	switch {
	case in.parked != "":
		return false, "internal error: " + firstLine(in.parked)
	case u.Want == unit.Down && u.Phase == unit.Idle:
		return false, "it was stopped meanwhile"
	case w.verb != api.Wait && in.svc.spec.Job.Every > 0 && u.Phase == unit.Ready && u.Gen > w.from[in]: // it is on its way
		return true, ""
	case w.verb == api.Wait && (!in.svc.spec.Job.Once() || u.Done):
		return true, ""
	case u.HasProcess() || u.Phase == unit.Blocked || w.verb != api.Wait && u.Last.Gen <= w.from[in]:
		return false, ""
	case u.Last.Good(in.svc.spec.Success):
		return true, ""
	case u.Phase == unit.Backoff && in.svc.spec.Restart.When != spec.RestartNever: // it is tried again
		return false, ""
	}
	return false, endPhrase(u.Last)
}

// publish tells waiting clients and readers of events what became of an instance.
func (e *Engine) publish(in *inst) {
	e.showChange(in)
	for _, w := range slices.Clone(in.waits) {
		e.judgeWait(w, in)
		e.completeWait(w)
	}
}

// sendSignal sends a signal that no policy knows of.
func (e *Engine) sendSignal(in *inst, sig spec.Signal) {
	e.sendOrder(in, &keeper.Message{Kind: keeper.SignalTo, Gen: in.u.Gen, Signal: int(sig), To: string(spec.StopMain)})
}

func remove(list []*wait, w *wait) []*wait {
	if i := slices.Index(list, w); i >= 0 {
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	return list
}
