package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// maxMessage is the largest datagram; what is larger travels in a memfd beside an empty one.
const maxMessage = 128 << 10

// maxFiles bounds the descriptors of one message (the kernel's own bound is 253).
const maxFiles = 64

// ErrFull is what TrySend returns when the other side does not read.
var ErrFull = errors.New("connection is full")

// A Conn is one end of the connection between keeper and engine: a SEQPACKET socket, one JSON object a message. One
// goroutine may send and another receive at the same time.
type Conn struct {
	fd  int
	buf []byte // of the receiver
	oob []byte
}

// NewConn takes over the descriptor fd, a blocking SEQPACKET socket.
func NewConn(fd int) *Conn {
	return &Conn{fd: fd, buf: make([]byte, maxMessage), oob: make([]byte, unix.CmsgSpace(4*maxFiles))}
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
func (c *Conn) Send(m *Message, files ...int) error { return c.send(m, files, 0) }

// TrySend is Send, but returns ErrFull rather than wait.
func (c *Conn) TrySend(m *Message, files ...int) error { return c.send(m, files, unix.MSG_DONTWAIT) }

func (c *Conn) send(m *Message, files []int, flags int) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("internal error: encode %s: %w", m.Kind, err)
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
		case err == unix.ETOOMANYREFS && flags != 0: // too many descriptors in flight: the reader is behind
			return ErrFull
		case err != nil:
			return fmt.Errorf("send %s: %w", m.Kind, err)
		}
		return nil
	}
}

// Receive waits for the next message. The descriptors are the caller's, close-on-exec. The error is io.EOF when the
// other side has gone.
func (c *Conn) Receive() (*Message, []int, error) {
	for {
		n, oobn, flags, _, err := unix.Recvmsg(c.fd, c.buf, c.oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET:
			return nil, nil, io.EOF
		case err != nil:
			return nil, nil, fmt.Errorf("receive: %w", err)
		}
		files := rights(c.oob[:oobn])
		if n == 0 && len(files) == 0 {
			return nil, nil, io.EOF
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			CloseAll(files)
			return nil, nil, errors.New("receive: message cut short")
		}
		return c.decode(c.buf[:n], files)
	}
}

func (c *Conn) decode(data []byte, files []int) (*Message, []int, error) {
	m := new(Message)
	err := json.Unmarshal(data, m)
	if err == nil && m.Kind == "memfd" {
		if len(files) == 0 {
			return nil, nil, errors.New("receive: memfd is missing")
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

// Hangup makes a Receive that waits return, and the other side see the end.
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

// memfd returns a close-on-exec descriptor with data in it, at its start.
func memfd(name string, data []byte) (int, error) {
	fd, err := unix.MemfdCreate("stay-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd: %w", err)
	}
	for off := 0; off < len(data); {
		n, err := unix.Pwrite(fd, data[off:], int64(off))
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("memfd: %w", err)
		}
		off += n
	}
	return fd, nil
}

// maxMemfd bounds what is read from a memfd: more is no message of ours.
const maxMemfd = 256 << 20

func readMemfd(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	if st.Size > maxMemfd {
		return nil, errors.New("memfd: too large")
	}
	data := make([]byte, st.Size)
	for off := 0; off < len(data); {
		n, err := unix.Pread(fd, data[off:], int64(off))
		if err != nil || n == 0 {
			return nil, fmt.Errorf("memfd: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		off += n
	}
	return data, nil
}

// Memfd is a descriptor that holds data: how configuration outlives an engine. ReadMemfd reads it.
func Memfd(name string, data []byte) (int, error) { return memfd(name, data) }

// ReadMemfd returns all that is in fd, whatever its offset.
func ReadMemfd(fd int) ([]byte, error) { return readMemfd(fd) }
