package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxSunPath is the longest path in a sockaddr_un: 108 bytes with the NUL (unix(7)).
const maxSunPath = 107

// Listen returns a non-blocking datagram socket bound to path, which nobody but root and uid may send to (mode 0600,
// owner uid:gid; −1 leaves the own one). The kernel adds the sender's credentials from the first datagram on. A socket
// file that is there already is taken for a stale one and replaced; any other file is refused.
//
// Paths above 107 bytes can be bound, but no ordinary sender can name them: $NOTIFY_SOCKET has to be shorter.
func Listen(path string, uid, gid int) (*os.File, error) {
	f, err := listen(path, uid, gid)
	if err != nil {
		return nil, fmt.Errorf("listen %q: %w", path, err)
	}
	return f, nil
}

func listen(path string, uid, gid int) (*os.File, error) {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	name := filepath.Base(path)
	if err := removeStale(dir, name); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	if err := bind(fd, path, dir, name, uid, gid); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// bind makes the file at path. The mode is set on the socket before: bind(2) takes it over, so there is no moment in which
// others could connect.
func bind(fd int, path string, dir int, name string, uid, gid int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return err
	}
	if len(path) > maxSunPath {
		path = "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
	}
	if len(path) > maxSunPath {
		return fmt.Errorf("name of %d bytes is too long for a socket, choose a shorter one: %w", len(name), unix.ENAMETOOLONG)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	if uid == -1 && gid == -1 {
		return nil
	}
	if err := unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		_ = unix.Unlinkat(dir, name, 0) // the next Listen replaces it as a stale one
		return fmt.Errorf("chown to %d:%d: %w", uid, gid, err)
	}
	return nil
}

// removeStale removes the socket file that an earlier socket left.
func removeStale(dir int, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("there is a file that is no socket; remove it or choose another path")
	}
	return unix.Unlinkat(dir, name, 0)
}
