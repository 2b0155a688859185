package keeper

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// This file: the mirror, the keeper's table in one file of the memory directory. It is written all the time and read only
// when keeper and engine were both killed.
//
// The file is slots of slotSize bytes. The first one says whose it is. An entry, which is a row or the daemon's own, takes one
// slot or several in a row: a head of headSize bytes (magic, slots, length, checksum, sequence number), then JSON. An entry is
// never written over: the new one goes into free slots, then the old one's magic is taken away. So there is a whole one at
// every moment, and of two the one with the higher number counts.

const (
	slotSize   = 1024
	headSize   = 32
	maxSlots   = 512                 // of one entry
	maxMirror  = 256 << 20           // bytes that are read, and written
	entryMagic = 0x7901_02ff         // its bytes are in no JSON
	mirrorName = ".mirror"           // no page and no socket begins with a dot
	mirrorNext = mirrorName + ".new" // until what it is to replace is not needed any more
)

// mirrorFormat is the version of the layout of the file.
const mirrorFormat = 1

// Offsets in the head of an entry.
const (
	magicAt    = 0
	slotsAt    = 4
	lengthAt   = 8
	checksumAt = 12 // CRC-32C of all that follows it in the entry, up to length
	sequenceAt = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Mirror says where the mirror is, and of whom.
type Mirror struct {
	Dir string // on a tmpfs, and nobody but this user can write to it
	ID  string // of the daemon
}

// mirrorHead is the first slot.
type mirrorHead struct {
	Format  int    `json:"format"`
	Version int    `json:"version"` // of the wire, whose records are in it
	ID      string `json:"id"`
	Boot    string `json:"boot"` // pids and times mean nothing in another
	PidNS   string `json:"pid_ns"`
}

// head is what the first slot of a mirror says that is written here and now.
func (m Mirror) head() mirrorHead {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	ns, _ := os.Readlink("/proc/self/ns/pid")
	return mirrorHead{Format: mirrorFormat, Version: Version, ID: m.ID, Boot: strings.TrimSpace(string(boot)), PidNS: ns}
}

// An extent is where an entry is, in slots. The zero value is nowhere.
type extent struct{ at, n uint32 }

// A mirrorFile writes the mirror. One goroutine owns it.
type mirrorFile struct {
	dir, fd   int
	published bool // it has its name
	sequence  uint64
	end       uint32 // slots so far
	free      map[uint32][]uint32
	buf       []byte
}

// openMirror begins a mirror beside the one that may be there, which stays until publish.
func openMirror(m Mirror) (*mirrorFile, error) {
	dir, err := unix.Open(m.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: m.Dir, Err: err}
	}
	path := filepath.Join(m.Dir, mirrorNext)
	_ = unix.Unlinkat(dir, mirrorNext, 0) // left by who died in here
	fd, err := unix.Openat(dir, mirrorNext, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		unix.Close(dir)
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	f := &mirrorFile{dir: dir, fd: fd, end: 1, free: map[uint32][]uint32{}}
	head, err := json.Marshal(m.head())
	if err == nil {
		err = f.write(entry(nil, 1, f.sequence, head), 0)
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("write %q: %w", path, err)
	}
	return f, nil
}

// publish gives the mirror its name, and takes it from the one before.
func (f *mirrorFile) publish() error {
	if f.published {
		return nil
	}
	if err := unix.Renameat(f.dir, mirrorNext, f.dir, mirrorName); err != nil {
		return os.NewSyscallError("rename", err)
	}
	f.published = true
	return nil
}

func (f *mirrorFile) close() {
	unix.Close(f.fd)
	unix.Close(f.dir)
}

// put writes data in place of what was at old, and returns where it is now. On an error the old one stays.
func (f *mirrorFile) put(old extent, data []byte) (extent, error) {
	n := uint32((headSize + len(data) + slotSize - 1) / slotSize)
	if n > maxSlots {
		return old, fmt.Errorf("an entry of %d bytes is too long", len(data))
	}
	now, err := f.take(n)
	if err != nil {
		return old, err
	}
	f.sequence++
	f.buf = entry(f.buf[:0], n, f.sequence, data)
	if err := f.write(f.buf, now.at); err != nil {
		f.free[n] = append(f.free[n], now.at)
		return old, err
	}
	return now, f.erase(old)
}

// take finds n slots. Freed ones are used again as they are, so that an entry never begins inside of what was another.
func (f *mirrorFile) take(n uint32) (extent, error) {
	if list := f.free[n]; len(list) > 0 {
		f.free[n] = list[:len(list)-1]
		return extent{list[len(list)-1], n}, nil
	}
	if int64(f.end+n)*slotSize > maxMirror {
		return extent{}, unix.EFBIG
	}
	f.end += n
	return extent{f.end - n, n}, nil
}

// erase has what is at x not count any more.
func (f *mirrorFile) erase(x extent) error {
	if x.n == 0 {
		return nil
	}
	f.free[x.n] = append(f.free[x.n], x.at)
	return f.write(make([]byte, 4), x.at)
}

// write writes at a slot, all or nothing as far as a reader can tell: by the checksum.
func (f *mirrorFile) write(data []byte, slot uint32) error {
	return os.NewSyscallError("write", writeAt(f.fd, data, int64(slot)*slotSize))
}

// entry appends an entry to buf, which it returns.
func entry(buf []byte, slots uint32, sequence uint64, data []byte) []byte {
	begin := len(buf)
	buf = append(buf, make([]byte, headSize)...)
	buf = append(buf, data...)
	e, native := buf[begin:], binary.NativeEndian
	native.PutUint32(e[magicAt:], entryMagic)
	native.PutUint32(e[slotsAt:], slots)
	native.PutUint32(e[lengthAt:], uint32(len(data)))
	native.PutUint64(e[sequenceAt:], sequence)
	native.PutUint32(e[checksumAt:], crc32.Checksum(e[sequenceAt:], castagnoli))
	return buf
}
