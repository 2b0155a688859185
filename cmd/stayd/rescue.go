package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/proctree"
	"example.com/stay/internal/spec"
)

// A rescue is what a daemon left whose keeper and engine were both killed: its table, and the files that it held. The lock
// is ours, so nobody looks after its processes any more.
type rescue struct {
	image  *keeper.Image
	memory string              // the directory that all of it is in
	files  map[string]*os.File // by the names under which the keeper held them
}

// findRescue looks for the mirror of the daemon that had the lock before, in the memory directory that it wrote into it.
// nil: there is none that counts. As PID 1 nothing has outlived the last one.
func findRescue(lock *os.File, id string) (*rescue, error) {
	memory := lockedMemory(lock)
	if memory == "" || os.Getpid() == 1 {
		return nil, nil
	}
	if err := makeDirCheck(memory); err != nil {
		return nil, err
	}
	image, err := keeper.ReadMirror(keeper.Mirror{Dir: memory, ID: id})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &rescue{image: image, memory: memory, files: keeper.KeptFiles(memory)}
	if r.files["config"] == nil {
		return nil, errors.New("the applied configuration is not there")
	}
	r.doubt(id)
	return r, nil
}

// makeDirCheck refuses a directory that is not this user's own, or that others can write to. Unlike makeDir it makes none.
func makeDirCheck(dir string) error {
	var st unix.Stat_t
	switch err := unix.Lstat(dir, &st); {
	case err != nil:
		return nil // gone: no mirror is in it either
	case st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 || !filepath.IsAbs(dir):
		return fmt.Errorf("%q is not a directory that only this user can write to", dir)
	}
	return nil
}

// doubt takes the process from each row whose claim to it is not good: it is not the process that was started then, it shows
// that it belongs to another generation, it is above this one, or another row has it. What such a row left of a tree is still
// found by its mark.
func (r *rescue) doubt(id string) {
	family, taken := ancestors(), map[int]bool{}
	for i := range r.image.Rows {
		row := &r.image.Rows[i]
		if !row.Explains() || row.Main == 0 {
			continue
		}
		if row.Main <= 1 || family[row.Main] || taken[row.Main] || !shows(row, id) {
			row.Start = 0 // the start time of no process that is not the kernel's own
		}
		taken[row.Main] = true
	}
}

// shows says whether the process of a row may be what the row says. One that has written over its environment, and is in no
// group, shows nothing, and is believed by pid and start time.
func shows(row *keeper.RowImage, id string) bool {
	if startTime(row.Main) != row.Start {
		return false
	}
	t := proctree.TraceOf(row.Main, id, "STAY_TREE="+id+"/")
	switch {
	case t.Group != "":
		return t.Group == treeGroup(row.Unit, row.Gen)
	case t.Mark != "":
		return t.Mark == treePath(row.Unit, row.Gen)
	}
	return true
}

// treeGroup and treePath name a generation as package keeper names its group, and package engine its mark.
func treeGroup(unit string, gen uint64) string { return unit + "-g" + strconv.FormatUint(gen, 10) }
func treePath(unit string, gen uint64) string  { return unit + "/" + strconv.FormatUint(gen, 10) }

// explained is the generations, as treePath names them, whose processes are carried on with.
func (r *rescue) explained() map[string]bool {
	trees := map[string]bool{}
	if r != nil {
		for i := range r.image.Rows {
			if row := &r.image.Rows[i]; row.Explains() {
				trees[treePath(row.Unit, row.Gen)] = true
			}
		}
	}
	return trees
}

// tell says in the log and to who started us what goes on.
func (r *rescue) tell(k keeperFlags, log *slog.Logger) {
	n := len(r.explained())
	log.Error("keeper and engine of this directory were both killed: their services go on", "processes", n)
	text := fmt.Sprintf("stay: the daemon of this directory was killed; its services go on as they were (%d with a process)", n)
	if r.changed(k) {
		log.Warn("the configuration has changed since it was applied: what was applied counts")
		text += "; the file has changed since: stay plan shows how, stay apply applies it"
	}
	if !k.foreground {
		fmt.Fprintln(os.Stderr, text)
	}
}

// changed says whether the file differs from what was applied.
func (r *rescue) changed(k keeperFlags) bool {
	cfg, errs := k.load()
	if len(errs) > 0 {
		return true
	}
	now, err := spec.Encode(cfg)
	if err != nil {
		return true
	}
	data := make([]byte, len(now)+maxAgenda)
	n, _ := r.files["config"].ReadAt(data, 0)
	_, applied, _ := bytes.Cut(data[:n], []byte("\n")) // as the engine writes it: the agenda in the first line
	return !bytes.Equal(now, applied)
}

// maxAgenda is more than the line before the configuration has, in bytes: all that is behind is compared.
const maxAgenda = 64 << 10

// lockedMemory is the memory directory in the lock, behind the pid; "" if there is none.
func lockedMemory(lock *os.File) string {
	var buf [4096 + 32]byte
	n, _ := lock.ReadAt(buf[:], 0)
	_, rest, _ := strings.Cut(string(buf[:n]), "\n")
	dir, _, whole := strings.Cut(rest, "\n")
	if !whole {
		return ""
	}
	return dir
}
