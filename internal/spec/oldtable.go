package spec

import (
	"errors"
	"math"
	"strings"
)

// maxOldTables is the number of old tables that a daemon looks at.
const maxOldTables = 64

// An oldTableDraft is an old table while it is read.
type oldTableDraft struct {
	OldTable
	shm *slot // where it was written
}

// oldTableKeys declares the keys of one old table.
var oldTableKeys = []key[*oldTableDraft]{
	{
		Key:     Key{Path: "old_tables[].shm", Type: "integer", Doc: "Key of the shared memory, as ipcs(1) shows it."},
		example: "0x5095",
		also:    []string{"key", "shm_key"},
		set: func(d *oldTableDraft, v slot) {
			d.shm = &v
			assign(&d.Shm, func() (int, bool) { return v.integer(1, math.MaxUint32) })
		},
	},
	{
		Key:     Key{Path: "old_tables[].sem", Type: "integer", Doc: "Key of the semaphore that guards it. Default: none."},
		example: "0x5095",
		also:    []string{"semaphore", "sem_key"},
		set: func(d *oldTableDraft, v slot) {
			assign(&d.Sem, func() (int, bool) { return v.integer(1, math.MaxUint32) })
		},
	},
	{
		Key: Key{Path: "old_tables[].action", Type: `"kill" or "show"`, Default: `"kill"`,
			Doc: "What is done about a process that is late: it is killed and its entry cleared, or it is shown and nothing else."},
		example: `"show"`,
		also:    []string{"then"},
		set: func(d *oldTableDraft, v slot) {
			assign(&d.Action, func() (OldTableAction, bool) { return choice(v, TableKill, TableShow) })
		},
	},
}

// oldTableTree is oldTableKeys arranged by path: what may stand in one table of the list.
var oldTableTree = grow(oldTableKeys).kids["old_tables[]"]

func (d *daemonDraft) setOldTables(v slot) {
	var list []OldTable
	first := map[int]place{}
	v.tables(maxOldTables, func(item slot) {
		t := &oldTableDraft{OldTable: OldTable{Action: TableKill}}
		oldTableTree.read(v.problems, oldTableTree, item.node, t)
		if t.shm == nil {
			item.complainHint("add shm = 0x5095", "no shm")
			return
		}
		if at, twice := first[t.Shm]; twice && t.Shm != 0 {
			v.add(t.shm.node.at, "take one of them out", "key %q: %#x stands there already, at %s", t.shm.Path, t.Shm, at)
		}
		first[t.Shm] = t.shm.node.at
		list = append(list, t.OldTable)
	})
	d.OldTables = list
}

// setKillBrake reads a number of kills a minute.
func (d *daemonDraft) setKillBrake(v slot) {
	if v.node.kind != stringKind {
		v.wrong()
		return
	}
	n, err := parsePerMinute(v.node.text)
	if err != nil {
		v.complain("%q %v", shorten(v.node.text), err)
		return
	}
	d.KillBrake = n
}

// parsePerMinute reads "5/m" as 5, "" as 0: by default, and "off" as -1.
func parsePerMinute(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case "off":
		return -1, nil
	}
	if count, ok := strings.CutSuffix(text, "/h"); ok {
		return 0, errors.New("counts by the hour; the brake counts by the minute: write " + count + "/m")
	}
	rate, err := parsePerSecond(text)
	if err != nil {
		return 0, err
	}
	n := math.Round(rate * 60)
	switch {
	case n < 1:
		return 0, errors.New("is less than one a minute")
	case n > math.MaxInt32:
		return 0, errTooLarge
	}
	return int(n), nil
}
