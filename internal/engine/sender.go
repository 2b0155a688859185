package engine

import (
	"strconv"
	"strings"

	"example.com/stay/internal/proctree"
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
