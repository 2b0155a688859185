package keeper

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// forkClean makes a process with an empty signal mask: the thread may have what the program before has held back.
func forkClean(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil)
	return syscall.ForkExec(path, argv, attr)
}
