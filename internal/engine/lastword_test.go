package engine

import (
	"strconv"
	"testing"

	"example.com/stay/internal/keeper"
)

// linked is a link and the other end of it.
func linked(t *testing.T) (*link, *keeper.Conn) {
	t.Helper()
	conn, fd, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	other := keeper.NewConn(fd)
	t.Cleanup(func() { conn.Close(); other.Close() })
	return &link{conn: conn}, other
}

func numberedNote(n int) *keeper.Message {
	return &keeper.Message{Kind: keeper.Note, Name: strconv.Itoa(n)}
}

// heard takes the next message, which must be the n-th.
func heard(t *testing.T, c *keeper.Conn, n int) {
	t.Helper()
	m, fds, err := c.Receive()
	keeper.CloseAll(fds)
	if err != nil || m.Name != strconv.Itoa(n) {
		t.Fatalf("want %d, got %+v, %v", n, m, err)
	}
}

// TestLastWord: nothing comes after it until resume, and then all of it, in order.
func TestLastWord(t *testing.T) {
	l, keeperEnd := linked(t)
	l.send(numberedNote(1))
	l.lastWord(numberedNote(2))
	heard(t, keeperEnd, 1)
	heard(t, keeperEnd, 2)
	told := make(chan struct{})
	for n := 3; n < 100; n++ {
		l.send(numberedNote(n))
	}
	l.afterwards(func() { close(told) })
	select {
	case <-told:
		t.Fatal("what was said after the last word is said to be with the keeper")
	default:
	}
	l.resumed(t)
	for n := 3; n < 100; n++ {
		heard(t, keeperEnd, n)
	}
	<-told
	l.resume() // harmless
	l.send(numberedNote(100))
	heard(t, keeperEnd, 100)
}

// resumed resumes as soon as the last word is out: the goroutine that has sent it may not have noted that yet.
func (l *link) resumed(t *testing.T) {
	t.Helper()
	for {
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused {
			l.resume()
			return
		}
	}
}

// TestLastWordToOneThatDies: another keeper is told all there is, so what waited is not sent; who waits for an answer gets it.
func TestLastWordToOneThatDies(t *testing.T) {
	l, keeperEnd := linked(t)
	l.lastWord(numberedNote(1))
	heard(t, keeperEnd, 1)
	told := make(chan struct{})
	l.send(numberedNote(2))
	l.afterwards(func() { close(told) })
	for paused := false; !paused; {
		l.mu.Lock()
		paused = l.paused
		l.mu.Unlock()
	}
	next, fd, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	other := keeper.NewConn(fd)
	defer other.Close()
	defer next.Close()
	if lost := l.renew(next); len(lost) != 1 || lost[0].Name != "2" {
		t.Errorf("lost %v", lost)
	}
	<-told
	l.send(numberedNote(3))
	heard(t, other, 3)
}
