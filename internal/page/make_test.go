package page

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func monotonic(t testing.TB) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano()
}

// TestHeader compares what Make writes with the contract, byte for byte.
func TestHeader(t *testing.T) {
	for _, c := range []struct {
		o     Options
		count uint16
		size  int
		flags uint64
	}{
		{Options{Generation: 7, Limit: 30 * time.Second}, 31, 4096, 0},
		{Options{Slots: 1, Required: true}, 1, 4096, 1},
		{Options{Slots: 31}, 31, 4096, 0},
		{Options{Slots: 32, Generation: 1 << 60}, 32, 8192, 0},
		{Options{Slots: 63}, 63, 8192, 0},
		{Options{Slots: 64}, 64, 12288, 0},
		{Options{Slots: MaxSlots, Limit: 1}, 4096, 129 * 4096, 0},
	} {
		c.o.UID, c.o.GID = -1, -1
		dir := privateDir(t)
		before := monotonic(t)
		f := made(t, dir, "web.2", c.o)
		after := monotonic(t)
		data, err := os.ReadFile(filepath.Join(dir, "web.2"))
		if err != nil {
			t.Fatal(err)
		}
		n := binary.NativeEndian
		created := n.Uint64(data[32:])
		if created < uint64(before) || created > uint64(after) {
			t.Errorf("%+v: made at %d, called between %d and %d", c.o, created, before, after)
		}
		want := make([]byte, c.size)
		copy(want, "STAYPULS")
		n.PutUint16(want[8:], 1)
		n.PutUint16(want[10:], 128)
		n.PutUint16(want[12:], 128)
		n.PutUint16(want[14:], c.count)
		n.PutUint64(want[16:], c.o.Generation)
		n.PutUint64(want[24:], uint64(c.o.Limit))
		n.PutUint64(want[32:], created)
		n.PutUint64(want[40:], c.flags)
		if string(data) != string(want) {
			t.Errorf("%+v: the page begins with % x, want % x", c.o, data[:128], want[:128])
		}
		if got := read(t, f, int(c.count)); len(got) != 0 {
			t.Errorf("%+v: it has slots: %v", c.o, got)
		}
		if size, err := SizeOf(f); err != nil || size.Length != SizeMade(int(c.count)).Length || size.Memory < size.Length {
			t.Errorf("%+v: its size is %+v, %v", c.o, size, err)
		}
	}
}

// TestMakeFile looks at the file as a file: mode, descriptor, links, leftovers.
func TestMakeFile(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o277))
	dir := privateDir(t)
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"web", ".web.new"} {
		if err := os.Symlink(victim, filepath.Join(dir, planted)); err != nil {
			t.Fatal(err)
		}
	}
	f, path, err := Make(dir, "web", own(0))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if path != filepath.Join(dir, "web") || st.Mode() != 0o600 || st.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Errorf("%s has mode %v", path, st.Mode())
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "dear" {
		t.Errorf("the links' target: %q, %v", data, err)
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags of the descriptor: %#x, %v", flags, err)
	}
	if got := names(t, dir); got != "victim web" {
		t.Errorf("in the directory: %s", got)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestMakeRefuses(t *testing.T) {
	good, open := privateDir(t), privateDir(t)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(good, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(good, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, name string
		o         Options
		want      string
	}{
		{filepath.Join(good, "none"), "web", own(0), "no such file or directory"},
		{link, "web", own(0), "not a directory"},
		{file, "web", own(0), "not a directory"},
		{open, "web", own(0), "can be changed by others"},
		{good, "", own(0), "one part of a path"},
		{good, "..", own(0), "one part of a path"},
		{good, ".web", own(0), "one part of a path"},
		{good, "a/b", own(0), "one part of a path"},
		{good, "a\x00b", own(0), "one part of a path"},
		{good, strings.Repeat("n", 300), own(0), "file name too long"},
		{good, "folder", own(0), "rename: is a directory"},
		{good, "web", own(-1), "-1 slots: 1 to 4096 are possible"},
		{good, "web", own(MaxSlots + 1), "4097 slots"},
		{good, "web", Options{Limit: -1, UID: -1, GID: -1}, "is negative"},
	} {
		f, _, err := Make(c.dir, c.name, c.o)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "make pulse page ") {
			t.Errorf("make %q in %q: %v, want %q", c.name, c.dir, err, c.want)
		}
	}
	if got := names(t, good); got != "file folder" {
		t.Errorf("left behind: %s", got)
	}
}

// TestForeignDirectory: a directory of another user is refused.
func TestForeignDirectory(t *testing.T) {
	dir := "/" // root's
	if os.Geteuid() == 0 {
		dir = privateDir(t)
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Skip("needs the right to chown:", err)
		}
	}
	if f, _, err := Make(dir, "web", own(0)); err == nil || !strings.Contains(err.Error(), "can be changed by others") {
		f.Close()
		t.Errorf("make: %v", err)
	}
}

// TestOwner gives a page to another user: that one opens it, and nobody else.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a page for another user")
	}
	dir, err := os.MkdirTemp("", "page-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	f, path, err := Make(dir, "web", Options{UID: 65533, GID: 65532})
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("needs the right to chown:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Uid != 65533 || st.Gid != 65532 || st.Mode != unix.S_IFREG|0o600 {
		t.Errorf("uid %d, gid %d, mode %#o, %v", st.Uid, st.Gid, st.Mode, err)
	}
	for uid, want := range map[int]error{65533: nil, 65534: unix.EACCES} {
		if got := openAs(uid, path); got != want {
			t.Errorf("opened as %d: %v, want %v", uid, got, want)
		}
	}
	if got := read(t, f, 31); len(got) != 0 {
		t.Errorf("slots: %v", got)
	}
}

// TestOwnerRefused: who may not give files away makes none, and leaves nothing.
func TestOwnerRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may give files away")
	}
	dir := privateDir(t)
	f, _, err := Make(dir, "web", Options{})
	if err == nil {
		f.Close()
	}
	if !errors.Is(err, fs.ErrPermission) || err.Error() != `make pulse page "web": chown: operation not permitted` {
		t.Errorf("make: %v", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left: %s", got)
	}
}

// openAs opens a file as another user: on a thread of its own, which ends with it.
func openAs(uid int, path string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			result <- errno
			return
		}
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		result <- err
	}()
	return <-result
}

func TestRemove(t *testing.T) {
	dir := privateDir(t)
	f := made(t, dir, "web", own(0))
	put(t, f, 3, raw{state: 2, name: "x"})
	if err := os.WriteFile(filepath.Join(dir, ".web.new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(dir, "web"); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left: %s", got)
	}
	if got := read(t, f, 31); len(got) != 1 || got[0].Name() != "x" {
		t.Errorf("who has it reads %v", got)
	}
	if err := Remove(filepath.Join(dir, "gone"), "web"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "..", "a/b"} {
		if err := Remove(dir, name); err == nil {
			t.Errorf("removed %q", name)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir, "folder"); err == nil {
		t.Error("removed a folder")
	}
}
