package proctree

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// TestRegrow: what a tree knew it still knows, through JSON, with a forest that knows nothing; and whoever it has from before
// is not taken for an orphan.
func TestRegrow(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		p := plant(t, f, node{Nodes: []node{{}, leave(node{Setsid: true}), {Setsid: true, Bare: true, Mute: true}}})
		p.Remember()
		members := pidsOf(p.Members())
		data, err := json.Marshal(p.State())
		if err != nil {
			t.Fatal(err)
		}
		var state State
		if err := json.Unmarshal(data, &state); err != nil {
			t.Fatal(err)
		}
		again, err := Open(Options{ID: testID(), NoCgroup: f.base == ""})
		if err != nil {
			t.Fatal(err)
		}
		tree := again.Regrow(p.name, state)
		if got := pidsOf(tree.Members()); !slices.Equal(got, members) {
			t.Errorf("members %v, were %v", got, members)
		}
		for _, pid := range members {
			if !tree.Contains(pid) {
				t.Errorf("%d does not belong to it any more", pid)
			}
		}
		if tree.Contains(os.Getpid()) || tree.Empty() {
			t.Error("this process belongs to it, or nobody does")
		}
		if slices.Contains(again.Orphans(), p.root.Pid) {
			t.Error("the main process is an orphan")
		}
		if err := tree.Kill(); err != nil { // whoever is known
			t.Error(err)
		}
		end(t, p)
		tree.Ended()
		if !tree.Empty() {
			t.Errorf("members are left: %v", pidsOf(tree.Members()))
		}
		if len(again.mains) != 0 {
			t.Errorf("main processes that are no more: %v", again.mains)
		}
	})
}

// TestMainThatMoved: who is main no more counts among the orphans again.
func TestMainThatMoved(t *testing.T) {
	f := &Forest{trees: map[string]*Tree{}}
	tree := f.Regrow("web-g1", State{Roots: []Root{{Pid: 1 << 22, Start: 1}}})
	if f.mains[1<<22] != tree {
		t.Fatal("it is not known")
	}
	tree.Rooted(Root{Pid: 1<<22 + 1, Start: 2})
	if len(f.mains) != 0 {
		t.Errorf("%v", f.mains)
	}
	if f.Regrow("web-g2", State{Roots: []Root{{Pid: 5}}, Ended: true}); len(f.mains) != 0 {
		t.Errorf("one that was reaped: %v", f.mains)
	}
}
