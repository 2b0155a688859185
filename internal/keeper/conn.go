package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// maxMessage is the largest datagram; what is larger travels in a memfd beside an empty one.
const maxMessage = 128 << 10

// maxFiles bounds the descriptors of one message (the kernel's own bound is 253).
const maxFiles = 128

// ErrFull is what TrySend returns when the other side does not read.
var ErrFull = errors.New("connection is full")

// errEncode is a message that cannot be sent, however often it is tried.
var errEncode = errors.New("internal error: encode")

// A Conn is one end of the connection between keeper and engine: a SEQPACKET socket, one JSON object a message. One
// goroutine may send and another receive at the same time.
type Conn struct {
	fd  int
	buf []byte // of the receiver
	oob []byte
}

// NewConn takes over the descriptor fd, a blocking SEQPACKET socket.
func NewConn(fd int) *Conn {
	// one descriptor more than a message has: the memfd of a large one
	return &Conn{fd: fd, buf: make([]byte, maxMessage), oob: make([]byte, unix.CmsgSpace(4*(maxFiles+1)))}
}

// Pair returns both ends of a new connection; the second is a bare descriptor for the process to be started.
func Pair() (*Conn, int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("socketpair: %w", err)
	}
	for _, fd := range fds { // a larger buffer only saves waiting; without the privilege the default does
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
		}
	}
	return NewConn(fds[0]), fds[1], nil
}

// Send sends m with the descriptors, which stay the caller's. It waits while the other side does not read.
func (c *Conn) Send(m *Message, files ...int) error {
	for {
		err := c.send(m, files, 0)
		if !errors.Is(err, unix.ETOOMANYREFS) {
			return err
		}
		time.Sleep(flightPause)
	}
}

// flightPause is between two attempts to send descriptors while too many are under way between all processes of the user
// (unix(7), ETOOMANYREFS): nothing tells when there are fewer.
const flightPause = 10 * time.Millisecond

// TrySend is Send, but returns ErrFull rather than wait.
func (c *Conn) TrySend(m *Message, files ...int) error { return c.send(m, files, unix.MSG_DONTWAIT) }

func (c *Conn) send(m *Message, files []int, flags int) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w %s: %w", errEncode, m.Kind, err)
	}
	if len(data) > maxMessage {
		fd, err := memfd("message", data)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		data = []byte(`{"k":"memfd"}`)
		files = append([]int{fd}, files...)
	}
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	for {
		err = unix.Sendmsg(c.fd, data, oob, nil, flags|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return ErrFull
		case err == unix.ETOOMANYREFS: // the readers of some connection are behind
			return fmt.Errorf("%w: %w", ErrFull, err)
		case err != nil:
			return fmt.Errorf("send %s: %w", m.Kind, err)
		}
		return nil
	}
}

// Receive waits for the next message. The descriptors are the caller's, close-on-exec; they are none if they did not all
// fit into this process (EMFILE), so a message that needs one can lack it. The error is io.EOF when the other side has
// gone; after any other, what the other side says makes no sense.
func (c *Conn) Receive() (*Message, []int, error) {
	for {
		n, oobn, flags, _, err := unix.Recvmsg(c.fd, c.buf, c.oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET: // the other side died with messages unread: what it had sent still comes, then the end
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("receive: %w", err)
		}
		files := rights(c.oob[:oobn])
		if n == 0 && len(files) == 0 {
			return nil, nil, io.EOF
		}
		if flags&unix.MSG_TRUNC != 0 {
			CloseAll(files)
			return nil, nil, errors.New("receive: message cut short")
		}
		if flags&unix.MSG_CTRUNC != 0 {
			CloseAll(files)
			files = nil
		}
		return decode(c.buf[:n], files)
	}
}

// decode makes a message of a datagram. The descriptors are its, also when it fails.
func decode(data []byte, files []int) (*Message, []int, error) {
	m := new(Message)
	err := json.Unmarshal(data, m)
	if err == nil && m.Kind == "memfd" {
		if len(files) == 0 {
			return nil, nil, errors.New("receive: a large message came without its memfd")
		}
		data, err = readMemfd(files[0])
		unix.Close(files[0])
		files = files[1:]
		if err == nil {
			*m = Message{}
			err = json.Unmarshal(data, m)
		}
	}
	if err != nil {
		CloseAll(files)
		return nil, nil, fmt.Errorf("receive: %w", err)
	}
	return m, files, nil
}

// Hangup makes a Receive that waits return, and the other side see the end. What was sent before can still be received
// on both sides.
func (c *Conn) Hangup() { _ = unix.Shutdown(c.fd, unix.SHUT_RDWR) }

// Close closes the descriptor. No call may be under way: Hangup first, and wait for the receiver.
func (c *Conn) Close() { unix.Close(c.fd) }

// FD is the descriptor, for poll(2).
func (c *Conn) FD() int { return c.fd }

func rights(oob []byte) []int {
	if len(oob) == 0 {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var files []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			files = append(files, fds...)
		}
	}
	return files
}

// CloseAll closes descriptors that came with a message and are not wanted.
func CloseAll(files []int) {
	for _, fd := range files {
		unix.Close(fd)
	}
}
