package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

func TestWatch(t *testing.T) {
	e := newEngine(instance("web", api.Starting, 7))
	s := begin("--socket", serve(t, e), "status", "--watch", "web")
	s.out.await(t, "web      starting  7", 2)
	e.set("web", api.Failed, "exit code 1")
	s.out.await(t, "web      failed", 2)
	s.press(t, os.Interrupt)
	code, out, err := s.end(t)
	if code != 0 || err != "" || strings.Contains(out, "\x1b") {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestWatchEnds(t *testing.T) {
	e := newEngine(instance("web", api.Running, 7))
	socket := serve(t, e)
	s := begin("--socket", socket, "status", "--watch", "--json")
	s.out.await(t, `"web"`, 2)
	s.out.mu.Lock()
	s.out.broken = true
	s.out.mu.Unlock()
	if code, _, err := s.end(t); code != 0 || err != "" {
		t.Errorf("when nobody reads: %d %q", code, err)
	}
	s = begin("--socket", socket, "status", "--watch")
	s.out.await(t, "web", 1)
	if code, _, err := run(t, "--socket", socket, "down"); code != 0 {
		t.Fatal(err)
	}
	if code, _, err := s.end(t); code != 3 || !strings.HasPrefix(err, "stay: no daemon on ") {
		t.Errorf("when the daemon goes: %d %q", code, err)
	}
}

// terminal opens a pseudo terminal of 60 columns and 5 rows.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 60})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestWatchOnTerminal: it is drawn in place, in colour, no wider and no higher than the terminal, and q ends it.
func TestWatchOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	e := newEngine()
	for i := range 20 {
		in := instance(fmt.Sprintf("s%02d", i), api.Waiting, 0)
		in.Why = strings.Repeat("very ", 20) + "long"
		e.list = append(e.list, in)
	}
	master, slave := terminal(t)
	shown := newScreen()
	copied := make(chan struct{})
	go func() { defer close(copied); _, _ = io.Copy(shown, master) }()
	s := beginAs(func(a *app) { a.in, a.ui = slave, newUI(slave, slave) }, "--socket", serve(t, e), "status", "--watch")
	shown.await(t, "\x1b[H", 3)
	if _, err := master.WriteString("xq"); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := s.end(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	slave.Close()
	<-copied // the end of the slave is an error of the master
	text := shown.String()
	if strings.Contains(text, "s03") || !strings.Contains(text, "s02") || !strings.Contains(text, "\x1b[33ms00") || !strings.Contains(text, "…\x1b[0m\x1b[K\r\n") {
		t.Errorf("it showed %q", text)
	}
}

// TestProgressOnTerminal: who waits at a terminal sees what for, in a line that goes away.
func TestProgressOnTerminal(t *testing.T) {
	e := newEngine(instance("web", api.Waiting, 0))
	e.list[0].Why = "waiting for db"
	release := make(chan struct{})
	e.do = func(ctx context.Context, _ api.Command) (api.Result, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return api.Result{}, ctx.Err()
	}
	master, slave := terminal(t)
	shown := newScreen()
	copied := make(chan struct{})
	go func() { defer close(copied); _, _ = io.Copy(shown, master) }()
	s := beginAs(func(a *app) { a.ui = newUI(newScreen(), slave) }, "--socket", serve(t, e), "start", "web")
	shown.await(t, "\r\x1b[Kstay: waiting: web (waiting: waiting for db)", 1)
	close(release)
	if code, _, _ := s.end(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	slave.Close()
	<-copied
	if text := shown.String(); !strings.Contains(text, "for db)\r\x1b[K") {
		t.Errorf("the line stays: %q", text)
	}
}
