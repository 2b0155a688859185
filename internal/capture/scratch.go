package capture

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// This file: reading a pipe without taking anything out of it. tee(2) lends its pages to a scratch pipe, which is read
// instead, and the bytes leave the service's pipe when they are in the file: splice(2) to /dev/null.

// scratches are the scratch pipes of a store. Each is in use for the time of two system calls that do not wait, so a few
// serve any number of streams.
type scratches struct {
	all  chan scratch // room for all there may be
	more chan struct{}
	null int
}

// A scratch is an empty pipe.
type scratch struct{ r, w int }

func openScratches() (*scratches, error) {
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null = -1 // read instead
	}
	most := runtime.GOMAXPROCS(0)
	s := &scratches{all: make(chan scratch, most), more: make(chan struct{}, most), null: null}
	for range most {
		s.more <- struct{}{}
	}
	first, err := s.get()
	if err != nil {
		s.close()
		return nil, err
	}
	s.all <- first
	return s, nil
}

// get returns a scratch pipe, and waits for one where no other can be made.
func (s *scratches) get() (scratch, error) {
	select {
	case p := <-s.all:
		return p, nil
	default:
	}
	select {
	case p := <-s.all:
		return p, nil
	case <-s.more:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		s.more <- struct{}{}
		if len(s.more) < cap(s.more) {
			return <-s.all, nil
		}
		return scratch{}, fmt.Errorf("make a pipe: %w", err)
	}
	return scratch{fds[0], fds[1]}, nil
}

// put gives one back.
func (s *scratches) put(p scratch) { s.all <- p }

// close closes those that are not in use.
func (s *scratches) close() {
	if s.null >= 0 {
		syscall.Close(s.null)
	}
	for {
		select {
		case p := <-s.all:
			syscall.Close(p.r)
			syscall.Close(p.w)
		default:
			return
		}
	}
}

// peek copies what pipe holds to b, as far as there is room, and takes nothing out of it. It returns what read(2) would.
func (s *scratches) peek(pipe int, b []byte) (int, error) {
	p, err := s.get()
	if err != nil {
		return 0, err
	}
	var n int64
	for {
		n, err = unix.Tee(pipe, p.w, len(b), unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		s.put(p)
		return 0, err
	}
	got := 0
	for got < int(n) {
		m, err := syscall.Read(p.r, b[got:n])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || m <= 0 {
			break // it holds n bytes: this cannot be
		}
		got += m
	}
	s.put(p)
	return got, nil
}

// consume takes the bytes of b, which peek found, out of pipe. It may overwrite b. Nothing being there is no error: the
// service has the other end, and can read its own output.
func (s *scratches) consume(pipe int, b []byte) error {
	for len(b) > 0 {
		var n int
		var err error
		if s.null >= 0 {
			var n64 int64
			n64, err = unix.Splice(pipe, nil, s.null, nil, len(b), unix.SPLICE_F_NONBLOCK)
			n = int(n64)
		} else {
			n, err = syscall.Read(pipe, b)
		}
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN || err == nil && n == 0:
			return nil
		case err == syscall.EINVAL && s.null >= 0: // what is no pipe cannot be spliced
			return fmt.Errorf("splice: %w", err)
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}
