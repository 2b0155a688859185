package page

import (
	"encoding/binary"
	"time"
)

// The layout, version 1. Sizes and offsets are in bytes, numbers in native byte order.
const (
	magic      = "STAYPULS"
	version    = 1
	headerSize = 128
	slotSize   = 128
	pageSize   = 4096 // the file is a multiple of it
	nameSize   = 24
	noteSize   = 64

	// In the header.
	versionAt    = 8
	headerSizeAt = 10
	slotSizeAt   = 12
	slotCountAt  = 14
	generationAt = 16
	limitAt      = 24
	createdAt    = 32
	flagsAt      = 40

	// In a slot.
	beatAt      = 0
	countAt     = 8
	slotLimitAt = 16
	stateAt     = 24
	tidAt       = 28
	progressAt  = 32
	nameAt      = 40
	noteAt      = 64

	required = 1 << 0 // a flag
)

// DefaultSlots and MaxSlots are how many slots a page has if nobody says otherwise (as many as fit into 4096 bytes), and at
// most.
const (
	DefaultSlots = 31
	MaxSlots     = 4096
)

// length is that of the file with so many slots.
func length(slots int) int {
	return (headerSize + slots*slotSize + pageSize - 1) / pageSize * pageSize
}

// fresh is a page as it begins: a header, and slots that are free.
func fresh(o Options, created time.Duration) []byte {
	data := make([]byte, length(o.Slots))
	native := binary.NativeEndian
	copy(data, magic)
	native.PutUint16(data[versionAt:], version)
	native.PutUint16(data[headerSizeAt:], headerSize)
	native.PutUint16(data[slotSizeAt:], slotSize)
	native.PutUint16(data[slotCountAt:], uint16(o.Slots))
	native.PutUint64(data[generationAt:], o.Generation)
	native.PutUint64(data[limitAt:], uint64(o.Limit))
	native.PutUint64(data[createdAt:], uint64(created))
	if o.Required {
		native.PutUint64(data[flagsAt:], required)
	}
	return data
}
