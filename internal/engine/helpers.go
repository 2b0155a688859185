package engine

import (
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/launch"
	"example.com/stay/internal/probe"
	"example.com/stay/internal/unit"
)

// A helper is a command that runs beside an instance and for it: a check, later a hook. The keeper makes it as a unit of
// its own, with a tree of its own, so that all of it can be killed and its orphans are never taken for the service's. Its
// unit's name has a colon, which no instance's has. It has no record: the next engine kills what it finds of one and forgets
// it, and whoever wanted to know asks anew.
type helper struct {
	name    string // "web.2:check1"
	gen     uint64 // CLOCK_MONOTONIC when it was asked for: above that of every helper before it, whichever engine made that
	op      uint64 // of its last order; begins at gen
	mark    string
	timeout time.Duration
	done    func(helped) // nil: it was called, or nobody wants to know

	ordered bool         // the keeper knows of it
	killing bool         // its end was ordered
	pid     int          //
	start   uint64       // start time of pid
	refuses bool         // to die
	birth   *time.Timer  // nil: another engine asked for it
	clock   *probe.Clock // of its running; nil before it is born
	answer  *helped      // known, and not told as long as its output is awaited
	output  *tail        // nil before it is born
}

// A helped is how a helper's command went.
type helped struct {
	good    bool   // exit code 0
	late    bool   // it says nothing: its time was over while this engine or the machine was late itself, or nobody saw its end
	unasked bool   // the command could not be run
	message string // "exit code 1: last line of output"
}

const (
	// helperBirth is how long a helper may take to be born: looking up its program and its user may hang.
	helperBirth = 10 * time.Second
	// helperOutput is how long the end of a helper's output is awaited after its own: somebody else may hold the pipe.
	helperOutput = 100 * time.Millisecond
)

// helperName names the unit of a helper of an instance.
func helperName(in *inst, what string) string { return in.name + ":" + what }

// isHelper tells a helper's unit from an instance's.
func isHelper(unit string) bool { return strings.Contains(unit, ":") }

// liveHelper says whether h, which may be nil, is there, or still to be made.
func (e *Engine) liveHelper(h *helper) bool { return h != nil && e.helpers[h.name] == h }

// runHelper runs command beside in, as its user and with its directory, environment and limits, and calls done with how it
// went, on the loop, once. Its whole tree is killed when it has run for timeout, and when its main process has ended.
// There may be one helper of a name at a time: nil says that the last one is not gone yet.
func (e *Engine) runHelper(in *inst, what string, command []string, timeout time.Duration, done func(helped)) *helper {
	name := helperName(in, what)
	if e.helpers[name] != nil {
		return nil
	}
	h := &helper{name: name, gen: uint64(e.now), op: uint64(e.now), timeout: timeout, done: done}
	h.mark = e.treeMark(name, h.gen)
	e.addHelper(h)
	h.birth = time.AfterFunc(max(timeout, helperBirth), func() {
		e.post(func() {
			if h.clock == nil {
				e.helperDue(h)
			}
		})
	})
	sp := *in.svc.spec
	sp.Command = command
	number := in.number
	go func() {
		env := environment(&sp, in.name, number, h.mark, e.o.Socket)
		ready, failure := launch.Prepare(request(&sp, env))
		e.post(func() { e.helperPrepared(h, ready, failure) })
	}()
	return h
}

func (e *Engine) addHelper(h *helper) {
	if e.helpers == nil {
		e.helpers = map[string]*helper{}
	}
	e.helpers[h.name] = h
	e.busy++ // the daemon does not leave before it has gone
}

// helperPrepared orders the spawn, unless it is not wanted any more.
func (e *Engine) helperPrepared(h *helper, ready launch.Prepared, failure *launch.Failure) {
	switch {
	case !e.liveHelper(h): // it was killed meanwhile
	case failure != nil:
		e.answerHelper(h, helped{unasked: true, message: failure.Error()})
		e.helperGone(h)
	default:
		h.ordered = true
		e.orderHelper(h, &keeper.Message{Kind: keeper.SpawnOrder, Spawn: spawnOf(ready, h.mark)})
	}
}

// orderHelper completes m and sends it.
func (e *Engine) orderHelper(h *helper, m *keeper.Message) {
	h.op++
	m.Unit, m.Gen, m.Op = h.name, h.gen, h.op
	e.link.send(m)
}

// killHelper ends h, which may be nil, with its whole tree; nobody hears how it went.
func (e *Engine) killHelper(h *helper) {
	if h == nil {
		return
	}
	h.done = nil
	e.endHelper(h)
}

// endHelper orders the end of h's tree, once. One that is not ordered yet will not be.
func (e *Engine) endHelper(h *helper) {
	switch {
	case !e.liveHelper(h) || h.killing:
	case h.ordered:
		h.killing = true
		e.orderHelper(h, &keeper.Message{Kind: keeper.KillTree})
	default:
		e.helperGone(h)
	}
}

// helperFact takes a message of the keeper about a helper. The descriptors are the caller's, but for those it takes out.
func (e *Engine) helperFact(f *fact) {
	m := f.m
	h := e.helpers[m.Unit]
	if h == nil || m.Gen != h.gen {
		return
	}
	switch m.Kind {
	case keeper.Spawned:
		if h.birth != nil {
			h.birth.Stop()
		}
		h.pid, h.start = m.Pid, m.Start
		h.clock = probe.Watch(h.timeout, func() { e.post(func() { e.helperDue(h) }) })
		e.readHelper(h, f)
	case keeper.SpawnFailed:
		e.answerHelper(h, helped{unasked: true, message: endPhrase(spawnEnd(m, e.now))})
		e.helperGone(h)
	case keeper.Exited:
		e.helperExited(h, m)
		if m.Empty {
			e.helperGone(h)
		} else {
			e.endHelper(h) // what it left behind is of no use to anybody
		}
	case keeper.TreeEmpty:
		e.helperGone(h)
	case keeper.Refusing:
		h.refuses = true
		e.log.Warn("a helper refuses to die", "unit", h.name, "processes", members(m.Members))
	}
}

// helperExited judges the end of the main process. One that came in time counts, however late it is heard.
func (e *Engine) helperExited(h *helper, m *keeper.Message) {
	end := endOf(m.Exit)
	a := helped{good: end.Reason == unit.ExitCode && end.Code == 0, message: endPhrase(unit.End{Gen: 1, Reason: end.Reason, Code: end.Code, Signal: end.Signal, Core: end.Core})}
	if m.Exit == nil {
		a.late, a.message = true, "nobody saw its end"
	}
	e.answerHelper(h, a)
}

// helperDue ends a helper whose time is over: time in which this engine ran.
func (e *Engine) helperDue(h *helper) {
	switch {
	case !e.liveHelper(h):
	case h.clock == nil:
		e.answerHelper(h, helped{unasked: true, message: "it could not be started in time"})
	default:
		e.answerHelper(h, helped{late: h.clock.Stop() > 0, message: fmt.Sprintf("no answer within %s", h.timeout)})
	}
	e.endHelper(h)
}

// answerHelper notes the answer, and tells it when the output that belongs to it is known. The first answer counts.
func (e *Engine) answerHelper(h *helper, a helped) {
	if h.answer != nil || h.done == nil {
		return
	}
	h.answer = &a
	if h.output == nil || h.output.ended {
		e.tellHelper(h)
		return
	}
	e.after(helperOutput, func() { e.tellHelper(h) })
}

// tellHelper tells the answer.
func (e *Engine) tellHelper(h *helper) {
	done, a := h.done, h.answer
	if done == nil || a == nil {
		return
	}
	h.done = nil
	if h.output != nil && !a.good {
		if line := h.output.lastLine(); line != "" {
			a.message += ": " + line
		}
	}
	done(*a)
}

// helperGone forgets a helper of which nothing is left.
func (e *Engine) helperGone(h *helper) {
	if !e.liveHelper(h) {
		return
	}
	delete(e.helpers, h.name)
	e.busy--
	if h.birth != nil {
		h.birth.Stop()
	}
	if h.clock != nil {
		h.clock.Stop()
	}
	if h.output != nil {
		h.output.giveUp()
	}
	if h.ordered {
		e.link.send(&keeper.Message{Kind: keeper.Forget, Unit: h.name})
	}
	e.answerHelper(h, helped{late: true, message: "killed"}) // unless there is an answer
}

// readHelper takes the log pipe of a helper that was born.
func (e *Engine) readHelper(h *helper, f *fact) {
	for i, name := range f.m.Names {
		if what, _ := keeper.ParseFileName(name); what != keeper.LogPipe || i >= len(f.fds) || h.output != nil {
			continue
		}
		h.output = &tail{pipe: os.NewFile(uintptr(f.fds[i]), h.name)}
		f.fds[i] = -1
		go h.output.read(func() {
			e.post(func() {
				h.output.ended = true
				e.tellHelper(h)
			})
		})
	}
}

// strayHelper ends a helper that another engine has left.
func (e *Engine) strayHelper(r *rowIn) {
	keeper.CloseAll(r.fds)
	r.fds = nil
	h := &helper{name: r.m.Unit, gen: r.m.Gen, op: r.m.Op, ordered: true, pid: r.m.Pid, start: r.m.Start}
	e.addHelper(h)
	e.endHelper(h)
}

// handOverHelpers has another keeper end the helpers of one that has died. How they went is not known.
func (e *Engine) handOverHelpers() {
	for _, h := range e.helpers {
		if !h.ordered {
			continue
		}
		m := &keeper.Message{Kind: keeper.Adopt, Unit: h.name, Gen: h.gen, Op: h.op, Name: h.mark}
		if h.pid != 0 {
			m.State, m.Pid, m.Start = keeper.Alive, h.pid, h.start
		}
		e.link.send(m)
		h.killing = false
		e.answerHelper(h, helped{late: true, message: "the keeper was killed"})
		e.endHelper(h)
	}
}

// spawnOf is the order for a program that was looked up.
func spawnOf(ready launch.Prepared, mark string) *keeper.Spawn {
	s := &keeper.Spawn{UID: ready.UID, GID: ready.GID, Mark: mark}
	if ready.Direct {
		s.Exec = &keeper.Exec{Path: ready.Plan.Path, Argv: ready.Plan.Argv, Env: ready.Plan.Env, Dir: ready.Plan.Dir}
	} else {
		s.Stage = mustJSON(ready.Plan)
	}
	return s
}
