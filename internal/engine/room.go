package engine

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// This file: descriptors that the keeper has sent and this process had no room for. The kernel drops them (unix(7)), and
// nothing asks for one of them alone: the log of a service would never be read, and the service wait on it for ever. The
// keeper holds them all, and gives them to the next engine.

const (
	roomEnough = 64          // descriptors that can be opened again before another engine is worth its start
	roomAgain  = time.Second // between two looks
)

// errNoRoom ends an engine that lacks descriptors.
var errNoRoom = errors.New("descriptors were lost because too many files were open: the next engine gets them")

// cutOff notes that descriptors were lost. As soon as there is room for them this engine makes way.
func (e *Engine) cutOff() {
	if e.short {
		return
	}
	e.short = true
	go func() {
		for !room(roomEnough) {
			select {
			case <-time.After(roomAgain):
			case <-e.loop:
				return
			}
		}
		e.post(func() { e.makeWay = errNoRoom })
	}()
}

// room says whether n more descriptors can be had.
func room(n int) bool {
	fds := make([]int, 0, n)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return false
		}
		fds = append(fds, fd)
	}
	return true
}
