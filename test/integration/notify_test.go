package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// This file: all of sd_notify beyond readiness, between real processes and a real daemon.

// saysNext waits until an instance has said line, for the n-th time.
func (d *daemon) saysNext(name, line string, n int) {
	d.t.Helper()
	d.wait(fmt.Sprintf("%s to say %q", name, line), func() error {
		if got := strings.Count(d.output(name), line+"\n"); got < n {
			return fmt.Errorf("it said so %d times, of:\n%s", got, d.output(name))
		}
		return nil
	})
}

// TestStoredDescriptors: they come back after a crash that came right after them, after the death of an engine, of a keeper
// and of both generations' processes; a stop drops them.
func TestStoredDescriptors(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "passed", "got", "store", "a=one", "send", "READY=1", "open", gate, "store", "b/2=two", "exit", "3") +
		"ready = \"notify\"\nfd_store = 5\n")
	d.up()
	gen := d.running("web", 0).Generation
	d.saysNext("web", `got 0 "" pid `, 1)
	release(t, gate)
	d.saysNext("web", `got 2 "a:b/2" mine one two`, 1)
	gen = d.running("web", gen).Generation
	d.killEngine()
	release(t, gate)
	d.saysNext("web", `got 4 "a:b/2:a:b/2" mine one two one two`, 1)
	gen = d.running("web", gen).Generation
	d.killKeeper()
	release(t, gate)
	d.saysNext("web", `got 5 "a:b/2:a:b/2:a" mine one two one two one`, 1) // no more than fd_store
	gen = d.running("web", gen).Generation
	d.do(api.Restart, "web")
	d.saysNext("web", `got 5 "a:b/2:a:b/2:a" mine one two one two one`, 2)
	d.running("web", gen)
	d.do(api.Stop, "web")
	d.do(api.Start, "web")
	d.saysNext("web", `got 0 "" pid `, 2)
}

// TestNotifyStranger: who is not of the tree does not speak for the service, whatever its rights.
func TestNotifyStranger(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "say", "here", "open", gate, "send", "READY=1;STATUS=its own", "forever") + "ready = \"notify\"\n")
	d.up()
	d.says("web", "here")
	i := d.one("web")
	socket := process{t, i.Pid}.env()["NOTIFY_SOCKET"]
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	to := &unix.SockaddrUnix{Name: socket}
	for _, text := range []string{"READY=1", "STATUS=a stranger's", fmt.Sprintf("MAINPID=%d", os.Getpid()), "STOPPING=1"} {
		if err := unix.Sendto(s, []byte(text), 0, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Sendmsg(s, []byte("BARRIER=1"), unix.UnixRights(p[1]), to, 0); err != nil {
		t.Fatal(err)
	}
	unix.Close(p[1])
	if n, err := unix.Read(p[0], make([]byte, 1)); n != 0 || err != nil { // all was heard
		t.Fatal(n, err)
	}
	if now := d.one("web"); now.State != api.Starting || now.Status != "" || now.Pid != i.Pid {
		t.Errorf("after what a stranger said it is %+v", now)
	}
	if !strings.Contains(d.log(), "its sender is not of this instance") {
		t.Errorf("nobody was told:\n%s", d.log())
	}
	release(t, gate)
	d.running("web", 0)
	d.until("web", "its own words", func(i api.Instance) bool { return i.Status == "its own" })
}

// TestNotifyBarrier: when it goes down, all that was said before is the daemon's knowledge.
func TestNotifyBarrier(t *testing.T) {
	t.Parallel()
	d := prepare(t, steps(t, "web", "send", "STATUS=one", "send", "RELOADING=1", "send", "READY=1;STATUS=two", "barrier", "down", "forever")+
		"ready = \"notify\"\n")
	d.up()
	d.says("web", "down")
	if i := d.one("web"); i.Status != "two" || i.State != api.Running {
		t.Errorf("behind the barrier it is %+v", i)
	}
}

// TestExtendStart: who asks in time gets the time.
func TestExtendStart(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "send", "EXTEND_TIMEOUT_USEC=600000000", "barrier", "more", "open", gate, "send", "READY=1", "forever") +
		"ready = \"notify\"\nstart_timeout = \"20s\"\n")
	d.up()
	d.says("web", "more")
	d.killEngine()
	release(t, gate)
	if i := d.running("web", 0); i.Generation != 1 {
		t.Errorf("it is %+v", i)
	}
}

// TestNotifySenders: programs and libraries that people use, each as a child or as the main process.
func TestNotifySenders(t *testing.T) {
	t.Parallel()
	own, err := ownCopy()
	if err != nil {
		t.Fatal(err)
	}
	const python = "/usr/bin/python3" // Debian's: the libraries are for that one
	has := func(module string) func(t *testing.T) {
		return func(t *testing.T) {
			if out, err := exec.Command(program(t, python), "-c", "import "+module).CombinedOutput(); err != nil {
				t.Skipf("%s has no module %s: %s", python, module, out)
			}
		}
	}
	for _, c := range []struct {
		name, config string
		needs        func(t *testing.T)
		status       string
	}{
		{"systemd-notify", `command = ["sh", "-c", "systemd-notify --ready --status='by systemd-notify'; exec sleep 1000"]`,
			func(t *testing.T) { program(t, "systemd-notify") }, "by systemd-notify"},
		{"sdnotify", `command = ["` + python + `", "-c", "import sdnotify, signal; n = sdnotify.SystemdNotifier(); n.notify('STATUS=by sdnotify'); n.notify('READY=1'); signal.pause()"]`,
			has("sdnotify"), "by sdnotify"},
		{"python3-systemd", `command = ["` + python + `", "-c", "import systemd.daemon, signal; systemd.daemon.notify('READY=1\\nSTATUS=by libsystemd'); signal.pause()"]`,
			has("systemd.daemon"), "by libsystemd"},
		{"go-systemd", fmt.Sprintf("command = [%q]\nenv = { STAY_TEST_ROLE = \"go-systemd\" }\npulse = \"1h\"", own),
			func(*testing.T) {}, "by go-systemd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needs(t)
			d := start(t, "[service.web]\nready = \"notify\"\n"+c.config+"\n")
			d.running("web", 0)
			d.until("web", "its status", func(i api.Instance) bool { return i.Status == c.status })
			if c.name == "go-systemd" {
				d.says("web", "watchdog 1h0m0s <nil>")
				d.says("web", "sent WATCHDOG=1 true <nil>")
			}
		})
	}
}

// TestStoredByPython: a store as a program of another language uses it, with a listening socket in it: who connects while
// nobody runs is served by the next generation.
func TestStoredByPython(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	program(t, python)
	dir := shared(t)
	socket := filepath.Join(dir, "listening")
	script := file(t, filepath.Join(dir, "serve.py"), `
import array, os, socket, sys
def tell(text, *fds):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [], 0, os.environ["NOTIFY_SOCKET"])
if os.environ.get("LISTEN_PID") == str(os.getpid()):
    l = socket.socket(fileno=3)
else:
    l = socket.socket(socket.AF_UNIX)
    l.bind(sys.argv[1])
    l.listen()
    tell("FDSTORE=1\nFDNAME=listen", l.fileno())
tell("READY=1")
c, _ = l.accept()
c.sendall(b"generation " + os.environ["STAY_TREE"].rsplit("/", 1)[1].encode() + b"\n")
os._exit(1) # and all of it comes again
`, 0o644)
	d := prepareAt(t, dir, fmt.Sprintf("[service.web]\ncommand = [%q, %q, %q]\nready = \"notify\"\nfd_store = 1\n", python, script, socket))
	d.up()
	d.running("web", 0)
	for gen := 1; gen <= 4; gen++ {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		c.Close()
		if err != nil || string(got) != fmt.Sprintf("generation %d\n", gen) {
			t.Fatalf("%q, %v; want generation %d", got, err, gen)
		}
	}
}

// TestWatchdog: beats by datagram are judged, the limit may be changed, and a service may say itself that it hangs, also
// one without any pulse; what it has said of the reason is in the incident.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says, config string
		kind               string
		limit              float64 // ms
	}{
		{"no beat any more", "WATCHDOG=1", `pulse = "300ms"`, "watchdog", 300},
		{"shorter limit", "WATCHDOG_USEC=250000;WATCHDOG=1", `pulse = "1h"`, "watchdog", 250},
		{"trigger", "WATCHDOG=trigger", "", "trigger", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := prepare(t, steps(t, "web", "send", "READY=1;STATUS=at work;ERRNO=110", "send", c.says, "forever")+"ready = \"notify\"\n"+c.config+"\n")
			d.up()
			i := d.incident("web", 0)
			if i.Cause != api.CauseHang || i.Verdict == nil || i.Verdict.Kind != c.kind || i.Verdict.LimitMS != c.limit {
				t.Errorf("incident %+v, verdict %+v", i, i.Verdict)
			}
			if i.Status != "at work" || i.Errno != "ETIMEDOUT" {
				t.Errorf("it had said %q, %q", i.Status, i.Errno)
			}
		})
	}
}

// TestLastWordsInIncident: what a service says right before it ends is in the record of its end.
func TestLastWordsInIncident(t *testing.T) {
	t.Parallel()
	d := prepare(t, steps(t, "web", "send", "READY=1", "send", "STATUS=the disk is gone;ERRNO=5", "exit", "3")+"ready = \"notify\"\n")
	d.up()
	if i := d.incident("web", 0); i.Code != 3 || i.Status != "the disk is gone" || i.Errno != "EIO" {
		t.Errorf("incident %+v", i)
	}
}
