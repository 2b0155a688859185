package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketName = "stay.sock"
	lockName   = "lock"
	logName    = "stay.log"
)

// idOf is the short name of a daemon: of its runtime directory.
func idOf(runtimeDir string) string {
	sum := sha256.Sum256([]byte(runtimeDir))
	return hex.EncodeToString(sum[:6])
}

// makeDir makes a directory of stay's own that can be written, and refuses one that is not. The key of [stay] that names
// it is for the refusal.
func makeDir(dir string, mode uint32, key string) error {
	if err := os.MkdirAll(dir, os.FileMode(mode)); err != nil {
		return makeDirError(dir, key, err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%q is not a directory: move it away", dir)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%q belongs to uid %d, not to %d: run as that user, or name another with %s", dir, st.Uid, os.Geteuid(), key)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("others can write to %q: chmod go-w it", dir)
	}
	switch err := unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err {
	case nil:
		return nil
	case unix.EROFS:
		return fmt.Errorf("cannot write to %q: the disk is read-only: set %s in [stay] to a place that can be written", dir, key)
	case unix.EACCES:
		return fmt.Errorf("cannot write to %q: chmod u+rwx it, or name another with %s", dir, key)
	default:
		return fmt.Errorf("cannot write to %q: %w", dir, err)
	}
}

func makeDirError(dir, key string, err error) error {
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("make directory %q: the disk is read-only: set %s in [stay] to a place that can be written", dir, key)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("make directory %q: no permission: run as its owner, or set %s in [stay] to a place that can be written", dir, key)
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
		if pe.Path != dir {
			err = fmt.Errorf("%q: %w", pe.Path, pe.Err)
		}
	}
	return fmt.Errorf("make directory %q: %w: set %s in [stay] to a place that can be written", dir, err, key)
}

const (
	lockPatience = 2 * time.Second // for a lock whose holder has gone
	lockAgain    = 5 * time.Millisecond
)

// lock takes the lock of a runtime directory: one daemon at a time. The file has the holder's pid in it.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	for begin := time.Now(); ; time.Sleep(lockAgain) {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		f := os.NewFile(uintptr(fd), path)
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			pid := holder(f)
			f.Close()
			if time.Since(begin) < lockPatience && (pid == 0 || ending(pid)) {
				continue // its keeper has gone, and its engine is on the way: to its end, or to another keeper
			}
			return nil, fmt.Errorf("a daemon is already running on %q (pid %d)", dir, pid)
		}
		if same(fd, path) {
			return f, nil
		}
		f.Close() // the holder before removed it while we waited
	}
}

// ending says whether a process has gone, or is about to: of one that was killed, the first thread can be a zombie while
// others still have its descriptors, the lock among them.
func ending(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	after := strings.LastIndex(string(stat), ") ")
	return after >= 0 && strings.HasPrefix(string(stat[after+2:]), "Z")
}

// sign writes this process's pid into the lock, and where its memory directory is: the next start looks there for what a
// daemon that was killed has left.
func sign(f *os.File, memory string) {
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"+memory+"\n"), 0)
}

// holder is the pid in the lock, 0 if there is none.
func holder(f *os.File) int {
	var buf [32]byte
	n, _ := f.ReadAt(buf[:], 0)
	first, _, _ := strings.Cut(string(buf[:n]), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

func same(fd int, path string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Lstat(path, &b) == nil && a.Ino == b.Ino && a.Dev == b.Dev
}

// listen opens the control socket: 0660, the daemon's own. The lock is held, so a socket that is there is a stale one.
func listen(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	// By the directory's descriptor the name fits into sun_path however deep the directory lies.
	address := &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName)}
	err = unix.Fchmod(fd, 0o660)
	if err == nil {
		err = unix.Bind(fd, address)
	}
	if err == nil {
		err = unix.Listen(fd, 1024)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("control socket %q: %w", path, err)
	}
	return f, nil
}

// memoryDir makes the directory for what must not touch a disk: in the runtime directory if that is a tmpfs, else where
// the user has one, else in /dev/shm.
func memoryDir(runtimeDir, id string) (string, error) {
	candidates := []string{filepath.Join(runtimeDir, "mem")}
	if x := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(x) {
		candidates = append(candidates, filepath.Join(x, "stay", id))
	}
	candidates = append(candidates, fmt.Sprintf("/dev/shm/stay-%d-%s", os.Geteuid(), id))
	var last error
	for _, dir := range candidates {
		if !inMemory(filepath.Dir(dir)) && !inMemory(filepath.Dir(filepath.Dir(dir))) {
			last = fmt.Errorf("%q is not in memory", dir)
			continue
		}
		if last = makeDir(dir, 0o711, "runtime_dir"); last != nil {
			continue
		}
		if last = os.Chmod(dir, 0o711); last != nil {
			continue
		}
		return dir, clean(dir)
	}
	return "", fmt.Errorf("no directory in memory: %w: mount a tmpfs on /dev/shm, or set runtime_dir to a tmpfs", last)
}

// clean empties a directory of what a daemon before left there: its lock is ours.
func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

func inMemory(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && (int64(st.Type) == tmpfsMagic || int64(st.Type) == ramfsMagic)
}
