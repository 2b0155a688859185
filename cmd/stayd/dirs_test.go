package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMakeDirSaysWhatToDo: a directory that cannot be made is named, and so is the key that names another.
func TestMakeDirSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const todo = ": set log_dir in [stay] to a place that can be written"
	for dir, want := range map[string]string{
		file:                       `make directory "` + file + `": not a directory` + todo,
		filepath.Join(file, "log"): `make directory "` + filepath.Join(file, "log") + `": "` + file + `": not a directory` + todo,
		"/proc/no-such-place":      `make directory "/proc/no-such-place": no such file or directory` + todo,
	} {
		if err := makeDir(dir, 0o700, "log_dir"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestOwnerHint: who may not read is told who may.
func TestOwnerHint(t *testing.T) {
	if got := ownerHint(&os.PathError{Op: "open", Path: "/x", Err: os.ErrPermission}); got != "run it as the user of the daemon, or as root" {
		t.Errorf("%q", got)
	}
	if got := ownerHint(os.ErrNotExist); got != "" {
		t.Errorf("%q", got)
	}
}

// TestEnding: a zombie is about to be gone; who lives is not.
func TestEnding(t *testing.T) {
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !ending(pid) {
		t.Error("a zombie is not ending")
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if !ending(pid) {
		t.Error("who has gone is not ending")
	}
	if ending(os.Getpid()) {
		t.Error("this process is ending")
	}
}
