package main

import (
	"encoding/json"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/proctree"
)

// A grove shows the keeper a forest of package proctree.
type grove struct{ *proctree.Forest }

// Plant prepares a tree.
func (g grove) Plant(name string) (keeper.Tree, error) {
	t, err := g.Forest.Plant(name)
	if err != nil {
		return nil, err
	}
	return tree{t}, nil
}

// Adopt takes over a tree of a keeper that has died.
func (g grove) Adopt(name string, pid int, start uint64, mark string, out uint64) keeper.Tree {
	return tree{g.Forest.Adopt(name, proctree.Root{Pid: pid, Start: start, Mark: mark, Out: out})}
}

// State is what Regrow needs of a tree.
func (g grove) State(t keeper.Tree) json.RawMessage {
	data, err := json.Marshal(t.(tree).State())
	if err != nil {
		panic(err) // plain data: cannot fail
	}
	return data
}

// Regrow takes over a tree of an earlier image of this process.
func (g grove) Regrow(name string, state json.RawMessage) (keeper.Tree, error) {
	s, err := treeState(state)
	if err != nil {
		return nil, err
	}
	return tree{g.Forest.Regrow(name, s)}, nil
}

func treeState(data json.RawMessage) (s proctree.State, err error) {
	err = json.Unmarshal(data, &s)
	return s, err
}

// startTime is the start time of a process, 0 if it is not there.
func startTime(pid int) uint64 {
	t, err := proctree.StartTime(pid)
	if err != nil {
		return 0
	}
	return t
}

type tree struct{ *proctree.Tree }

// Rooted tells the tree its main process.
func (t tree) Rooted(pid int, mark string, out uint64) {
	start, _ := proctree.StartTime(pid) // one that has ended already is not reaped yet, so this works for it too
	t.Tree.Rooted(proctree.Root{Pid: pid, Start: start, Mark: mark, Out: out})
}

// Signal signals all of the tree, or the process group of its main process.
func (t tree) Signal(sig unix.Signal, group bool) error {
	if group {
		return t.SignalGroup(sig)
	}
	return t.Tree.Signal(sig)
}

// Members are the live processes of the tree.
func (t tree) Members() []keeper.Member {
	var list []keeper.Member
	for _, m := range t.Tree.Members() {
		list = append(list, keeper.Member(m))
	}
	return list
}
