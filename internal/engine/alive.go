package engine

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// aliveEvery is how often the engine notes that it lives, while there is something to judge.
const aliveEvery = 50 * time.Millisecond

// An aliveMark is where an engine notes when it was last alive, for the next one: what happened between the two is nobody's
// silence. It is a file of 8 bytes in memory that the keeper holds.
type aliveMark struct {
	fd   int // -1: none
	last unit.Time
}

// fetchAlive takes over the mark of the engine before, or makes one.
func (e *Engine) fetchAlive() {
	e.alive.fd = -1
	if fd, err := e.fetch("alive"); err == nil {
		e.keepCopy("alive", fd)
		e.alive.fd = fd
		var b [8]byte
		if n, err := unix.Pread(fd, b[:], 0); err == nil && n == len(b) {
			if at := unit.Time(binary.NativeEndian.Uint64(b[:])); at > 0 && at <= e.now {
				e.judge.Lived(at)
			}
		}
		return
	}
	fd, err := e.kept("alive", make([]byte, 8))
	if err != nil {
		e.log.Error("note that the engine lives", "error", err)
		return
	}
	e.keepCopy("alive", fd)
	e.alive.fd = fd
	e.link.send(&keeper.Message{Kind: keeper.Hold, Name: "alive"}, fd)
}

// markAlive notes that the engine lives.
func (e *Engine) markAlive() {
	if e.alive.fd < 0 || e.now.Sub(e.alive.last) < aliveEvery {
		return
	}
	e.alive.last = e.now
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(e.now))
	_, _ = unix.Pwrite(e.alive.fd, b[:], 0) // where it fails the next engine is only more lenient
}
