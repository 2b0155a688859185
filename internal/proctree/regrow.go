package proctree

// A State is all that a Tree knows, as plain data: what another image of this process needs to carry on with it.
type State struct {
	Roots   []Root `json:"roots,omitzero"`
	Known   []Kin  `json:"known,omitzero"`
	Loose   bool   `json:"loose,omitzero"`
	Ended   bool   `json:"ended,omitzero"`
	Adopted bool   `json:"adopted,omitzero"`
}

// A Kin is a process that was seen to belong to a tree.
type Kin struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// State returns what the tree knows.
func (t *Tree) State() State {
	s := State{Roots: t.roots, Loose: t.loose, Ended: t.ended, Adopted: t.adopted}
	for k := range t.known {
		s.Known = append(s.Known, Kin{k.pid, k.start})
	}
	return s
}

// Regrow returns a tree of an earlier image of this process: its children are still this process's. It believes s, which
// that image has said.
//
// After an exec(2) all children are those of the first thread, main processes among the orphans. The forest tells them apart.
func (f *Forest) Regrow(name string, s State) *Tree {
	t := &Tree{forest: f, name: name, known: map[id]struct{}{}, roots: s.Roots, loose: s.Loose, ended: s.Ended, adopted: s.Adopted}
	for _, k := range s.Known {
		t.known[id{k.Pid, k.Start}] = struct{}{}
	}
	t.group = f.existing(name)
	f.trees[name] = t
	if n := len(t.roots); n > 0 && !t.ended {
		if f.mains == nil {
			f.mains = map[int]*Tree{}
		}
		f.mains[t.roots[n-1].Pid] = t
	}
	return t
}
