package page

import (
	"encoding/binary"
	"math"
	"time"
)

// A State is that of a slot, with the numbers of the layout.
type State uint8

// The states of a slot.
const (
	Free    State = 0
	Claimed State = 1 // somebody is about to use it
	Busy    State = 2
	Paused  State = 3
	Idle    State = 4
	Odd     State = 255 // any number that is none of these
)

// A Slot is one pulse as it was read. Two that are equal with == were the same in every byte that has a meaning, except what
// was out of range.
type Slot struct {
	Index    int           // from 0
	State    State         // never Free
	Tid      int           // thread of the writer, 1…MaxTid; 0: none, or no possible one
	Beat     int64         // CLOCK_MONOTONIC in ns, 0…MaxTime; 0 also if it was out of range: as if there never had been one
	Count    uint64        // beats so far; any number
	Limit    time.Duration // the slot's own, 0…MaxTime; 0: the configured one. What was more is MaxTime
	Progress uint64        // any number; 0: not used
	RawName  [nameSize]byte
	RawNote  [noteSize]byte
}

// MaxTid is the largest thread id that a Linux can have (PID_MAX_LIMIT). MaxTime is 146 years, in ns: sums and differences of
// two such times fit into 64 bits.
const (
	MaxTid  = 1 << 22
	MaxTime = math.MaxInt64 / 2
)

// decode makes a slot of its slotSize bytes.
func (s *Slot) decode(index int, raw []byte) {
	_ = raw[slotSize-1]
	native := binary.NativeEndian
	s.Index = index
	s.State = stateOf(native.Uint32(raw[stateAt:]))
	s.Tid = 0
	if tid := native.Uint32(raw[tidAt:]); tid <= MaxTid {
		s.Tid = int(tid)
	}
	s.Beat = 0
	if beat := native.Uint64(raw[beatAt:]); beat <= MaxTime {
		s.Beat = int64(beat)
	}
	s.Count = native.Uint64(raw[countAt:])
	s.Limit = time.Duration(min(native.Uint64(raw[slotLimitAt:]), MaxTime))
	s.Progress = native.Uint64(raw[progressAt:])
	copy(s.RawName[:], raw[nameAt:])
	copy(s.RawNote[:], raw[noteAt:])
}

func stateOf(n uint32) State {
	if n > uint32(Idle) {
		return Odd
	}
	return State(n)
}

// Name says which loop it is: printable, at most 24 bytes, "" if it has none.
func (s *Slot) Name() string { return printable(s.RawName[:]) }

// Note says what the loop does: printable, at most 64 bytes, "" if it says nothing.
func (s *Slot) Note() string { return printable(s.RawNote[:]) }
