package engine

import (
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
)

// A fact is one message of the keeper, or the end of the connection.
type fact struct {
	m   *keeper.Message
	fds []int
	err error
}

// A link sends orders without ever making the loop wait: what the keeper does not read at once is sent by a goroutine,
// in order. What can pile up is bounded by the units: each has few orders until it hears back.
type link struct {
	conn  *keeper.Conn
	fault func(at string) // nil in production; see Options.Fault

	mu      sync.Mutex // a leaf: guards what is below
	backlog []parcel
	sending bool
	paused  bool              // nothing is sent until resume, all waits in backlog; sending is set, and nobody drains
	lost    []*keeper.Message // that could not be sent, because there is no keeper; at most maxLost
	old     []*keeper.Conn    // to keepers that died while drain was sending, for it to close
}

type parcel struct {
	m    *keeper.Message
	fds  []int  // the parcel's own, closed when it was sent
	then func() // nil: nothing
	last bool   // it is followed by a pause
}

// afterwards calls f, which must not block, when all that was sent before is with the keeper: what was answered to a
// client is what the next engine finds.
func (l *link) afterwards(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sending {
		f()
		return
	}
	l.backlog = append(l.backlog, parcel{then: f})
}

// send sends m. The descriptors stay the caller's.
func (l *link) send(m *keeper.Message, fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sending {
		l.at("send", m)
		err := l.conn.TrySend(m, fds...)
		l.at("sent", m)
		if !errors.Is(err, keeper.ErrFull) {
			if err != nil { // it is the keeper's end: the reader sees it too
				l.lose(m)
			}
			return
		}
		l.sending = true
		go l.drain()
	}
	l.queue(parcel{m: m}, fds)
}

// queue has a parcel with copies of the descriptors be sent some time.
func (l *link) queue(p parcel, fds []int) {
	for _, fd := range fds {
		if dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			p.fds = append(p.fds, dup)
		}
	}
	l.backlog = append(l.backlog, p)
}

// lastWord sends m, and nothing more until resume or another keeper.
func (l *link) lastWord(m *keeper.Message, fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue(parcel{m: m, last: true}, fds)
	if !l.sending {
		l.sending = true
		go l.drain()
	}
}

// resume sends what has waited since the last word.
func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused {
		l.paused = false
		go l.drain()
	}
}

func (l *link) drain() {
	for {
		l.mu.Lock()
		for _, c := range l.old {
			c.Close()
		}
		l.old = nil
		if len(l.backlog) == 0 {
			l.sending = false
			l.backlog = nil
			l.mu.Unlock()
			return
		}
		p, conn := l.backlog[0], l.conn
		l.backlog = l.backlog[1:]
		l.mu.Unlock()
		if p.then != nil {
			p.then()
			continue
		}
		l.at("send", p.m)
		if conn.Send(p.m, p.fds...) != nil { // it is the keeper's end: the reader sees it too
			l.mu.Lock()
			l.lose(p.m)
			l.mu.Unlock()
		}
		l.at("sent", p.m)
		keeper.CloseAll(p.fds)
		if p.last {
			l.mu.Lock()
			l.paused = true
			l.mu.Unlock()
			return
		}
	}
}

// maxLost bounds what is remembered while there is no keeper: each unit is sent few orders in that time.
const maxLost = 1 << 16

// lose remembers what no keeper has got.
func (l *link) lose(m *keeper.Message) {
	if len(l.lost) < maxLost {
		l.lost = append(l.lost, m)
	}
}

// renew goes on with another keeper, and returns what the last one did not get. It is not sent: the next one is told all
// there is. Nobody reads from the connection to the last one any more; it is closed.
func (l *link) renew(conn *keeper.Conn) (lost []*keeper.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var then []parcel // who waits for an answer still gets it
	for _, p := range l.backlog {
		keeper.CloseAll(p.fds)
		if p.then != nil {
			then = append(then, p)
		} else {
			l.lose(p.m)
		}
	}
	lost = l.lost
	switch old := l.conn; {
	case old == nil || old == conn:
	case l.sending:
		l.old = append(l.old, old)
	default:
		old.Close()
	}
	l.conn, l.backlog, l.lost = conn, then, nil
	if l.paused {
		l.paused = false
		go l.drain()
	}
	return lost
}

// read hands what the keeper says to the loop, to the end of the connection.
func (l *link) read(facts chan<- fact) {
	for {
		m, fds, err := l.receive()
		facts <- fact{m, fds, err}
		if err != nil {
			return
		}
		runtime.Gosched() // the loop takes this thread over at once, instead of waking another
	}
}

// ask sends m and waits for the first answer of kind k: for the start, before the loop runs.
func (l *link) ask(m *keeper.Message, k keeper.Kind) (*keeper.Message, []int, error) {
	if err := l.tell(m); err != nil {
		return nil, nil, err
	}
	for {
		a, fds, err := l.receive()
		if err != nil {
			return nil, nil, err
		}
		if a.Kind == k {
			return a, fds, nil
		}
		keeper.CloseAll(fds)
	}
}

// tell sends m and waits while the keeper does not read: for the start, before the loop runs.
func (l *link) tell(m *keeper.Message) error {
	l.at("send", m)
	err := l.conn.Send(m)
	l.at("sent", m)
	return err
}

func (l *link) receive() (*keeper.Message, []int, error) {
	m, fds, err := l.conn.Receive()
	if err == nil {
		l.at("received", m)
	}
	return m, fds, err
}

// at is a point between two messages, where a test may have the engine die.
func (l *link) at(what string, m *keeper.Message) {
	if l.fault != nil {
		l.fault(what + " " + string(m.Kind) + " " + m.Unit + m.Name)
	}
}
