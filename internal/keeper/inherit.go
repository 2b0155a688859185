package keeper

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ExecClean executes exe with argv, with an empty signal mask, every signal at its default, and no descriptor but the
// standard ones: Go hands what it found at its own start to every child (nohup's ignored SIGHUP, a shell's blocked signals,
// a terminal's or a build tool's open files) and cannot be told otherwise later. It returns only with an error.
func ExecClean(exe *os.File, argv []string) error {
	ignored, err := ignoredSignals()
	if err != nil {
		return err
	}
	if err := closeOnExec(); err != nil {
		return err
	}
	runtime.LockOSThread() // the mask is this thread's, and exec keeps it
	for s := 1; s <= 64; s++ {
		if ignored&(1<<(s-1)) != 0 {
			setDefault(s)
		}
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil); err != nil {
		return fmt.Errorf("empty the signal mask: %w", err)
	}
	err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(exe.Fd())), argv, os.Environ())
	return fmt.Errorf("exec stayd again with clean signals: %w", err)
}

// ignoredSignals is a mask of the signals that this process ignores, signal 1 in the lowest bit.
func ignoredSignals() (uint64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("signal state: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "SigIgn:\t"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, nil
}

// setDefault is sigaction(2) with SIG_DFL, of which Go's signal.Reset is no substitute: it leaves alone what was ignored
// when the process started.
func setDefault(s int) {
	var act [4]uint64 // handler, flags, restorer, mask: all zero is SIG_DFL on every 64-bit Linux
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
}

// closeOnExec has every descriptor but the standard ones end with the next exec.
func closeOnExec() error {
	const first = 3 // after standard error
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	entries, err := os.ReadDir("/proc/self/fd") // before Linux 5.11
	if err != nil {
		return fmt.Errorf("open descriptors: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
