package engine

import (
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
)

// pipeOf gives e a connection whose other end is returned, with its own.
func pipeOf(t *testing.T, e *Engine) (ours, theirs *keeper.Conn) {
	t.Helper()
	ours, fd, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ours.Close)
	e.link.conn = keeper.NewConn(fd)
	return ours, e.link.conn
}

// TestAnswersComeAfterOrders: a client is not answered while an order that its answer promises is still with this engine.
func TestAnswersComeAfterOrders(t *testing.T) {
	e := engineOf(t)
	ours, theirs := pipeOf(t, e)
	sent := uint64(0)
	for !e.link.busy() { // until the keeper, who does not read, has no room
		sent++
		e.link.send(&keeper.Message{Kind: keeper.Note, Unit: "web", Op: sent})
	}
	answered := make(chan struct{})
	e.link.afterwards(func() { close(answered) })
	select {
	case <-answered:
		t.Fatal("answered, and the keeper has not read anything")
	default:
	}
	n := uint64(0)
	read := func() {
		n++
		if m, _, err := ours.Receive(); err != nil || m.Op != n {
			t.Fatalf("order %d of %d: %+v, %v", n, sent, m, err)
		}
	}
	for waiting := true; waiting; {
		read()
		select {
		case <-answered:
			waiting = false
		default:
		}
	}
	theirs.Close() // the engine dies: what it promised is there
	for n < sent {
		read()
	}
}

func (l *link) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sending
}

// TestNewlineStaysInThePipe: who is killed over a readiness leaves it to the next one.
func TestNewlineStaysInThePipe(t *testing.T) {
	for _, c := range []struct {
		text   string
		closed bool
		found  bool
		err    error
	}{
		{"\n", false, true, nil},
		{"\n", true, true, nil},
		{"soon\nmore", false, true, nil},
		{"soon", false, false, unix.EAGAIN},
		{"soon", true, false, io.EOF},
		{"", false, false, unix.EAGAIN},
	} {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(p[1], []byte(c.text)); err != nil {
			t.Fatal(err)
		}
		if c.closed {
			unix.Close(p[1])
		}
		for round := range 2 {
			if found, err := newline(p[0]); found != c.found || err != c.err {
				t.Errorf("%q, time %d: %v, %v", c.text, round+1, found, err)
			}
		}
		unix.Close(p[0])
		if !c.closed {
			unix.Close(p[1])
		}
	}
}
