package proctree

import (
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth bounds how far up a line of descent is followed.
const maxDepth = 1 << 12

// Owner returns the tree that a process belongs to, nil if it is none of ours.
func (f *Forest) Owner(pid int) *Tree {
	for range maxDepth {
		p, err := readProc(pid)
		if err != nil {
			return nil
		}
		if t := f.claim(p); t != nil {
			return t
		}
		if p.parent <= 1 || p.parent == f.self {
			return nil
		}
		pid = p.parent
	}
	return nil
}

// claim returns the tree that a process belongs to by what it is, whoever its parent may be. By descent the answer is
// remembered: the evidence may be gone the next time.
func (f *Forest) claim(p *proc) *Tree {
	if p.pid == f.self {
		return nil
	}
	if t := f.inGroup(p.pid); t != nil {
		return t
	}
	for _, t := range f.trees {
		if t.byDescent() && t.inSession(p) {
			return t.remember(p)
		}
	}
	for _, t := range f.trees {
		if _, ok := t.known[p.id]; ok {
			return t
		}
	}
	env := entries(p.pid)
	for _, t := range f.trees {
		if t.byDescent() && t.anyRoot(func(r Root) bool { return r.Mark != "" && slices.Contains(env, r.Mark) }) {
			return t.remember(p)
		}
	}
	outs := outputs(p.pid)
	for _, t := range f.trees {
		if t.byDescent() && t.anyRoot(func(r Root) bool { return r.Out != 0 && slices.Contains(outs[:], r.Out) }) {
			return t.remember(p)
		}
	}
	return nil
}

// inGroup returns the tree in whose group, or below it, a process is.
func (f *Forest) inGroup(pid int) *Tree {
	if f.base == "" {
		return nil
	}
	data, err := readFile(procPath(pid, "cgroup"), maxList)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		path, ok := strings.CutPrefix(line, "0::")
		if !ok {
			continue
		}
		// The path starts wherever the namespace does: what counts is what comes after the daemon's own group.
		_, rest, ok := strings.Cut(path, "/"+filepath.Base(string(f.base))+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(rest, "\n"), " (deleted)"), "/")
		if t := f.trees[name]; t != nil && !t.byDescent() {
			return t
		}
	}
	return nil
}

func (t *Tree) anyRoot(is func(Root) bool) bool { return slices.ContainsFunc(t.roots, is) }

func (t *Tree) remember(p *proc) *Tree {
	t.known[p.id] = struct{}{}
	return t
}
