package engine

import (
	"os"

	"golang.org/x/sys/unix"
)

// A storeWatch tells when the other end of a stored descriptor has hung up. Its epoll(7) is made when something is stored
// for the first time; a goroutine at the edge waits for it, in the runtime's poller. The descriptors themselves stay as
// they are: whether they block is the service's business.
type storeWatch struct {
	epoll *os.File // nil: not yet
	last  uint64   // token given out
	who   map[uint64]*inst
}

// watchStored has the loop told of a hang-up, unless the service does not want that, or the file is of a kind that never
// hangs up.
func (e *Engine) watchStored(in *inst, s *stored) {
	w := &e.storeWatch
	if s.keep || w.epoll == nil && !e.openStoreWatch() {
		return
	}
	epoll, err := fdOf(w.epoll)
	if err != nil {
		return
	}
	w.last++
	event := unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: int32(w.last), Pad: int32(w.last >> 32)} // hang-ups are told unasked
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		if err != unix.EPERM { // a regular file
			e.log.Warn("stored descriptor is not watched", "unit", in.name, "name", s.name, "error", err)
		}
		return
	}
	s.token = w.last
	w.who[s.token] = in
}

// unwatchStored is to be called before the descriptor is closed: the keeper's copy would go on being watched.
func (e *Engine) unwatchStored(s stored) {
	if s.token == 0 {
		return
	}
	delete(e.storeWatch.who, s.token)
	if epoll, err := fdOf(e.storeWatch.epoll); err == nil {
		_ = unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	}
}

func (e *Engine) openStoreWatch() bool {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that the runtime polls it
	}
	if err != nil {
		e.log.Warn("stored descriptors are not watched", "error", err)
		return false
	}
	e.storeWatch.epoll = os.NewFile(uintptr(fd), "store watch")
	e.storeWatch.who = map[uint64]*inst{}
	go e.awaitHangups(e.storeWatch.epoll)
	return true
}

// awaitHangups runs until the epoll is closed.
func (e *Engine) awaitHangups(epoll *os.File) {
	raw, err := epoll.SyscallConn()
	if err != nil {
		return
	}
	for {
		var events [16]unix.EpollEvent
		n := 0
		err := raw.Read(func(fd uintptr) (done bool) {
			n, _ = unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, event := range events[:n] {
			token := uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32
			e.post(func() { e.hungUp(token) })
		}
	}
}

// hungUp drops the descriptor of that token, if it is still there.
func (e *Engine) hungUp(token uint64) {
	if in := e.storeWatch.who[token]; in != nil {
		e.dropStored(in, func(s stored) bool { return s.token == token })
	}
}
