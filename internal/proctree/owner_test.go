package proctree

import "testing"

// TestOrphanWithoutEnvironment: a process shows no environment right after its execve(2), whoever started it goes on then,
// and what it belongs to must not be found empty. One that really has none counts as nobody's after a while.
func TestOrphanWithoutEnvironment(t *testing.T) {
	f := openForest(t, false)
	p := plant(t, f, node{Leave: true, Nodes: []node{{Setsid: true, Mute: true, Bare: true}}})
	other := plant(t, f, node{Leave: true})
	eventually(t, "both main processes are reaped", func() bool { reap(p, other); return p.ended && other.ended })
	for _, tree := range []*planted{p, other} {
		if tree.Empty() {
			t.Errorf("%s is empty, and nobody knows whose %d is", tree.name, p.pids[0])
		}
	}
	eventually(t, "it counts as nobody's", func() bool { return p.Empty() && other.Empty() })
	if !alive(p.pids[0]) || p.Contains(p.pids[0]) {
		t.Errorf("%d lives: %v; it belongs to the tree: %v", p.pids[0], alive(p.pids[0]), p.Contains(p.pids[0]))
	}
}
