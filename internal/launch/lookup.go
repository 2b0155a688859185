package launch

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// standardPath is searched where Env has no PATH.
const standardPath = "/usr/bin:/bin"

// A lookup finds programs the way execvp(3) does, but with the PATH, directory and root of the process to be.
type lookup struct {
	chroot string
	dir    string
	env    []string
}

// find returns the absolute path of a program, inside the chroot. A name with a slash is relative to the directory.
func (l lookup) find(name string) (string, *Failure) {
	if strings.Contains(name, "/") {
		path := l.absolute(name)
		return path, l.verdict(name, path, l.check(path))
	}
	search := standardPath
	for _, entry := range l.env { // the first one counts, getenv(3)
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			search = value
			break
		}
	}
	var denied string
	for _, dir := range filepath.SplitList(search) {
		path := filepath.Join(l.absolute(dir), name)
		if l.stat(path, new(unix.Stat_t)) != nil {
			continue // not there, or in a directory that is closed to us: both mean that it is not here
		}
		switch l.check(path) {
		case nil:
			return path, nil
		case unix.EACCES:
			if denied == "" {
				denied = path
			}
		}
	}
	if denied != "" {
		return "", l.verdict(name, denied, unix.EACCES)
	}
	return "", sentence(StageLookup, unix.ENOENT, "program %q not found in its PATH", name)
}

func (l lookup) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join("/", l.dir, path)
}

func (l lookup) verdict(name, path string, err error) *Failure {
	switch err {
	case nil:
		return nil
	case unix.ENOENT, unix.ENOTDIR:
		if name == path {
			return sentence(StageLookup, unix.ENOENT, "program %q not found", name)
		}
		return sentence(StageLookup, unix.ENOENT, "program %q not found (looked for %s)", name, path)
	case unix.EISDIR:
		return sentence(StageLookup, unix.EISDIR, "program %q is a directory", path)
	case unix.EACCES:
		return sentence(StageLookup, unix.EACCES, "program %q is not executable: chmod +x it, or give its interpreter as the program", path)
	}
	return sentence(StageLookup, unix.EIO, "program %q: %v", path, err)
}

// check says why path is no program. Whether the very user may execute it is not asked: access lists and capabilities
// make that the kernel's business, and the exec stage tells what it said.
func (l lookup) check(path string) error {
	var st unix.Stat_t
	if err := l.stat(path, &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	case st.Mode&unix.S_IFMT != unix.S_IFREG, st.Mode&0o111 == 0:
		return unix.EACCES
	}
	return nil
}

// stat follows links as the process will, once its root is the chroot.
func (l lookup) stat(path string, st *unix.Stat_t) error {
	if l.chroot == "" {
		return unix.Stat(path, st)
	}
	root, err := unix.Open(l.chroot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(root, path, how)
	if err == unix.ENOSYS || err == unix.EPERM { // before Linux 5.6, or under a filter that does not know it
		return unix.Stat(filepath.Join(l.chroot, path), st)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fstat(fd, st)
}
