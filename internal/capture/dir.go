package capture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// openRead and openWrite are the ways a log file is opened. Writing needs reading too: the last byte of a file from
// before says whether its line is finished. O_NONBLOCK keeps a FIFO of that name from holding the goroutine.
const (
	openRead  = syscall.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	openWrite = syscall.O_RDWR | syscall.O_APPEND | syscall.O_CREAT | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC
)

// A dir is the log directory, held open. It may be used by many goroutines.
type dir struct {
	path   string
	strict bool // a home: it is opened without following links, and never made

	mu sync.Mutex // guards f, which is replaced when the directory was removed
	f  *os.File
}

// An ident tells one file from another for as long as it exists.
type ident struct{ dev, ino uint64 }

func identOf(st *syscall.Stat_t) ident { return ident{uint64(st.Dev), st.Ino} }

// openDir opens the directory at path.
func openDir(path string) (*dir, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, cause(err)
	}
	return &dir{path: path, f: f}, nil
}

// fileName is the file of a name: 0 is the one that is written, 1 the youngest of the old ones.
func fileName(name string, index int) string {
	if index == 0 {
		return name + ".log"
	}
	return name + ".log." + strconv.Itoa(index)
}

// validName says whether name is one that stay gives, and so makes a file name that stays in the directory.
func validName(name string) bool {
	if name == "" || len(name) > 200 || name[0] == '.' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

// at calls op with the directory's descriptor, which stays open until op returns.
func (d *dir) at(op func(fd int) error) error {
	d.mu.Lock()
	f := d.f
	d.mu.Unlock()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		for {
			if failed = op(int(fd)); failed != syscall.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	return failed
}

// open opens one file and returns its descriptor, the caller's to close, and what fstat says of it. Anything but a
// regular file with one link is refused.
func (d *dir) open(file string, flags int) (fd int, st syscall.Stat_t, err error) {
	err = d.at(func(at int) error {
		fd, err = syscall.Openat(at, file, flags, 0o640)
		return err
	})
	if err == syscall.ELOOP {
		return -1, st, d.refuse(file, "a symbolic link")
	}
	if err != nil {
		return -1, st, d.problem("open", file, err)
	}
	err = syscall.Fstat(fd, &st)
	switch {
	case err != nil:
		err = d.problem("stat", file, err)
	case st.Mode&syscall.S_IFMT != syscall.S_IFREG:
		err = d.refuse(file, "no regular file")
	case st.Nlink > 1:
		err = d.refuse(file, "linked under another name too")
	default:
		return fd, st, nil
	}
	syscall.Close(fd)
	return -1, st, err
}

// reader opens one file for reading.
func (d *dir) reader(file string) (*os.File, error) {
	fd, _, err := d.open(file, openRead)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.path, file)), nil
}

// stat says what is there under that name, a link included.
func (d *dir) stat(file string) (st syscall.Stat_t, err error) {
	err = d.at(func(at int) error {
		const pathOnly = 0x200000 // O_PATH, open(2): no access to the file itself, so it cannot block
		fd, err := syscall.Openat(at, file, pathOnly|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		return syscall.Fstat(fd, &st)
	})
	return st, err
}

// exists says whether anything has that name.
func (d *dir) exists(file string) bool {
	var st unix.Stat_t
	return d.at(func(at int) error { return unix.Fstatat(at, file, &st, unix.AT_SYMLINK_NOFOLLOW) }) == nil
}

// rename moves one file onto another name.
func (d *dir) rename(from, to string) error {
	err := d.at(func(at int) error { return syscall.Renameat(at, from, at, to) })
	if err != nil {
		return fmt.Errorf("rename %q to %q: %w", filepath.Join(d.path, from), to, err)
	}
	return nil
}

// remove deletes one file.
func (d *dir) remove(file string) error {
	if err := d.at(func(at int) error { return syscall.Unlinkat(at, file) }); err != nil {
		return d.problem("remove", file, err)
	}
	return nil
}

// safe refuses a directory that cannot be written, and as root one that others can write: they could put files of their
// own where stay writes.
func (d *dir) safe() error {
	var st syscall.Stat_t
	if err := d.at(func(at int) error { return syscall.Fstat(at, &st) }); err != nil {
		return d.problem("stat", "", err)
	}
	const writeExecute = 3 // W_OK|X_OK, access(2)
	if err := d.at(func(at int) error { return syscall.Faccessat(at, ".", writeExecute, 0) }); err != nil {
		return fmt.Errorf("use log directory %q: %w; chown it to the user stay runs as, or set log_dir", d.path, err)
	}
	if os.Geteuid() == 0 && st.Mode&0o002 != 0 {
		return fmt.Errorf("use log directory %q: everybody can write to it; chmod o-w it, or set log_dir", d.path)
	}
	return nil
}

// again makes and opens the directory again, after somebody removed it.
func (d *dir) again() error {
	if d.strict {
		f, err := walk(d.path)
		if err == nil {
			d.swap(f)
		}
		return err
	}
	if err := os.MkdirAll(d.path, 0o750); err != nil {
		return fmt.Errorf("make log directory %q: %w", d.path, cause(err))
	}
	f, err := os.OpenFile(d.path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open log directory %q: %w", d.path, cause(err))
	}
	d.swap(f)
	return d.safe()
}

// swap takes another descriptor.
func (d *dir) swap(f *os.File) {
	d.mu.Lock()
	old := d.f
	d.f = f
	d.mu.Unlock()
	old.Close()
}

// close gives the descriptor back.
func (d *dir) close() {
	d.mu.Lock()
	f := d.f
	d.mu.Unlock()
	f.Close()
}

func (d *dir) problem(op, file string, err error) error {
	return fmt.Errorf("%s %q: %w", op, filepath.Join(d.path, file), err)
}

func (d *dir) refuse(file, what string) error {
	return fmt.Errorf("open %q: it is %s; move it away, and a new file is made", filepath.Join(d.path, file), what)
}

// cause takes the operation and path off an error of package os: they are said by whoever reports it.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
