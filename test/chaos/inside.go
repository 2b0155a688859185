package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideMark is in the environment of a run that has a mount namespace of its own, where its logs can have a small disk.
const insideMark = "STAY_CHAOS_INSIDE"

func inside() bool { return os.Getenv(insideMark) != "" }

// goInside runs this program again, with the same arguments, in a mount namespace of its own. It returns its exit code;
// done is false where that cannot be, and the run goes on where it is.
func goInside() (code int, done bool) {
	if os.Geteuid() != 0 || inside() {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideMark+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // which makes all mounts private, too
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return exit.ExitCode(), true
	}
	fmt.Fprintln(os.Stderr, "chaos: no mount namespace of its own, so no full disk:", err)
	os.Setenv(insideMark, "")
	return 0, false
}

// The disk of the logs: what is there at the start, and for each second of the run, in bytes.
const (
	diskBase   = 64 << 20
	diskSecond = 4 << 20
)

// mountLogs gives the logs a file system of their own, which can be filled.
func (r *run) mountLogs() error {
	if !inside() {
		return nil
	}
	dir := r.daemon.logDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	size := diskBase + int64(r.length.Seconds())*diskSecond
	if err := unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("mode=0750,size=%d", size)); err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return nil
}

// saveLogs copies the logs to where they outlive the namespace, or lets them go.
func (r *run) saveLogs(keep bool) {
	if !inside() {
		return
	}
	if keep {
		if out, err := exec.Command("cp", "-a", r.daemon.logDir(), filepath.Join(r.dir, "kept-log")).CombinedOutput(); err != nil {
			r.say("the logs could not be kept: %v %s", err, out)
		}
	}
	_ = unix.Unmount(r.daemon.logDir(), unix.MNT_DETACH)
}
