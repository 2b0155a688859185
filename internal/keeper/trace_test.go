package keeper

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// trace stops a process with ptrace(2) until release is called.
func trace(t *testing.T, pid int) (release func()) {
	t.Helper()
	attached, detach, detached := make(chan error), make(chan struct{}), make(chan struct{})
	go func() { // one thread is the tracer
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(detached)
		err := unix.PtraceSeize(pid)
		attached <- err
		if err == nil {
			<-detach
			_ = unix.PtraceInterrupt(pid) // it has to be stopped to be let go
			var status unix.WaitStatus
			_, _ = unix.Wait4(pid, &status, unix.WALL, nil)
			_ = unix.PtraceDetach(pid)
		}
	}()
	if err := <-attached; err != nil {
		t.Skipf("needs ptrace: %v", err)
	}
	return func() { close(detach); <-detached }
}
