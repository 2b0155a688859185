package notify

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const pythonSender = `
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.sendall(b"READY=1\nSTATUS=from python\nMAINPID=%d" % os.getpid())
`

// run runs a sender that finds the socket by its environment, as services do, and returns its pid.
func run(t *testing.T, path, name string, arg ...string) int {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here", name)
	}
	cmd := exec.Command(program, arg...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return cmd.Process.Pid
}

// shortPath is a socket path that fits into a sockaddr_un wherever temporary files are kept.
func shortPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web")
	if len(path) > maxSunPath {
		t.Skipf("temporary directory too deep for a socket: %d bytes", len(path))
	}
	return path
}

func TestReceiveFromPython(t *testing.T) {
	path := shortPath(t)
	got := receiveAll(t, listenAt(t, path))
	run(t, path, "python3", "-c", pythonSender)
	m := next(t, got)
	want := Message{Pid: m.MainPID, UID: os.Getuid(), Ready: true, Status: "from python", HasStatus: true, MainPID: m.MainPID}
	if m != want || m.Pid == os.Getpid() || m.Pid <= 0 {
		t.Errorf("got %+v, want the sender's own pid and %+v", m, want)
	}
}

// systemd-notify waits for a barrier of its own before it ends.
func TestReceiveFromSystemdNotify(t *testing.T) {
	path := shortPath(t)
	got := receiveAll(t, listenAt(t, path))
	pid := run(t, path, "systemd-notify", "--ready", "--status=up and running", "--pid="+strconv.Itoa(os.Getpid()))
	m := next(t, got)
	if m.Pid != pid && m.Pid != os.Getpid() { // with privileges it sends in its parent's name
		t.Errorf("sender %d, want %d or %d", m.Pid, pid, os.Getpid())
	}
	m.Pid = 0
	want := Message{UID: os.Getuid(), Ready: true, Status: "up and running", HasStatus: true, MainPID: os.Getpid()}
	if m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}
