package pulse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// A page is the mapped file of this process's generation. It is never unmapped: pulses point into it.
type page struct {
	place string // as in STAY_PULSE, for messages
	file  lockFile
	data  []byte
	slots []slot // lie in data

	// The locks of the file are the process's, not the goroutine's: so each has one of these around it.
	mu     sync.Mutex // while a slot is claimed
	naming sync.Mutex // while a name is looked for; taken before mu
}

// here is the page that STAY_PULSE named when the first pulse was started.
var here = sync.OnceValues(func() (*page, error) {
	place := os.Getenv("STAY_PULSE")
	if place == "" {
		return nil, ErrOutside
	}
	pg, err := openPage(place)
	if err != nil {
		return nil, fmt.Errorf("pulse page %q: %w", place, err)
	}
	return pg, nil
})

// slotsOf makes the slots of a mapped page.
func slotsOf(data []byte) []slot {
	return unsafe.Slice((*slot)(unsafe.Pointer(&data[headerSize])), (len(data)-headerSize)/slotSize)
}

// checkHeader returns how many bytes of a file of the given size are header and slots.
func checkHeader(h []byte, size int64) (int, error) {
	native := binary.NativeEndian
	count := int(native.Uint16(h[14:]))
	length := headerSize + count*slotSize
	switch {
	case string(h[:8]) != "STAYPULS":
		return 0, errors.New("it is no pulse page")
	case native.Uint16(h[8:]) != 1:
		return 0, fmt.Errorf("its version is %d, and only 1 is known here: build the program with a newer package", native.Uint16(h[8:]))
	case native.Uint16(h[10:]) != headerSize || native.Uint16(h[12:]) != slotSize || count == 0:
		return 0, fmt.Errorf("its header is broken: sizes %d and %d, %d slots", native.Uint16(h[10:]), native.Uint16(h[12:]), count)
	case size < int64(length):
		return 0, fmt.Errorf("it is cut off: %d bytes, and %d slots need %d", size, count, length)
	}
	return length, nil
}

// start makes a pulse. Its result has a name so that there is one after a fault, too.
func (pg *page) start(name string, limit time.Duration, tid int) (p *Pulse) {
	p = &Pulse{page: pg}
	defer p.guard(debug.SetPanicOnFault(true))
	s := pg.claim()
	if s == nil {
		p.why.Store(&reason{fmt.Errorf("pulse page %q: %w", pg.place, ErrFull)})
		return p
	}
	s.fill(name, limit, tid)
	p.slot.Store(s)
	return p
}

// claim takes a free slot; nil: there is none. Slot 0 is taken last: it is for writers that can only write a file. The locks
// are for writers without compare-and-swap, which hold one while they look and store.
func (pg *page) claim() *slot {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	n := len(pg.slots)
	for k := 1; k <= n; k++ {
		i := k % n
		s := &pg.slots[i]
		at := headerSize + i*slotSize + stateAt
		if atomic.LoadUint32(&s.state) != stateFree || !pg.file.lock(at) {
			continue
		}
		won := atomic.CompareAndSwapUint32(&s.state, stateFree, stateClaimed)
		pg.file.unlock(at)
		if won {
			return s
		}
	}
	return nil
}

// holds says whether a panic is a fault inside the page.
func (pg *page) holds(r any) bool {
	fault, ok := r.(interface{ Addr() uintptr })
	if !ok || pg == nil {
		return false
	}
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(pg.data)))
	return fault.Addr()-begin < uintptr(len(pg.data))
}
