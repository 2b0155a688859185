package keeper

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mirroring is what the loop knows of its mirror. Without one it is empty, and nothing happens.
type mirroring struct {
	file    *mirrorFile // nil: there is none
	changed []*row      // whose entries are not what they are
	daemon  bool        // likewise that of the daemon as a whole
	entry   extent      // of the daemon as a whole
	failed  bool        // the last entry could not be written
}

// maxMirrored is how many rows are written at one turn of the loop.
const maxMirrored = 64

// change says that a row is not what it was.
func (k *Keeper) change(r *row) {
	if k.mirror.file != nil && !r.changed {
		r.changed = true
		k.mirror.changed = append(k.mirror.changed, r)
	}
}

// startMirror begins the mirror with what is in the table.
func (k *Keeper) startMirror() {
	if k.o.Mirror.Dir == "" {
		return
	}
	f, err := openMirror(k.o.Mirror)
	if err != nil {
		k.o.Log.Error("no mirror: should keeper and engine be killed together, the next start ends the services", "error", err)
		return
	}
	k.mirror.file, k.mirror.daemon = f, true
	for _, r := range k.rows {
		k.change(r)
	}
	if k.o.Orphaned != nil {
		return // what the last keeper wrote counts until all of it is here
	}
	for k.reflect() {
	}
	k.publish()
}

// publish has this mirror count from now on.
func (k *Keeper) publish() {
	m := &k.mirror
	if m.file == nil || m.file.published {
		return
	}
	for k.reflect() {
	}
	if err := m.file.publish(); err != nil {
		k.o.Log.Error("mirror", "error", err)
	}
}

// reflect writes what has changed, a bounded number of rows, and says whether there are more. A row of which only the last
// change is written was never wrong for longer than the loop had something more urgent to do.
func (k *Keeper) reflect() (more bool) {
	m := &k.mirror
	if m.file == nil {
		return false
	}
	if m.daemon {
		m.daemon = false
		k.reflectOne(&m.entry, daemonEntry{&Image{Version: Version, Engines: k.about.Engines, Started: k.about.Started, Daemon: k.daemon}})
	}
	n := min(len(m.changed), maxMirrored)
	for _, r := range m.changed[:n] {
		r.changed = false
		if k.rows[r.unit] == r {
			k.reflectOne(&r.entry, r.image())
		}
	}
	if m.changed = m.changed[n:]; len(m.changed) == 0 {
		m.changed = nil
	}
	return m.changed != nil
}

// reflectOne writes one entry. What cannot be written is written with the next change; until then the last one counts,
// and processes that it does not explain are ended when it is read.
func (k *Keeper) reflectOne(at *extent, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		*at, err = k.mirror.file.put(*at, data)
	}
	if err != nil && !k.mirror.failed {
		k.o.Log.Error("mirror is behind", "error", err)
	}
	k.mirror.failed = err != nil
}

// unreflect takes a row out that is no more.
func (k *Keeper) unreflect(r *row) {
	if k.mirror.file == nil {
		return
	}
	if err := k.mirror.file.erase(r.entry); err != nil {
		k.o.Log.Error("mirror", "unit", r.unit, "error", err)
	}
	r.entry = extent{}
}

// keptPrefix begins the name of a file of the daemon's own that outlives both processes.
const keptPrefix = ".held."

// keep gives a descriptor that is held for the daemon as a whole a name in the memory directory, if it is a file that can
// have one there: one that was made with O_TMPFILE.
func (k *Keeper) keep(name string, fd int) {
	if k.mirror.file == nil || strings.ContainsAny(name, "/\x00") {
		return
	}
	dir, next := k.mirror.file.dir, keptPrefix+name+".new"
	_ = unix.Unlinkat(dir, next, 0)
	if unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), dir, next, unix.AT_SYMLINK_FOLLOW) != nil {
		return // a memfd, a socket, a pipe
	}
	if err := unix.Renameat(dir, next, dir, keptPrefix+name); err != nil {
		k.o.Log.Error("keep", "name", name, "error", err)
	}
	_ = unix.Unlinkat(dir, next, 0) // rename(2) does nothing if both are the same file
}

// unkeep takes the name away.
func (k *Keeper) unkeep(name string) {
	if k.mirror.file != nil && !strings.ContainsAny(name, "/\x00") {
		_ = unix.Unlinkat(k.mirror.file.dir, keptPrefix+name, 0)
	}
}

// KeptFile makes a file that holds data, for the engine to have the keeper hold under a name: it outlives both if the
// directory has a keeper's mirror. Nobody but this user can open it.
func KeptFile(dir string, data []byte) (int, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	if err := writeAt(fd, data, 0); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "write", Path: dir, Err: err}
	}
	return fd, nil
}

// KeptFiles opens the files that a keeper has left in dir when it was killed, by the names under which it held them.
func KeptFiles(dir string) map[string]*os.File {
	files := map[string]*os.File{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), keptPrefix)
		if !ok || strings.HasSuffix(name, ".new") || len(files) >= maxFiles {
			continue
		}
		if f, err := openOwn(filepath.Join(dir, e.Name())); err == nil {
			files[name] = f
		}
	}
	return files
}
