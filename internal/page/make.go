package page

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a page is like.
type Options struct {
	Slots      int           // 1…MaxSlots; 0: DefaultSlots
	Generation uint64        // of the instance
	Limit      time.Duration // of slots that name none; 0: none is configured
	Required   bool          // a pulse has to live by the end of the start timeout
	UID, GID   int           // whose file it is; -1: stay's own
}

// Make makes a page in dir, replaces by it what has the name, and returns it, opened for reading and writing and close-on-exec,
// with its path. A process that has the page that was there before keeps that.
//
// The directory has to belong to the caller, and nobody else may write to it; it should lie in memory (tmpfs), so that no beat
// waits for a disk. All memory of the page is taken here: a beat can not fail for the want of it. No link is followed.
func Make(dir, name string, o Options) (*os.File, string, error) {
	f, err := makePage(dir, name, o)
	if err != nil {
		return nil, "", fmt.Errorf("make pulse page %q: %w", name, err)
	}
	return f, filepath.Join(dir, name), nil
}

func makePage(dir, name string, o Options) (*os.File, error) {
	if o.Slots == 0 {
		o.Slots = DefaultSlots
	}
	if o.Slots < 1 || o.Slots > MaxSlots {
		return nil, fmt.Errorf("%d slots: 1 to %d are possible", o.Slots, MaxSlots)
	}
	if o.Limit < 0 {
		return nil, fmt.Errorf("limit %v is negative", o.Limit)
	}
	d, err := openDir(dir, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(d)
	temporary := temporaryName(name)
	if err := unix.Unlinkat(d, temporary, 0); err != nil && err != unix.ENOENT { // left by who died in here
		return nil, &os.PathError{Op: "unlink", Path: filepath.Join(dir, temporary), Err: err}
	}
	fd, err := unix.Openat(d, temporary, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: filepath.Join(dir, temporary), Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Join(dir, name))
	if err = fill(f, o); err == nil {
		err = os.NewSyscallError("rename", unix.Renameat(d, temporary, d, name))
	}
	if err != nil {
		f.Close()
		_ = unix.Unlinkat(d, temporary, 0)
		return nil, err
	}
	return f, nil
}

// fill writes the page, and gives it to its owner when it is complete.
func fill(f *os.File, o Options) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	if _, err := f.WriteAt(fresh(o, time.Duration(now.Nano())), 0); err != nil {
		return bare(err)
	}
	if err := f.Chmod(0o600); err != nil { // the umask may have taken some of it
		return bare(err)
	}
	if o.UID == -1 && o.GID == -1 {
		return nil
	}
	return bare(f.Chown(o.UID, o.GID))
}

// Remove takes the name away, also from a page that is in use: that goes on. It is no error if there is none.
func Remove(dir, name string) error {
	d, err := openDir(dir, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove pulse page %q: %w", name, err)
	}
	defer unix.Close(d)
	for _, n := range []string{temporaryName(name), name} {
		if err := unix.Unlinkat(d, n, 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("remove pulse page %q: %w", name, err)
		}
	}
	return nil
}

// temporaryName is where a page is made ready. No page has it for its own: those do not begin with a dot.
func temporaryName(name string) string { return "." + name + ".new" }

// openDir opens a directory in which nobody but the caller can change what a name means.
func openDir(dir, name string) (int, error) {
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\x00") {
		return -1, errors.New("the name of a page is one part of a path, and does not begin with a dot")
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("directory %q (uid %d, mode %#o) can be changed by others: it has to be the daemon's own", dir, st.Uid, st.Mode&0o7777)
	}
	return fd, nil
}

// bare is err without a path that the caller adds anyway.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}
