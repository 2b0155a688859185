package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// syslogd is a socket as the system's log has it; its messages come out of the channel.
func syslogd(t *testing.T) (path string, messages <-chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "log") // short: names of sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	said := make(chan string, 100)
	go func() {
		defer close(said)
		buf := make([]byte, 1<<17)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	return path, said
}

func next(t *testing.T, messages <-chan string) string {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
		return ""
	}
}

// TestSyslog: lines of those services that want it go to the system's log from the first one on, with their pid, also after
// an apply and after the engine's death.
func TestSyslog(t *testing.T) {
	t.Parallel()
	path, messages := syslogd(t)
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	config := func(other string) string {
		return fmt.Sprintf(`
[service.web]
command = ["sh", "-c", "echo first; read x <%s; echo second; exec sleep 1000"]
log = { syslog = true }
[service.other]
command = ["sh", "-c", "echo other; exec sleep 1000"]
log = { syslog = %s }
`, gate, other)
	}
	d.write(config("false"))
	d.wrap = []string{"env", "STAY_SYSLOG=" + path}
	d.up()
	web := d.running("web", 0)
	d.running("other", 0)
	if m := next(t, messages); !strings.HasPrefix(m, "<30>1 ") || !strings.HasSuffix(m, fmt.Sprintf(" web %d - - first", web.Pid)) {
		t.Errorf("the first message is %q", m)
	}
	d.killEngine()
	release(t, gate)
	if m := next(t, messages); !strings.HasSuffix(m, fmt.Sprintf(" web %d - - second", web.Pid)) {
		t.Errorf("after the engine's death comes %q", m)
	}
	if _, err := d.apply(config("true")); err != nil {
		t.Fatal(err)
	}
	d.do(api.Restart, "other")
	if m := next(t, messages); !strings.HasSuffix(m, " - - other") {
		t.Errorf("after an apply comes %q", m)
	}
}

// TestOutputOfContainer: in the foreground every line goes to standard output too, and stay's own words to standard error.
func TestOutputOfContainer(t *testing.T) {
	t.Parallel()
	d := prepare(t, `
[service.web]
command = ["sh", "-c", "echo one; echo two >&2; exec sleep 1000"]
instances = 2
`)
	out := filepath.Join(d.dir, "stdout")
	d.wrap = []string{"sh", "-c", `exec "$@" >` + out, "sh"}
	d.up("--foreground")
	d.wait("all lines on standard output", func() error {
		data, err := os.ReadFile(out)
		for _, line := range []string{"web | one", "web | two", "web.2 | one", "web.2 | two"} {
			if err == nil && strings.Count("\n"+string(data), "\n"+line+"\n") != 1 {
				err = fmt.Errorf("not once: %q in %q", line, data)
			}
		}
		return err
	})
	if data, err := os.ReadFile(out); err != nil || strings.Count(string(data), "\n") != 4 {
		t.Errorf("on standard output is %q (%v)", data, err)
	}
}
