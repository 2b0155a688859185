package engine

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
)

// TestSeekKeeper: a keeper that cannot be started, one that hangs up, and one of another version are tried again; one that
// introduces itself is handed to the loop, and none that was given up is left.
func TestSeekKeeper(t *testing.T) {
	var tries, killed atomic.Int32
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer unix.Close(other)
	e := newEngine(Options{Conn: conn, Log: slog.New(slog.DiscardHandler), Now: clocks, NewKeeper: func(fd int) (func(), error) {
		n := tries.Add(1)
		if n == 1 {
			return nil, errors.New("no process for you")
		}
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		go fakeKeeper(keeper.NewConn(dup), n)
		return func() { killed.Add(1) }, nil
	}})
	go e.seekKeeper(0)
	<-e.requests // takes over; not carried out here
	if tries.Load() != 4 || killed.Load() != 2 {
		t.Errorf("%d tries, %d killed; want 4 and 2", tries.Load(), killed.Load())
	}
}

// fakeKeeper is the second, third or fourth keeper of the test.
func fakeKeeper(c *keeper.Conn, n int32) {
	defer c.Close()
	if _, _, err := c.Receive(); err != nil || n == 2 {
		return
	}
	version := keeper.Version
	if n == 3 {
		version++
	}
	_ = c.Send(&keeper.Message{Kind: keeper.Hello, Version: version, About: &keeper.About{Pid: 1}})
}

// TestLostOrders: what could not be sent because there was no keeper is known when there is another, and nothing of the last
// one stays open.
func TestLostOrders(t *testing.T) {
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(other)
	l := link{conn: conn}
	for range 3 {
		l.send(&keeper.Message{Kind: keeper.SignalTo, Unit: "web", Signal: 15})
	}
	next, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	defer next.Close()
	var before, after unix.Stat_t
	if err := unix.Fstat(conn.FD(), &before); err != nil {
		t.Fatal(err)
	}
	if lost := l.renew(next); len(lost) != 3 || lost[0].Unit != "web" {
		t.Errorf("lost %+v", lost)
	}
	if err := unix.Fstat(conn.FD(), &after); err == nil && after.Ino == before.Ino {
		t.Error("the connection to the last keeper is still open")
	}
	if lost := l.renew(next); len(lost) != 0 {
		t.Errorf("lost again: %+v", lost)
	}
}
