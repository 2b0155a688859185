package engine

import (
	"context"
	"fmt"
	"hash/fnv"
	"reflect"
	"strconv"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/probe"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: the checks of instances. They are asked while an instance is ready and at no other time, each on a goroutine
// at the edge or by a helper; the answers are counted here. A new generation begins at zero.

// A checking is the checks of one generation while it is ready.
type checking struct {
	gen   uint64
	specs []spec.Check
	asked []*asked
}

// An asked is one check of one generation.
type asked struct {
	number  int // from 1
	check   *spec.Check
	count   judge.Check
	failing bool               // too often: it was told, and the status says so
	unasked string             // why it could not be asked; told
	held    int                // answers in a row that did not count
	last    unit.Time          // of the last answer; 0: none yet
	timer   *time.Timer        // of the next question
	cancel  context.CancelFunc // of a question under way; nil: none
	helper  *helper            // the last that was asked to run
}

// maxHeld is how many bad answers in a row do not count because the machine is too busy to say whose fault they are.
const maxHeld = 10

// tendChecks sees to it that the checks of in are asked if and only if it is ready.
func (e *Engine) tendChecks(in *inst) {
	specs := in.svc.spec.Checks
	c := in.checking
	if c == nil && len(specs) == 0 {
		return
	}
	due := in.u.Phase == unit.Ready && !in.u.Held && in.parked == "" && len(specs) > 0
	if c != nil && due && c.gen == in.u.Gen && sameChecks(c.specs, specs) {
		return
	}
	if c != nil && due && c.gen == in.u.Gen { // the configuration has changed: what the old ones said is of no account
		for _, a := range c.asked {
			e.checkPassed(in, a.check.Name())
		}
	}
	e.endChecks(in)
	if due {
		e.beginChecks(in)
	}
}

// sameChecks is quick for those that are one list.
func sameChecks(a, b []spec.Check) bool {
	return len(a) == len(b) && (&a[0] == &b[0] || reflect.DeepEqual(a, b))
}

func (e *Engine) beginChecks(in *inst) {
	c := &checking{gen: in.u.Gen, specs: in.svc.spec.Checks}
	in.checking = c
	for i := range c.specs {
		a := &asked{number: i + 1, check: &c.specs[i]}
		c.asked = append(c.asked, a)
		e.askAfter(in, c, a, firstWait(in.name, a.number, a.check.Every))
	}
}

// firstWait is when a check is asked first: between half its interval and the whole, by its name, so that those of a
// thousand instances do not come together.
func firstWait(name string, number int, every time.Duration) time.Duration {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s:%d", name, number)
	return every/2 + time.Duration(float64(every/2)*float64(h.Sum32())/(1<<32))
}

// endChecks stops asking. What a check runs is killed whole before anything is done to the instance.
func (e *Engine) endChecks(in *inst) {
	c := in.checking
	if c == nil {
		return
	}
	in.checking = nil
	for _, a := range c.asked {
		a.timer.Stop()
		if a.cancel != nil {
			a.cancel()
		}
		e.killHelper(a.helper)
	}
}

// askAfter has the question put when d has passed, unless the checks have ended by then.
func (e *Engine) askAfter(in *inst, c *checking, a *asked, d time.Duration) {
	a.timer = time.AfterFunc(d, func() {
		e.post(func() {
			if in.checking == c {
				e.ask(in, c, a)
			}
		})
	})
}

// ask puts one question.
func (e *Engine) ask(in *inst, c *checking, a *asked) {
	if a.check.Exec != nil {
		e.askHelper(in, c, a)
		return
	}
	ctx, cancel := context.WithCancel(backgroundContext())
	a.cancel = cancel
	check := a.check
	go func() {
		var r probe.Result
		if check.HTTP != "" {
			r = probe.HTTP(ctx, check.HTTP, check.Timeout)
		} else {
			r = probe.TCP(ctx, check.TCP, check.Timeout)
		}
		cancel()
		e.post(func() {
			if in.checking == c {
				a.cancel = nil
				e.answered(in, c, a, helped{good: r.Good, late: r.Late, message: r.Message})
			}
		})
	}()
}

// askHelper puts a question that is a command. As long as the last one does not die of SIGKILL there is no other: that it
// refuses says something about the machine, or about a keeper that was replaced, and nothing sure about the service.
func (e *Engine) askHelper(in *inst, c *checking, a *asked) {
	h := e.runHelper(in, "check"+strconv.Itoa(a.number), a.check.Exec, a.check.Timeout, func(r helped) {
		if in.checking == c {
			e.answered(in, c, a, r)
		}
	})
	if h != nil {
		a.helper = h
		return
	}
	if a.helper == nil || !a.helper.refuses { // it is on its way
		e.askAfter(in, c, a, a.check.Every)
		return
	}
	e.answered(in, c, a, helped{unasked: true, message: "the last one refuses to die"})
}

// answered takes one answer, and has the next question put.
func (e *Engine) answered(in *inst, c *checking, a *asked, r helped) {
	a.last = e.now
	defer e.askAfter(in, c, a, a.check.Every)
	if r.unasked {
		if a.unasked != r.message {
			a.unasked = r.message
			e.tellCheck(in, fmt.Sprintf("check %s: cannot be asked: %s", a.check.Name(), r.message))
		}
		return
	}
	a.unasked = ""
	switch {
	case !r.late:
		a.held = 0
	case a.held < maxHeld:
		a.held++
	default:
		r.late = false
	}
	tooOften := a.count.Answer(r.good, r.late, r.message, a.check.Failures)
	if w := in.pulse.watch; r.good && w != nil && in.pulse.gen == c.gen {
		w.Passed(a.check.Name())
	}
	switch {
	case r.good && a.failing:
		a.failing = false
		e.checkPassed(in, a.check.Name())
		e.tellCheck(in, fmt.Sprintf("check %s: good again", a.check.Name()))
	case tooOften && !a.failing:
		a.failing = true
		e.tellCheck(in, a.phrase())
	}
	if tooOften && a.check.Then == spec.ThenRestart {
		e.checkFailed(in, c.gen, a.check.Name(), a.count.Failures, a.count.Message)
	}
}

func (e *Engine) tellCheck(in *inst, text string) {
	e.touch(in)
	e.event(event{kind: "check", in: in, text: text})
}

// phrase says what a failing check says.
func (a *asked) phrase() string {
	return fmt.Sprintf("check %s: %s (%d in a row)", a.check.Name(), a.count.Message, a.count.Failures)
}

// failingCheck says what the first failing check of in says, "" if all is well or nothing is asked.
func failingCheck(in *inst) string {
	if in.checking == nil {
		return ""
	}
	for _, a := range in.checking.asked {
		switch {
		case a.failing:
			return a.phrase()
		case a.unasked != "":
			return fmt.Sprintf("check %s: cannot be asked: %s", a.check.Name(), a.unasked)
		}
	}
	return ""
}

// checkSlots is what `stay pulse` shows of the checks of in.
func (e *Engine) checkSlots(in *inst) []api.PulseSlot {
	if in.checking == nil {
		return nil
	}
	var list []api.PulseSlot
	for _, a := range in.checking.asked {
		s := api.PulseSlot{Name: in.name, Source: "check", Slot: -1, Pulse: a.check.Name(), State: "ok",
			LimitMS: float64(a.check.Timeout) / 1e6, Note: a.count.Message}
		if n := a.count.Failures; n > 0 {
			s.Why = fmt.Sprintf("%d in a row", n)
		}
		if a.failing {
			s.State = "failing"
		}
		if a.last != 0 {
			s.AgeMS = float64(e.now.Sub(a.last)) / 1e6
		}
		list = append(list, s)
	}
	return list
}
