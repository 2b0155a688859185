package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
