package sysv

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"
)

// A Memory is a segment of shared memory, found or made. It is a plain value and holds nothing.
type Memory struct {
	ID int // shmid, which /proc/PID/maps shows as inode
}

// MemoryStat is what the kernel says of a segment.
type MemoryStat struct {
	Owner
	Size     int  // bytes
	Attached int  // mappings, of all processes together
	Creator  int  // pid
	Last     int  // pid of the last to attach or detach
	Removed  bool // it is gone when the last has detached
	Attach   time.Time
	Detach   time.Time
	Change   time.Time // made, or owner and mode changed
}

const (
	shmReadOnly  = 0o10000
	shmDestroyed = 0o1000 // in the mode
)

// shmid64 is struct shmid64_ds, the same on amd64 and arm64: 112 bytes.
type shmid64 struct {
	perm   perm
	size   uint64
	atime  int64
	dtime  int64
	ctime  int64
	cpid   int32
	lpid   int32
	nattch uint64
	_      [2]uint64
}

// OpenMemory finds the segment of a key.
func OpenMemory(key Key) (Memory, error) { return getMemory("open", key, 0, 0) }

// CreateMemory makes a segment of size bytes, all zero, and fails with fs.ErrExist if the key has one.
func CreateMemory(key Key, size int, perm fs.FileMode) (Memory, error) {
	return getMemory("create", key, size, ipcCreate|ipcExcl|mode(perm))
}

// MakeMemory finds the segment of a key, or makes it. One that is there must not be smaller than size: syscall.EINVAL.
func MakeMemory(key Key, size int, perm fs.FileMode) (Memory, error) {
	return getMemory("make", key, size, ipcCreate|mode(perm))
}

func getMemory(op string, key Key, size int, flags uintptr) (Memory, error) {
	if size < 0 {
		return Memory{}, mistake(op, "memory", key, syscall.EINVAL)
	}
	if key == Private && op == "open" { // to the kernel it would mean: make another
		return Memory{}, mistake(op, "memory", key, syscall.ENOENT)
	}
	r, err := call(syscall.SYS_SHMGET, uintptr(key), uintptr(size), flags, 0, 0)
	if err != nil {
		return Memory{}, mistake(op, "memory", key, err)
	}
	return Memory{ID: int(r)}, nil
}

// Stat asks the kernel. It needs the right to read.
func (m Memory) Stat() (MemoryStat, error) {
	var ds shmid64
	if _, err := call(syscall.SYS_SHMCTL, uintptr(m.ID), ipcStat, uintptr(unsafe.Pointer(&ds)), 0, 0); err != nil {
		return MemoryStat{}, mistake("stat", "memory", id(m.ID), err)
	}
	return MemoryStat{Owner: ds.perm.owner(), Size: int(ds.size), Attached: int(ds.nattch), Creator: int(ds.cpid), Last: int(ds.lpid),
		Removed: ds.perm.mode&shmDestroyed != 0, Attach: seconds(ds.atime), Detach: seconds(ds.dtime), Change: seconds(ds.ctime)}, nil
}

// Remove takes the key from the segment. It goes when the last process has detached.
func (m Memory) Remove() error {
	_, err := call(syscall.SYS_SHMCTL, uintptr(m.ID), ipcRemove, 0, 0, 0)
	return mistake("remove", "memory", id(m.ID), err)
}

// A Mapping is a segment in this process. It is not safe to Detach it while somebody else uses it.
type Mapping struct {
	bytes []byte
	id    int
}

// Attach maps the segment for reading and writing.
func (m Memory) Attach() (*Mapping, error) { return m.attach(0) }

// AttachReadOnly maps the segment for reading: a store into it is a fault that ends the program.
func (m Memory) AttachReadOnly() (*Mapping, error) { return m.attach(shmReadOnly) }

func (m Memory) attach(flags uintptr) (*Mapping, error) {
	at, err := call(syscall.SYS_SHMAT, uintptr(m.ID), 0, flags, 0, 0)
	if err != nil {
		return nil, mistake("attach", "memory", id(m.ID), err)
	}
	x := &Mapping{id: m.ID, bytes: unsafe.Slice((*byte)(pointer(at)), 1)} // the page is there in any case
	st, err := m.Stat()                                                   // now it cannot go any more
	if err != nil {
		return nil, errors.Join(err, x.Detach())
	}
	x.bytes = unsafe.Slice(&x.bytes[0], st.Size)
	return x, nil
}

// pointer is what shmat(2) returned: memory that Go's runtime knows nothing of, so nothing moves it.
func pointer(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// Bytes is the memory itself, nil after Detach. Other processes write it at any time.
func (x *Mapping) Bytes() []byte { return x.bytes }

// Detach takes the segment out of this process; a second time does nothing. Nobody may use what Bytes returned after it.
func (x *Mapping) Detach() error {
	if x.bytes == nil {
		return nil
	}
	_, err := call(syscall.SYS_SHMDT, uintptr(unsafe.Pointer(&x.bytes[0])), 0, 0, 0, 0)
	x.bytes = nil
	return mistake("detach", "memory", id(x.id), err)
}
