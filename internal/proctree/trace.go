package proctree

import "strings"

// A Trace is what a process shows of where it comes from. Group and Mark are the process's own, or else the nearest
// ancestor's, or else those of the leader of its session; at most one of them is set.
type Trace struct {
	Live  bool      // it is there and no zombie; otherwise nothing else is known
	Group string    // name of the tree whose group it is in: "web.2-g17"
	Mark  string    // what follows the mark in the environment that it was started with
	Line  []int     // itself, its ancestors from the nearest on, and the leader of its session
	Out   [2]uint64 // inodes of the pipes that are its stdout and stderr; 0: no pipe
}

// maxLine bounds how far up a trace goes: services that fork and fork are not so deep.
const maxLine = 64

// TraceOf follows a process back to the tree of the daemon that calls itself id and marks its trees with entries of the
// environment that begin with mark: "STAY_TREE=ID/". It needs no Forest and may be called from any goroutine, but not
// where nobody may wait: reading the environment of a process takes a lock of that process.
//
// A process in a group of another daemon, or of none, can still have a mark. A mark can be forged by who has the right to
// be started with any environment, so it says no more than that somebody who is allowed to send says so.
func TraceOf(pid int, id, mark string) Trace {
	p, err := readProc(pid)
	if err != nil || !p.live() {
		return Trace{}
	}
	t := Trace{Live: true, Out: outputs(pid)}
	session := p.session
	for len(t.Line) < maxLine {
		t.Line = append(t.Line, p.pid)
		if t.find(p.pid, id, mark) || p.parent <= 1 {
			break
		}
		if p, err = readProc(p.parent); err != nil {
			break
		}
	}
	t.Line = append(t.Line, session)
	if leader, err := readProc(session); err == nil && leader.live() {
		_ = t.find(session, id, mark)
	}
	return t
}

// find looks at one process, unless there is a tree already, and says whether there is one now.
func (t *Trace) find(pid int, id, mark string) bool {
	if t.Group != "" || t.Mark != "" {
		return true
	}
	if t.Group = groupBelow(pid, "stay-"+id); t.Group != "" {
		return true
	}
	for _, entry := range entries(pid) {
		if rest, ok := strings.CutPrefix(entry, mark); ok {
			t.Mark = rest
			return true
		}
	}
	return false
}

// groupBelow is the name of the group below the one called base in which a process is, or below which; "" if there is none.
func groupBelow(pid int, base string) string {
	data, err := readFile(procPath(pid, "cgroup"), maxList)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		path, ok := strings.CutPrefix(line, "0::")
		if !ok {
			continue
		}
		// The path starts wherever the namespace does: what counts is what comes after the daemon's own group.
		_, rest, ok := strings.Cut(path, "/"+base+"/")
		if ok {
			name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(rest, "\n"), " (deleted)"), "/")
			return name
		}
	}
	return ""
}
