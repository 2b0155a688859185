package capture

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// This file: logs that are not in the log directory (Policy.File). A small file there, ".web.home", holds the path of the
// log of web, so that readers find it, and the next store does before it knows any policy.

// A home is where the files of a name are: below dir, with names that begin with name.
type home struct {
	dir  *dir
	name string
	file string // as in Policy.File
}

func homeFile(name string) string { return "." + name + ".home" }

// maxPath is the longest path, in bytes (PATH_MAX).
const maxPath = 4096

// validFile says whether file can be a log of its own: an absolute clean path of a file "x.log".
func validFile(file string) bool {
	name, isLog := strings.CutSuffix(filepath.Base(file), ".log")
	return isLog && name != "" && name[0] != '.' && len(name) <= 200 && len(file) < maxPath && filepath.IsAbs(file) &&
		filepath.Clean(file) == file && !strings.ContainsAny(file, "\n\x00")
}

// elsewhere reads where the log of a name is; "": in the log directory.
func (d *dir) elsewhere(name string) (string, error) {
	f, err := d.reader(homeFile(name))
	if isGone(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPath+1))
	if err != nil {
		return "", d.problem("read", homeFile(name), cause(err))
	}
	file := strings.TrimSuffix(string(text), "\n")
	if !validFile(file) {
		return "", fmt.Errorf("read %q: it holds no path of a log; remove it", filepath.Join(d.path, homeFile(name)))
	}
	return file, nil
}

// remember writes it, and is done when it is there whole.
func (d *dir) remember(name, file string) error {
	if file == "" {
		if err := d.remove(homeFile(name)); err != nil && !isGone(err) {
			return err
		}
		return nil
	}
	fresh := homeFile(name) + ".new"
	_ = d.remove(fresh)
	fd, _, err := d.open(fresh, openPacked)
	if err != nil {
		return err
	}
	_, err = syscall.Write(fd, []byte(file+"\n"))
	syscall.Close(fd)
	if err != nil {
		return d.problem("write", fresh, err)
	}
	return d.rename(fresh, homeFile(name))
}

// visit opens where the log of a name is, for a reader, who calls leave afterwards. It needs nothing but the right to read.
func (d *dir) visit(name string) (h home, leave func(), err error) {
	file, err := d.elsewhere(name)
	if err != nil || file == "" {
		return home{dir: d, name: name}, func() {}, err
	}
	h, err = openHome(file)
	if err != nil {
		return home{}, nil, err
	}
	return h, h.dir.close, nil
}

// openHome opens the directory of a log of its own.
func openHome(file string) (home, error) {
	path := filepath.Dir(file)
	f, err := walk(path)
	if err != nil {
		return home{}, err
	}
	name, _ := strings.CutSuffix(filepath.Base(file), ".log")
	return home{&dir{path: path, f: f, strict: true}, name, file}, nil
}

// walk opens a directory part by part without following links. Root's logs may only be where nobody else can put files, or
// directories, of his own in their way.
func walk(path string) (*os.File, error) {
	const pathOnly = 0x200000 // O_PATH, open(2)
	at, err := syscall.Open("/", pathOnly|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if err != nil {
			break
		}
		if err = trusted(at, false); err != nil || part == "" {
			break
		}
		var next int
		next, err = syscall.Openat(at, part, pathOnly|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err == syscall.ENOTDIR {
			err = fmt.Errorf("%q is no directory, or a link to one; write the path without links", part)
		}
		syscall.Close(at)
		at = next
	}
	if err != nil {
		if at >= 0 {
			syscall.Close(at)
		}
		return nil, fmt.Errorf("open directory %q: %w", path, err)
	}
	defer syscall.Close(at)
	err = trusted(at, true)
	fd := -1
	if err == nil {
		fd, err = syscall.Openat(at, ".", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// trusted refuses, for root, a directory in which others can replace files. A directory further up may be sticky: what
// is in it belongs to who made it.
func trusted(fd int, last bool) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return err
	}
	sticky := !last && st.Mode&syscall.S_ISVTX != 0
	switch {
	case st.Uid != 0:
		return fmt.Errorf("it, or one above it, belongs to user %d, who could put another file there; use a directory of root's", st.Uid)
	case st.Mode&0o002 != 0 && !sticky:
		return fmt.Errorf("everybody can write to it, or to one above it; use a directory that only root can write to")
	case st.Mode&0o020 != 0 && st.Gid != 0 && !sticky:
		return fmt.Errorf("group %d can write to it, or to one above it; use a directory that only root can write to", st.Gid)
	}
	return nil
}

// home finds where the log of a name is. What cannot be found out is found out again when it is written.
func (s *Store) home(name string) home {
	file, err := s.dir.elsewhere(name)
	if err != nil || file == "" {
		return home{dir: s.dir, name: name}
	}
	h, err := s.homeAt(file)
	if err != nil {
		return home{dir: s.dir, name: name}
	}
	return h
}

// homeAt opens a home, whose directory is shared and stays open until the store is closed.
func (s *Store) homeAt(file string) (home, error) {
	if !validFile(file) {
		return home{}, fmt.Errorf("internal error: log file %q: no absolute path of a file \".log\"", file)
	}
	h, err := openHome(file)
	if err != nil {
		return home{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared := s.homes[h.dir.path]; shared != nil {
		h.dir.close()
		h.dir = shared
		return h, nil
	}
	s.homes[h.dir.path] = h.dir
	return h, nil
}

// moveHome goes on in another file if the policy says so. The files there were stay where they are. The caller has the turn.
func (k *sink) moveHome(file string) error {
	if file == k.home.file {
		return nil
	}
	to := home{dir: k.store.dir, name: k.name}
	if file != "" {
		var err error
		if to, err = k.store.homeAt(file); err != nil {
			return err
		}
	}
	if phase(k.mark.phase.Load()) == writing { // what a killed store left is taken back where it is
		_ = k.open()
	}
	if err := k.store.dir.remember(k.name, file); err != nil {
		return err
	}
	k.shut()
	k.home, k.heir = to, nil
	var size int64
	if st, err := to.dir.stat(fileName(to.name, 0)); err == nil { // its lines are no news
		k.file, size = identOf(&st), st.Size
	}
	k.publish(func(s *place) { s.rotating = true })
	k.adopt()
	k.fresh, k.size = size == 0, size
	k.publish(func(s *place) { s.home, s.begin, s.end, s.rotating = to, size, size, false })
	return k.open()
}
