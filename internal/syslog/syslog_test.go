package syslog

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 5, 1, 14, 3, 7, 123456789, time.UTC)

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    Message
		host string
		want string
	}{
		{"all of it", Message{at, Info, "web.2", 4711, "hello, world"}, "box", "<30>1 2026-05-01T14:03:07.123456Z box web.2 4711 - - hello, world"},
		{"stderr", Message{at, Error, "web", 1, "no"}, "box", "<27>1 2026-05-01T14:03:07.123456Z box web 1 - - no"},
		{"nothing known", Message{Severity: Warning}, "", "<28>1 - - - - - - "},
		{"names that are none", Message{App: "a b\n\x00ü"}, "b o", "<24>1 - b?o a?b???? - - - "},
		{"a long name", Message{App: strings.Repeat("x", 60)}, "h", "<24>1 - h " + strings.Repeat("x", maxApp) + " - - - "},
		{"line ends", Message{App: "a", Text: "one\ntwo\x00three"}, "h", "<24>1 - h a - - - one two three"},
		{"bytes stay what they are", Message{App: "a", Text: "\xff\x1b[0mü"}, "h", "<24>1 - h a - - - \xff\x1b[0mü"},
		{"a long line", Message{App: "a", Text: strings.Repeat("y", maxText+5)}, "h", "<24>1 - h a - - - " + strings.Repeat("y", maxText)},
	} {
		if got := string(tt.m.append(nil, tt.host)); got != tt.want {
			t.Errorf("%s:\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
}

// listen makes a socket that somebody reads; it is short, for names of sockets are.
func listen(t *testing.T, network string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "log")
}

func datagrams(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func text(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(buf[:n]), " - - - ")
	return said
}

func TestDatagrams(t *testing.T) {
	path := listen(t, "unixgram")
	log := datagrams(t, path)
	s := New(Options{Path: path})
	defer s.Close()
	for _, line := range []string{"one", "", "three"} {
		if err := s.Send(t.Context(), Message{Time: at, App: "web", Text: line}); err != nil {
			t.Fatal(err)
		}
		if got := text(t, log); got != line {
			t.Errorf("%q arrives as %q", line, got)
		}
	}
}

// TestLogIsAwayAndComesBack: a daemon that is restarted makes its socket anew.
func TestLogIsAwayAndComesBack(t *testing.T) {
	path := listen(t, "unixgram")
	problems := make(chan error, 8)
	s := New(Options{Path: path, Report: func(err error) { problems <- err }})
	defer s.Close()
	sent := make(chan error, 1)
	send := func(line string) { go func() { sent <- s.Send(t.Context(), Message{App: "web", Text: line}) }() }
	send("one")
	if err := <-problems; err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("nobody listens, and that is %v", err)
	}
	log := datagrams(t, path)
	if got := text(t, log); got != "one" || <-sent != nil || <-problems != nil {
		t.Fatalf("it arrives as %q", got)
	}
	log.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	send("two")
	if err := <-problems; err == nil {
		t.Fatal("nobody listens any more, and that is fine")
	}
	if got := text(t, datagrams(t, path)); got != "two" || <-sent != nil {
		t.Fatalf("it arrives as %q", got)
	}
}

func TestStream(t *testing.T) {
	path := listen(t, "unix")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := New(Options{Path: path})
	defer s.Close()
	sent := make(chan error, 1)
	go func() {
		err := s.Send(t.Context(), Message{App: "web", Text: "one\nline"})
		if err == nil {
			err = s.Send(t.Context(), Message{App: "web", Text: "another"})
		}
		sent <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, want := range []string{"one line\n", "another\n"} {
		got, err := r.ReadString('\n')
		if err != nil || !strings.HasSuffix(got, " - - "+want) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestSendGivesUp: who waits can be told to stop.
func TestSendGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Options{Path: listen(t, "unixgram"), Report: func(error) { cancel() }})
	if err := s.Send(ctx, Message{}); err != context.Canceled {
		t.Errorf("it returns %v", err)
	}
}

// TestLargeMessages: what the socket is too small for is cut, not lost.
func TestLargeMessages(t *testing.T) {
	path := listen(t, "unixgram")
	log := datagrams(t, path)
	s := New(Options{Path: path})
	defer s.Close()
	if err := s.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.(*net.UnixConn).SetWriteBuffer(8 << 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), Message{App: "web", Text: strings.Repeat("x", maxText)}); err != nil {
		t.Fatal(err)
	}
	if got := text(t, log); len(got) < 1<<10 || len(got) >= maxText || strings.Trim(got, "x") != "" {
		t.Errorf("%d bytes arrive", len(got))
	}
}
