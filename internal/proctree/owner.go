package proctree

import (
	"path/filepath"
	"slices"
	"time"
)

// maxDepth bounds how far up a line of descent is followed.
const maxDepth = 1 << 12

// Owner returns the tree that a process belongs to, nil if it is none of ours.
func (f *Forest) Owner(pid int) *Tree {
	t, _ := f.owner(pid)
	return t
}

// owner is Owner, and says whether that is sure: see claim.
func (f *Forest) owner(pid int) (t *Tree, sure bool) {
	for range maxDepth {
		p, err := readProc(pid)
		if err != nil {
			return nil, true
		}
		t, sure := f.claim(p)
		if t != nil || p.parent <= 1 || p.parent == f.self {
			return t, sure
		}
		pid = p.parent
	}
	return nil, true
}

// claim returns the tree that a process belongs to by what it is, whoever its parent may be. By descent the answer is
// remembered: the evidence may be gone the next time. It is not sure that an orphan belongs to nobody as long as that
// shows no environment, and has not done so for long.
func (f *Forest) claim(p *proc) (t *Tree, sure bool) {
	if p.pid == f.self {
		return nil, true
	}
	if t := f.inGroup(p.pid); t != nil {
		return t, true
	}
	for _, t := range f.trees {
		if t.byDescent() && t.inSession(p) {
			return t.remember(p), true
		}
	}
	for _, t := range f.trees {
		if _, ok := t.known[p.id]; ok {
			return t, true
		}
	}
	env := entries(p.pid)
	for _, t := range f.trees {
		if t.byDescent() && t.anyRoot(func(r Root) bool { return r.Mark != "" && slices.Contains(env, r.Mark) }) {
			return t.remember(p), true
		}
	}
	outs := outputs(p.pid)
	for _, t := range f.trees {
		if t.byDescent() && t.anyRoot(func(r Root) bool { return r.Out != 0 && slices.Contains(outs[:], r.Out) }) {
			return t.remember(p), true
		}
	}
	return nil, len(env) > 0 || p.parent != f.self || f.puzzledEnough(p)
}

// puzzled is how long a process may show no environment until it counts as having none. In execve(2) it has none for some
// µs after the descriptors with FD_CLOEXEC were closed, which is when its parent, and whoever waits for that, goes on; on
// a busy machine they become ms. In uninterruptible sleep it is not read.
const puzzled = 250 * time.Millisecond

func (f *Forest) puzzledEnough(p *proc) bool {
	now := time.Now()
	if since, ok := f.puzzles[p.id]; ok {
		return now.Sub(since) > puzzled
	}
	for i := range f.puzzles { // a new one comes seldom
		if !i.same() {
			delete(f.puzzles, i)
		}
	}
	f.puzzles[p.id] = now
	return false
}

// inGroup returns the tree in whose group, or below it, a process is.
func (f *Forest) inGroup(pid int) *Tree {
	if f.base == "" {
		return nil
	}
	if t := f.trees[groupBelow(pid, filepath.Base(string(f.base)))]; t != nil && !t.byDescent() {
		return t
	}
	return nil
}

func (t *Tree) anyRoot(is func(Root) bool) bool { return slices.ContainsFunc(t.roots, is) }

func (t *Tree) remember(p *proc) *Tree {
	t.known[p.id] = struct{}{}
	return t
}
