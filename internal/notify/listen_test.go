package notify

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listenAt is Listen with a cleanup.
func listenAt(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := Listen(path, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// address is a name for path that is short enough to send to.
func address(t testing.TB, path string) *unix.SockaddrUnix {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path)}
}

func TestListenMakesAPrivateSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web")
	f := listenAt(t, path)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, want a socket with 0600", info.Mode())
	}
	if f.Name() != path {
		t.Errorf("name %q, want %q", f.Name(), path)
	}
	fd := int(f.Fd())
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v: not non-blocking", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: not close-on-exec", flags, err)
	}
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED); err != nil || on != 1 {
		t.Errorf("SO_PASSCRED %d, %v", on, err)
	}
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web")
	old := listenAt(t, path)
	f := listenAt(t, path)
	old.Close()
	got := receiveAll(t, f)
	send(t, address(t, path), "READY=1", nil)
	if m := next(t, got); !m.Ready {
		t.Errorf("got %+v, want ready", m)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, want string
		cause            error
	}{
		{"a file", file, "no socket", nil},
		{"a link", link, "no socket", nil},
		{"a directory", dir, "no socket", nil},
		{"no directory", filepath.Join(dir, "none", "web"), "no such file", unix.ENOENT},
		{"a file as directory", filepath.Join(file, "web"), "not a directory", unix.ENOTDIR},
		{"a name too long for a socket", filepath.Join(dir, strings.Repeat("x", 120)), "choose a shorter one", unix.ENAMETOOLONG},
		{"a name too long for a file", filepath.Join(dir, strings.Repeat("x", 300)), "name too long", unix.ENAMETOOLONG},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := openFiles(t)
			f, err := Listen(tt.path, -1, -1)
			if err == nil {
				f.Close()
				t.Fatal("no error")
			}
			if !strings.HasPrefix(err.Error(), "listen "+strconv.Quote(tt.path)+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one about %q", err, tt.want)
			}
			if tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("error %q is no %v", err, tt.cause)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors after the refusal, %d before", after, before)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "keep" {
		t.Errorf("the refused file now holds %q, %v", text, err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 {
		t.Errorf("refusals left files: %v", names)
	}
}

func TestListenOnALongPath(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 300 {
		dir = filepath.Join(dir, strings.Repeat("d", 50))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "web")
	got := receiveAll(t, listenAt(t, path))
	send(t, address(t, path), "STATUS=far away", nil)
	if m := next(t, got); m.Status != "far away" {
		t.Errorf("got %+v", m)
	}
}

func TestListenGivesTheSocketAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a file to another user needs root")
	}
	path := filepath.Join(t.TempDir(), "web")
	f, err := Listen(path, 12345, 23456)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 12345 || st.Gid != 23456 || info.Mode().Perm() != 0o600 {
		t.Errorf("owner %d:%d, mode %v; want 12345:23456, 0600", st.Uid, st.Gid, info.Mode())
	}
}

func TestListenCannotGiveAwayUnprivileged(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may give files away")
	}
	path := filepath.Join(t.TempDir(), "web")
	f, err := Listen(path, os.Getuid()+1, -1)
	if err == nil {
		f.Close()
		t.Fatal("no error")
	}
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "chown") {
		t.Errorf("error %q, want one of chown", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
