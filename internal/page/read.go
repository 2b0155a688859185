package page

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Buffer is the memory of a reader. The zero value is ready; one Buffer serves any number of pages, one after the other.
type Buffer struct {
	raw   []byte
	slots []Slot
}

// A Broken says why a page can not be read. Its service did that: stay makes no such page.
type Broken struct {
	Phrase string // "it is cut off: 17 of 3968 bytes"
}

func (b *Broken) Error() string { return "read pulse page: " + b.Phrase }

// Read returns what is in the first n slots of a page, without the free ones, in their order. The slots are the Buffer's: they
// last until its next Read. An n out of range is brought into it, 1…MaxSlots.
//
// A page that is shorter than its slots, or no file, is a *Broken. One that has grown is read as if it had not.
func Read(f *os.File, n int, b *Buffer) ([]Slot, error) {
	b.grow(min(max(n, 1), MaxSlots))
	got, err := f.ReadAt(b.raw, headerSize)
	if err != nil {
		return nil, broken(err, got, len(b.raw))
	}
	slots := b.slots[:0]
	for i := 0; i < len(b.raw); i += slotSize {
		if binary.NativeEndian.Uint32(b.raw[i+stateAt:]) == uint32(Free) {
			continue
		}
		slots = slots[:len(slots)+1]
		slots[len(slots)-1].decode(i/slotSize, b.raw[i:i+slotSize])
	}
	return slots, nil
}

// grow makes room for n slots.
func (b *Buffer) grow(n int) {
	if cap(b.slots) < n {
		b.slots = make([]Slot, n)
		b.raw = make([]byte, n*slotSize)
	}
	b.raw = b.raw[:n*slotSize]
}

// broken is the error for a reading that did not come to its end. What is no fault of the page stays what it is.
func broken(err error, got, want int) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, io.EOF):
		return &Broken{fmt.Sprintf("it is cut off: %d of %d bytes", got, want)}
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ESPIPE), errors.Is(err, unix.EINVAL):
		return &Broken{"it is no regular file"}
	case errors.As(err, &errno) && errno != unix.EBADF:
		return &Broken{errno.Error()}
	}
	return fmt.Errorf("read pulse page: %w", err)
}

// A Size is how large a page is, in bytes.
type Size struct {
	Length int64 // of the file
	Memory int64 // that it takes
}

// SizeOf looks how large a page has become. A service can let its page grow, and so take memory that is not counted as its own.
func SizeOf(f *os.File) (Size, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Size{}, fmt.Errorf("size of pulse page: %w", err)
	}
	return Size{Length: st.Size, Memory: st.Blocks * 512}, nil
}

// SizeMade is the size of a page with n slots as Make makes it.
func SizeMade(n int) Size {
	l := int64(length(min(max(n, 1), MaxSlots)))
	return Size{Length: l, Memory: l}
}
