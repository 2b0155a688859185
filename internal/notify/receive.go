package notify

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxDatagram is the longest message that is read, in bytes; systemd reads as much.
const maxDatagram = 4096

// buffers are held only while a datagram is copied, so 10,000 idle sockets need none.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// A Receiver reads one socket. All of it may be called from any goroutine.
type Receiver struct {
	f *os.File

	mu    sync.Mutex // a leaf: guards the two below
	asked []func()   // see Drained
	ended bool
}

// NewReceiver returns a receiver of what comes to f, which stays the caller's to close.
func NewReceiver(f *os.File) *Receiver { return &Receiver{f: f} }

// Run calls emit with each message that says something, in the order of arrival, until the socket is closed; then it
// returns nil. Any other end is an error. A datagram is taken out of the socket when emit has returned: should this process
// die before, who reads the socket next gets the message once more. A slow emit makes senders wait (the kernel keeps about
// ten datagrams per socket), it loses nothing. So does the limit of 1,000 messages a second, for which Run pauses up to
// 100 ms at a time; a close is seen after the pause.
//
// The files are the descriptors to be stored that came with FDSTORE=1, close-on-exec; they are closed when emit has
// returned. All others are closed by the kernel as their datagram is taken out, and never get here: they cannot leak, and
// a process that has run out of descriptors still hears its services. That is also all that BARRIER=1 asks for: its
// descriptor closes when every earlier message has been through emit.
func (r *Receiver) Run(emit func(m Message, files []int)) error {
	defer r.end()
	conn, err := r.f.SyscallConn()
	if err != nil {
		return err
	}
	var p pace
	var d drain
	defer func() { d.done() }()
	for {
		if d.left == 0 {
			d = drain{then: r.take()}
			d.left = min(len(d.then), 1) * maxQueued
		}
		m, files, err := r.next(conn, d.left > 0)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // somebody asks: see Drained
			_ = r.f.SetReadDeadline(time.Time{})
			continue
		case err == unix.EAGAIN:
			d.done()
			continue
		case err != nil && isClosed(r.f):
			return nil
		case err != nil:
			return fmt.Errorf("receive from %q: %w", r.f.Name(), err)
		}
		if !m.saysNothing() {
			emit(m, files)
		}
		closeAll(files)
		_ = conn.Control(discard) // an error is the close, and shows in the next read
		d.passed()
		if d := p.pause(time.Now()); d > 0 {
			time.Sleep(d)
		}
	}
}

// next waits for the next datagram, or says EAGAIN rather than wait. One that was cut says nothing.
func (r *Receiver) next(conn syscall.RawConn, atOnce bool) (m Message, files []int, err error) {
	var failed error
	err = conn.Read(func(fd uintptr) (done bool) {
		m, files, failed = read(int(fd))
		return failed != unix.EAGAIN || atOnce
	})
	if err == nil {
		err = failed
	}
	return m, files, err
}

// read looks at the next datagram and leaves it there. It looks again for the descriptors of one that has use for them.
func read(fd int) (Message, []int, error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	n, sender, _, err := b.peek(fd, credentialsSpace)
	if err != nil || n > maxDatagram {
		return Message{UID: -1}, nil, err
	}
	m := Parse(b.data[:n])
	var files []int
	if m.wantsFiles() {
		var cut bool
		if _, sender, cut, err = b.peek(fd, len(b.control)); err != nil {
			return Message{UID: -1}, nil, err
		}
		files, m.Lost = rights(b.control[:b.filled]), cut
	}
	if sender != nil {
		m.Pid, m.UID = int(sender.Pid), int(sender.Uid)
	}
	return m, m.identify(files), nil
}

// maxRights is how many descriptors a message can carry: SCM_MAX_FD of the kernel.
const maxRights = 253

// A buffer is what one datagram is read into.
type buffer struct {
	data    [maxDatagram]byte
	control [1024 + 64]byte // credentialsSpace, and CMSG_SPACE of maxRights descriptors
	filled  int             // of control
}

// credentialsSpace is CMSG_SPACE of a struct ucred and nothing more: descriptors do not fit.
const credentialsSpace = 32

// peek reads the next datagram and leaves it there. Its length is that which was sent, also where it did not fit. It is cut
// if there were more descriptors than came here.
func (b *buffer) peek(fd, room int) (n int, sender *unix.Ucred, cut bool, err error) {
	flags := 0
	for err = unix.EINTR; err == unix.EINTR; {
		n, b.filled, flags, _, err = unix.Recvmsg(fd, b.data[:], b.control[:room], unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC|unix.MSG_TRUNC)
	}
	if err != nil {
		return 0, nil, false, err
	}
	return n, credentials(b.control[:b.filled]), flags&unix.MSG_CTRUNC != 0, nil
}

// discard takes the next datagram out.
func discard(fd uintptr) {
	for {
		if _, _, _, _, err := unix.Recvmsg(int(fd), nil, nil, unix.MSG_DONTWAIT); err != unix.EINTR {
			return
		}
	}
}

// credentials returns the sender as the kernel told it, nil if it did not.
func credentials(control []byte) *unix.Ucred {
	list, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range list {
		if cred, err := unix.ParseUnixCredentials(&list[i]); err == nil {
			return cred
		}
	}
	return nil
}

// rights returns the descriptors that came along.
func rights(control []byte) []int {
	list, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	var files []int
	for i := range list {
		if fds, err := unix.ParseUnixRights(&list[i]); err == nil {
			files = append(files, fds...)
		}
	}
	return files
}

func closeAll(files []int) {
	for _, fd := range files {
		unix.Close(fd)
	}
}

// isClosed asks f itself: the error of a raw connection cannot be told from others.
func isClosed(f *os.File) bool {
	_, err := f.Read(nil)
	return errors.Is(err, os.ErrClosed)
}

// The limit of messages per socket: perWindow in each window, 1,000 a second.
const (
	window    = 100 * time.Millisecond
	perWindow = 100
)

// A pace counts the messages of the current window.
type pace struct {
	began time.Time
	count int
}

// pause counts one message at now and returns how long to read no further.
func (p *pace) pause(now time.Time) time.Duration {
	if now.Sub(p.began) >= window {
		p.began, p.count = now, 0
	}
	p.count++
	if p.count < perWindow {
		return 0
	}
	return window - now.Sub(p.began)
}
