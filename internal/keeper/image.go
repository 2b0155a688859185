package keeper

import "encoding/json"

// An Image is the keeper's table as plain data: all that another keeper needs to carry on with the same processes, whether it
// is this process after an exec, or one that finds the image after both processes were killed. Descriptors are not in it,
// only their names.
type Image struct {
	Version int             `json:"version"` // of the wire, whose records it holds
	Engines int             `json:"engines"` // engines started so far
	Started int64           `json:"started"` // when the first keeper was, CLOCK_REALTIME, ns
	Daemon  json.RawMessage `json:"daemon,omitzero"`
	Held    []string        `json:"held,omitzero"` // names of the daemon's own descriptors
	Rows    []RowImage      `json:"rows"`
}

// A RowImage is one unit of the table. See row for what the fields mean.
type RowImage struct {
	Unit    string          `json:"unit"`
	Record  json.RawMessage `json:"record,omitzero"`
	Op      uint64          `json:"op,omitzero"`
	Gen     uint64          `json:"gen,omitzero"`
	State   State           `json:"state,omitzero"`
	Main    int             `json:"main,omitzero"`
	Start   uint64          `json:"start,omitzero"`
	Born    int64           `json:"born,omitzero"`
	Exit    *Exit           `json:"exit,omitzero"`
	Lost    bool            `json:"lost,omitzero"`
	Failure *Failure        `json:"failure,omitzero"`
	Tree    string          `json:"tree,omitzero"` // its name in the forest; empty: there is none
	Empty   bool            `json:"empty,omitzero"`
	Seen    uint64          `json:"seen,omitzero"`
	Alien   bool            `json:"alien,omitzero"`
	Mark    string          `json:"mark,omitzero"`
	Out     uint64          `json:"out,omitzero"`
	Killing bool            `json:"killing,omitzero"`
	KillAt  int64           `json:"kill_at,omitzero"`
	Files   []string        `json:"files,omitzero"`  // names of the descriptors held for it, as on the wire, in order
	Inodes  []uint64        `json:"inodes,omitzero"` // of Files, where it is a pipe, else 0: how its other end is found
}

// image is the row as plain data.
func (r *row) image() RowImage {
	i := RowImage{Unit: r.unit, Record: r.record, Op: r.op, Gen: r.gen, State: r.state, Main: r.main, Start: r.start, Born: r.born,
		Exit: r.exit, Lost: r.lost, Failure: r.fail, Empty: r.empty, Seen: r.seen, Alien: r.alien != nil, Mark: r.mark, Out: r.out,
		Killing: r.killing, KillAt: r.killAt}
	if r.tree != nil {
		i.Tree = r.treeName()
	}
	for _, f := range r.files {
		i.Files = append(i.Files, fileName(f))
		i.Inodes = append(i.Inodes, f.pipe)
	}
	return i
}
