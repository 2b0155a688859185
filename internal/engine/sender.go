package engine

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/stay/internal/proctree"
	"example.com/stay/internal/unit"
)

// treeOf says which generation of which instance a process belongs to, as far as the process shows it: by its group, else
// by the mark in its environment (which programs may erase), else by the same of its ancestors and of the leader of its
// session. It reads /proc, so it is for goroutines at the edge; any of them may call it.
func (e *Engine) treeOf(pid int) (instance string, gen uint64, found bool) {
	return treeIn(e.trace(pid))
}

func (e *Engine) trace(pid int) proctree.Trace { return proctree.TraceOf(pid, e.o.ID, e.markPrefix()) }

// markPrefix is what every mark of this daemon begins with.
func (e *Engine) markPrefix() string { return "STAY_TREE=" + e.o.ID + "/" }

// treeIn reads instance and generation out of a trace.
func treeIn(t proctree.Trace) (instance string, gen uint64, found bool) {
	name, number := "", ""
	if i := strings.LastIndex(t.Group, "-g"); i > 0 { // as package keeper names its trees
		name, number = t.Group[:i], t.Group[i+2:]
	} else if i := strings.LastIndexByte(t.Mark, '/'); i > 0 { // as treeMark does
		name, number = t.Mark[:i], t.Mark[i+1:]
	}
	gen, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0, false
	}
	return name, gen, true
}

// known says whether it is known of a sender where it belongs, or that it has gone.
func known(t proctree.Trace) bool {
	_, _, found := treeIn(t)
	return found || !t.Live
}

// A tracer traces the senders of one socket, of which most are the same one again. It belongs to one goroutine.
type tracer struct {
	e     *Engine
	pid   int
	start uint64
	last  proctree.Trace
	again time.Time // when to look again at one of whom nothing is known: it may have been in the middle of execve(2)
}

// traceAgain is how long nothing is known of such a sender, so that a stranger who floods a socket costs little.
const traceAgain = 10 * time.Millisecond

func (t *tracer) trace(pid int) proctree.Trace {
	start, err := proctree.StartTime(pid)
	if err != nil {
		return proctree.Trace{}
	}
	if pid == t.pid && start == t.start && (known(t.last) || time.Now().Before(t.again)) {
		return t.last
	}
	t.pid, t.start, t.last = pid, start, t.e.trace(pid)
	if !t.last.Live {
		t.pid = 0 // a zombie now, or gone
	}
	t.again = time.Now().Add(traceAgain)
	return t.last
}

// maySend says whether the sender of a datagram may speak for the instance. One that lives has to be of its tree: by its
// group or mark, else as a descendant of the main process, or in its session, or by its output. One that has gone counts
// by its uid: only root and the service's user could send to the instance's own socket anyway.
func (e *Engine) maySend(in *inst, n note) bool {
	if !n.from.Live {
		return n.UID == 0 || n.UID == os.Geteuid() || in.notifyUID == -1 || n.UID == in.notifyUID
	}
	if name, gen, found := treeIn(n.from); found {
		return name == in.name && gen <= in.u.Gen
	}
	return in.u.Pid != 0 && slices.Contains(n.from.Line, in.u.Pid) ||
		in.output.inode != 0 && slices.Contains(n.from.Out[:], in.output.inode)
}

// refusedEvery is how often it is logged of one instance that its words were refused.
const refusedEvery = 10 * time.Second

// A refusals is what was refused of the words of one instance since that was last logged.
type refusals struct {
	logged unit.Time // 0: never
	more   int       // since
}

// refuseNote logs that something was refused, at most once in refusedEvery.
func (e *Engine) refuseNote(in *inst, why string, args ...any) {
	if r := &in.refused; r.logged != 0 && e.now.Sub(r.logged) < refusedEvery {
		r.more++
		return
	}
	args = append([]any{"unit", in.name}, args...)
	if in.refused.more > 0 {
		args = append(args, "and_before", in.refused.more)
	}
	e.log.Warn("notify socket: refused: "+why, args...)
	in.refused = refusals{logged: max(e.now, 1)}
}
