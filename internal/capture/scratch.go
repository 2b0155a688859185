package capture

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// This file: reading a pipe without taking anything out of it. tee(2) lends its pages to a scratch pipe, which is read
// instead. What is in a file leaves the service's pipe by a splice(2) to a scratch pipe, which a signal cannot divide: if
// the one who did it is killed, the next one sees by what is in the scratch pipe that it was done.

// scratches are the scratch pipes of a store. Each is in use for the time of a few system calls that do not wait, so a few
// serve any number of streams.
type scratches struct {
	free chan scratch
	null int // -1: none, and what is in the way is read
}

// A scratch is a pipe, open for both reading and writing. It is empty but between a splice and the end of its use.
type scratch struct {
	fd  int
	ino uint64
}

// openScratches takes over copies of scratch pipes. They may hold what a killed store had consumed.
func openScratches(pipes []int) (*scratches, error) {
	s := &scratches{free: make(chan scratch, len(pipes)), null: -1}
	for _, fd := range pipes {
		var st syscall.Stat_t
		err := syscall.Fstat(fd, &st)
		if err == nil && st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
			err = errors.New("it is no pipe")
		}
		if err == nil {
			fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		}
		if err != nil {
			s.close()
			return nil, fmt.Errorf("open scratch pipe: %w", err)
		}
		s.free <- scratch{fd, st.Ino}
	}
	if null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		s.null = null
	}
	return s, nil
}

// newScratch makes a scratch pipe.
func newScratch() (int, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, fmt.Errorf("make scratch pipe: %w", err)
	}
	defer syscall.Close(ends[0])
	defer syscall.Close(ends[1])
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", ends[0]), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("make scratch pipe: %w", err)
	}
	return fd, nil
}

// close closes those that are not in use.
func (s *scratches) close() {
	if s.null >= 0 {
		syscall.Close(s.null)
	}
	for {
		select {
		case p := <-s.free:
			syscall.Close(p.fd)
		default:
			return
		}
	}
}

// each calls what for every scratch pipe, before any is in use.
func (s *scratches) each(what func(scratch)) {
	for range len(s.free) {
		p := <-s.free
		what(p)
		s.free <- p
	}
}

// peek copies what pipe holds to b, as far as there is room, and takes nothing out of it. It returns what read(2) would.
func (s *scratches) peek(pipe int, b []byte) (int, error) {
	p := <-s.free
	defer func() { s.free <- p }()
	var n int64
	var err error
	for {
		if n, err = unix.Tee(pipe, p.fd, len(b), unix.SPLICE_F_NONBLOCK); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, err
	}
	got := 0
	for got < int(n) {
		m, err := syscall.Read(p.fd, b[got:n])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || m <= 0 {
			s.empty(p)
			return 0, fmt.Errorf("read scratch pipe: %w", errors.Join(err, errShort)) // cannot be: it holds n bytes
		}
		got += m
	}
	return got, nil
}

// take moves n bytes of pipe to p. That they are not there is no error: a service has the other end of its pipe, and can
// read its own output.
func (p scratch) take(pipe, n int) error {
	for n > 0 {
		m, err := unix.Splice(pipe, nil, p.fd, nil, n, unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN || err == nil && m <= 0:
			return nil
		case err != nil:
			return err
		}
		n -= int(max(m, 0))
	}
	return nil
}

// holds is how many bytes are in p.
func (p scratch) holds() int {
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ) // FIONREAD
	if err != nil {
		return 0
	}
	return n
}

// empty throws away what is in p.
func (s *scratches) empty(p scratch) {
	for {
		var m int64
		var err error
		if s.null >= 0 {
			m, err = unix.Splice(p.fd, nil, s.null, nil, 1<<20, unix.SPLICE_F_NONBLOCK)
		} else {
			m, err = readAway(p.fd)
		}
		if err != nil && err != unix.EINTR || err == nil && m <= 0 {
			return
		}
	}
}

// readAway does it where there is no /dev/null, with a buffer that is on no goroutine's stack.
func readAway(fd int) (int64, error) {
	p := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(p)
	n, err := syscall.Read(fd, p[:])
	return int64(n), err
}
