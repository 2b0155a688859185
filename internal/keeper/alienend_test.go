package keeper

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAlienStatus: how a process ended is known while it is a zombie, and, where the kernel tells, when it was reaped.
func TestAlienStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 7": 7 << 8, "exit 0": 0, "kill -TERM $$": int(unix.SIGTERM)} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		start := startTimeOf(pid)
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		a := &alien{raw: fd, file: os.NewFile(uintptr(fd), "pidfd")}
		if _, ok := zombieStatus(os.Getpid(), startTimeOf(os.Getpid())); ok {
			t.Error("a process that lives has a status")
		}
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
		if status, ok := a.status(pid, start); !ok || status != want {
			t.Errorf("%s: zombie with %d, %v; want %d", script, status, ok, want)
		}
		if _, ok := zombieStatus(pid, start+1); ok {
			t.Errorf("%s: another process has its status", script)
		}
		_ = cmd.Wait()
		if status, ok := a.status(pid, start); ok && status != want {
			t.Errorf("%s: reaped with %d, want %d", script, status, want)
		}
		a.file.Close()
	}
}

// TestTraceable: the kernel tells of a process of other users only with the capability.
func TestTraceable(t *testing.T) {
	status := func(uid string) []byte { return []byte("Name:\tx\nUid:\t" + uid + "\nGid:\t1\t1\t1\t1\n") }
	for _, c := range []struct {
		own, other string
		want       bool
	}{
		{"5\t5\t5\t5", "5\t5\t5\t5", true},
		{"0\t5\t5\t5", "5\t5\t5\t0", true}, // who acts, and who is acted on: their own fsuid does not count
		{"5\t5\t5\t5", "5\t0\t5\t5", false},
		{"5\t5\t5\t5", "6\t6\t6\t6", false},
		{"5\t5\t5\t5", "", false},
	} {
		if got := same(status(c.own), status(c.other), "Uid:"); got != c.want {
			t.Errorf("%q of %q: %v", c.other, c.own, got)
		}
	}
	if !traceable(os.Getpid()) || traceable(maxPid) && os.Geteuid() != 0 {
		t.Error("of this process, or of none")
	}
}
