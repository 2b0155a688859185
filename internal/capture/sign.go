package capture

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// This file: what a stream tells of its service's life. It is kept up to date by two stores per read, and looked at from
// any goroutine.

// epoch is one moment on both clocks: time.Since reads the monotonic one without a system call. They are read one after the
// other, so the pair with the least between them is taken: of a process that had to wait just then it would be wrong by ms.
var epoch, epochNS = func() (epoch time.Time, ns int64) {
	least := time.Duration(math.MaxInt64)
	for range 8 {
		var ts unix.Timespec
		before := time.Now()
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
		if between := time.Since(before); between < least {
			least, epoch, ns = between, before.Add(between/2), ts.Nano()
		}
	}
	return epoch, ns
}()

// monotonic is CLOCK_MONOTONIC in ns.
func monotonic() int64 { return epochNS + int64(time.Since(epoch)) }

// Last is when output was last read, CLOCK_MONOTONIC in ns; 0: none since this stream was made.
func (st *Stream) Last() int64 { return st.last.Load() }

// Stalled is for how long nobody has read the pipe because what was read last cannot be written: the disk is slow or full,
// or another generation has the file. 0: the pipe is being read. A service that writes waits for as long.
func (st *Stream) Stalled() time.Duration {
	if !st.writing.Load() {
		return 0
	}
	return max(0, time.Duration(monotonic()-st.last.Load()))
}

// Unread is how many bytes of output wait in the pipe that were not looked at yet: signs of life that Last does not know.
// 0 also when the stream has ended.
func (st *Stream) Unread() int { return max(0, st.waiting()-int(st.peeked.Load())) }

// waiting is how many bytes the pipe holds.
func (st *Stream) waiting() int {
	raw, err := st.pipe.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		if waiting, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil { // FIONREAD
			n = waiting
		}
	})
	if err != nil {
		return 0
	}
	return n
}
