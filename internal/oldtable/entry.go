package oldtable

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// EntrySize is the size of `struct {int pid; char pname[51]; int timeout; time_t atime;}` on 64-bit Linux.
const EntrySize = 72

// Offsets in an entry.
const (
	nameAt    = 4
	nameSize  = 51
	timeoutAt = 56
	atimeAt   = 64
)

// mostEntries bounds what is read of one table: the usual ones have 1,000.
const mostEntries = 1 << 16

// An Entry is what one program says of itself. Nothing of it is true until it was checked.
type Entry struct {
	Index   int
	Pid     int
	Name    string        // printable
	Timeout time.Duration // longest silence; 0 or less: none was given
	Atime   int64         // seconds since 1970, when it last beat
	raw     [EntrySize]byte
}

// decode reads all entries that are not free.
func decode(table []byte) []Entry {
	size, used := min(len(table)/EntrySize, mostEntries), 0
	for i := range size {
		if pidOf(table[i*EntrySize:]) != 0 {
			used++
		}
	}
	list := make([]Entry, 0, used)
	for i := range size {
		if raw := table[i*EntrySize:][:EntrySize]; pidOf(raw) != 0 {
			list = append(list, entryOf(i, raw))
		}
	}
	return list
}

func pidOf(raw []byte) int { return int(int32(binary.NativeEndian.Uint32(raw))) }

func entryOf(i int, raw []byte) Entry {
	return Entry{
		Index:   i,
		Pid:     pidOf(raw),
		Name:    printable(raw[nameAt:][:nameSize]),
		Timeout: time.Duration(int32(binary.NativeEndian.Uint32(raw[timeoutAt:]))) * time.Second,
		Atime:   int64(binary.NativeEndian.Uint64(raw[atimeAt:])),
		raw:     [EntrySize]byte(raw),
	}
}

// same says that nobody has taken or renewed the entry since.
func (e Entry) same(raw []byte) bool {
	other := entryOf(e.Index, raw)
	return other.Pid == e.Pid && other.Atime == e.Atime
}

// odd is why nobody can be meant by the entry, "" if somebody can.
func (e Entry) odd() string {
	switch {
	case e.Pid < 0:
		return "a negative pid means nobody"
	case e.Pid == 1:
		return "process 1 is not touched"
	}
	return ""
}

// printable is a name up to its first NUL, if it has one, without anything that could move a terminal's cursor.
func printable(name []byte) string {
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(name))
}
