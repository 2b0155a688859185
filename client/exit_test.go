package client

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestAwaitExitOfWhoHasGone: a process that ended after its pidfd was opened and before anybody waited is not waited for in
// vain: the poller tells of a change once, and nobody was there to hear it.
func TestAwaitExitOfWhoHasGone(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(cmd.Process.Pid), 0, 0)
	if errno != 0 {
		_ = cmd.Wait()
		t.Skipf("needs pidfd_open: %v", errno)
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		t.Fatal(err)
	}
	pidfd := os.NewFile(fd, "pidfd")
	defer pidfd.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := awaitExit(t.Context(), pidfd); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitExit(ended, pidfd); err != nil && ended.Err() == nil {
		t.Error(err)
	}
}
