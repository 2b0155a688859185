package control

import (
	"net"
	"sync"
)

// A limited listener has at most cap(slots) connections open. Above that it does not accept: who connects waits in the
// kernel's queue, and nobody spins.
type limited struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{} // closed by Close
}

func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a free slot first, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &conn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends Accept, also one that waits for a slot.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// A conn gives its slot back when it is closed.
type conn struct {
	net.Conn
	release func()
}

// Close closes the connection. It may be called more than once.
func (c *conn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
