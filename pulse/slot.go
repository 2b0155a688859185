package pulse

import (
	"encoding/binary"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// The states of a slot.
const (
	stateFree    = 0
	stateClaimed = 1
	stateBusy    = 2
	statePaused  = 3
	stateIdle    = 4
)

// A slot is one of the page, as it lies there. Its numbers are in native byte order, and it is aligned to 8 bytes.
type slot struct {
	beatNS   uint64
	count    uint64
	limitNS  uint64
	state    uint32
	tid      uint32
	progress uint64
	name     [nameSize / 8]uint64
	note     [noteSize / 8]uint64
}

// The sizes of the page's parts, in bytes.
const (
	headerSize = 128
	slotSize   = 128
	nameSize   = 24
	noteSize   = 64
	stateAt    = 24 // in a slot
)

var _ [slotSize]byte = [unsafe.Sizeof(slot{})]byte{}
var _ [stateAt]byte = [unsafe.Offsetof(slot{}.state)]byte{}

// beat stores when, then adds to the count. The store is a plain one where that is one instruction: the addition behind it
// publishes it, and half the cost of a beat is saved.
func (s *slot) beat(at int64) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		s.beatNS = uint64(at)
	} else {
		atomic.StoreUint64(&s.beatNS, uint64(at))
	}
	atomic.AddUint64(&s.count, 1)
}

// set beats, then goes to a state in which beats are expected.
func (s *slot) set(state uint32) {
	s.beat(now())
	atomic.StoreUint32(&s.state, state)
}

// fill makes a claimed slot a live one. Nobody looks into it before its state says so.
func (s *slot) fill(name string, limit time.Duration, tid int) {
	atomic.StoreUint64(&s.limitNS, uint64(max(limit, 0)))
	atomic.StoreUint32(&s.tid, uint32(tid))
	atomic.StoreUint64(&s.progress, 0)
	atomic.StoreUint64(&s.count, 0)
	storeText(s.name[:], name)
	storeText(s.note[:], "")
	s.set(stateBusy)
}

// storeText stores as much of text as fits, cut at a character and filled up with NUL, word by word.
func storeText(to []uint64, text string) {
	var buf [noteSize]byte
	copy(buf[:len(to)*8], cut(text, len(to)*8))
	for i := range to {
		atomic.StoreUint64(&to[i], binary.NativeEndian.Uint64(buf[8*i:]))
	}
}

// cut returns the longest beginning of text of at most n bytes that ends with a whole character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	end := n
	for end > 0 && end > n-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	if !utf8.RuneStart(text[end]) {
		end = n // no UTF-8 at all: the reader sees to it
	}
	return text[:end]
}
