package keeper

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dirtyRole becomes a process with an ignored SIGHUP and SIGRTMIN+3 and a blocked SIGUSR1, and execs the role "clean" or,
// with a config, "keeper".
func dirtyRole() int {
	runtime.LockOSThread()
	signal.Ignore(syscall.SIGHUP)
	setIgnored(37)
	var set unix.Sigset_t
	set.Val[0] = 1 << (uint(unix.SIGUSR1) - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		return 1
	}
	if err := unix.Dup3(2, 77, 0); err != nil {
		return 1
	}
	argv := []string{"stayd", "clean"}
	if len(os.Args) > 2 {
		argv = []string{"stayd", "keeper", os.Args[2]}
	}
	fmt.Fprintln(os.Stderr, syscall.Exec("/proc/self/exe", argv, os.Environ()))
	return 1
}

// showRole prints what it was started with: Go adds to what is caught, not to what is ignored or blocked.
func showRole() int {
	data, _ := os.ReadFile("/proc/self/status")
	os.Stdout.Write(data)
	return 0
}

func TestExecClean(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"stayd", "dirty"}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if ignored, blocked := field(out, "SigIgn"), field(out, "SigBlk"); ignored != 0 || blocked != 0 {
		t.Errorf("ignored %x, blocked %x", ignored, blocked)
	}
}

// TestDirt sees to it that the test above would find something.
func TestDirt(t *testing.T) {
	r := startDirty(t, false)
	if got := field(status(t, r), "SigBlk"); got == 0 {
		t.Error("a service of a keeper that was not cleaned has nothing blocked: the test is void")
	}
}

func TestServicesInheritNothing(t *testing.T) {
	r := startDirty(t, true)
	e := r.ready()
	pid, log := e.spawn("web", 1, `cat /proc/self/status; read -r a b c d pgrp sid f </proc/$$/stat; echo "session $pgrp $sid"; echo "stdin $(readlink /proc/self/fd/0)"; exec ls -l /proc/self/fd`)
	e.want(Exited, "web")
	out, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	if ignored, blocked := field(out, "SigIgn"), field(out, "SigBlk"); ignored != 0 || blocked != 0 {
		t.Errorf("a service has ignored %x, blocked %x", ignored, blocked)
	}
	if !strings.Contains(text, "stdin /dev/null\n") {
		t.Errorf("stdin: %s", text)
	}
	var fds []string
	for _, m := range regexp.MustCompile(`(?m) (\d+) -> `).FindAllStringSubmatch(text, -1) {
		fds = append(fds, m[1])
	}
	if got := strings.Join(fds, " "); got != "0 1 2 3" { // 3 is the directory
		t.Errorf("descriptors %s in\n%s", got, text)
	}
	if _, rest, _ := strings.Cut(text, "session "); !strings.HasPrefix(rest, fmt.Sprintf("%d %d\n", pid, pid)) {
		t.Errorf("%d is not leader of a session and a group in\n%s", pid, text)
	}
}

// startDirty starts a keeper from a process with ignored and blocked signals and a stray descriptor.
func startDirty(t *testing.T, clean bool) *rig {
	t.Helper()
	return start(t, config{Clean: clean, Dirty: true})
}

// status is /proc/PID/status of a service.
func status(t *testing.T, r *rig) []byte {
	t.Helper()
	e := r.ready()
	_, log := e.spawn("web", 1, "exec cat /proc/self/status")
	data, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	e.want(Exited, "web")
	return data
}

// readUntil reads a log that stays open.
func readUntil(t testing.TB, f *os.File, end string) string {
	t.Helper()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), end) {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("read: %v after %q", err, text.String())
		}
		text.Write(buf[:n])
	}
	return text.String()
}

// setIgnored is sigaction(2) with SIG_IGN, for signals that Go does not let one ignore.
func setIgnored(s int) {
	act := [4]uint64{1}
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
}

func field(status []byte, name string) uint64 {
	_, rest, _ := strings.Cut(string(status), name+":\t")
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(value, 16, 64)
	if err != nil {
		return ^uint64(0)
	}
	return n
}

// TestThreads: they are there before the first service, and a keeper that may have no more lives on.
func TestThreads(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.pid()))
	if err != nil || len(entries) < threads {
		t.Errorf("%d threads, %v", len(entries), err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.pid(), r.pid()))
	if err != nil || len(children) > 0 {
		t.Errorf("children of the first thread: %q, %v", children, err)
	}
	e.settled()
}

func TestSignalsAreCaught(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT, unix.SIGHUP:
		case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGABRT, 32, 33, 34: // of a fault of its own, or Go's
		default:
			if err := unix.Kill(r.pid(), sig); err != nil {
				t.Fatal(sig, err)
			}
		}
	}
	e.settled()
	if pid, _ := e.spawn("web", 1, "exec sleep 1000"); !alive(pid) {
		t.Error("no service after the signals")
	}
}
