package sysv

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"
)

// A Semaphore is a number that is never below zero, shared by processes: the first of a semaphore set. With a start value
// of 1 it is a lock: P takes it, V gives it back. It is a plain value and holds nothing.
type Semaphore struct {
	ID     int  // semid
	NoUndo bool // what this process does to it outlives the process: for counts of producers and consumers, not for locks
}

// SemaphoreStat is what the kernel says of a semaphore.
type SemaphoreStat struct {
	Owner
	Value   int
	Last    int       // pid of the last that changed it; 0: nobody has, or somebody of another pid namespace
	Waiting int       // processes that wait in P
	Count   int       // semaphores in the set
	Op      time.Time // last P or V
	Change  time.Time // made, or set
}

// Most is the highest value of a semaphore (SEMVMX).
const Most = 32767

// Commands of semctl(2) and flags of semop(2).
const (
	getPid    = 11
	getValue  = 12
	getNCount = 14
	setValue  = 16
	semUndo   = 0x1000
)

// sembuf is struct sembuf.
type sembuf struct {
	num   uint16
	op    int16
	flags int16
}

// OpenSemaphore finds the semaphore of a key. One that somebody is just making may still lack its first value: Make waits
// for that.
func OpenSemaphore(key Key) (Semaphore, error) {
	if key == Private {
		return Semaphore{}, mistake("open", "semaphore", key, syscall.ENOENT)
	}
	r, err := call(syscall.SYS_SEMGET, uintptr(key), 0, 0, 0, 0)
	if err != nil {
		return Semaphore{}, mistake("open", "semaphore", key, err)
	}
	return Semaphore{ID: int(r)}, nil
}

// Remove destroys the semaphore at once. Those who wait get syscall.EIDRM.
func (s Semaphore) Remove() error {
	_, err := call(syscall.SYS_SEMCTL, uintptr(s.ID), 0, ipcRemove, 0, 0)
	return mistake("remove", "semaphore", id(s.ID), err)
}

// Value is the value now.
func (s Semaphore) Value() (int, error) {
	r, err := call(syscall.SYS_SEMCTL, uintptr(s.ID), 0, getValue, 0, 0)
	return int(r), mistake("read", "semaphore", id(s.ID), err)
}

// SetValue sets the value, and makes the kernel forget what every process would have had undone.
func (s Semaphore) SetValue(value int) error {
	if value < 0 || value > Most {
		return mistake("set", "semaphore", id(s.ID), syscall.ERANGE)
	}
	_, err := call(syscall.SYS_SEMCTL, uintptr(s.ID), 0, setValue, uintptr(value), 0)
	return mistake("set", "semaphore", id(s.ID), err)
}

// Stat asks the kernel. It needs the right to read. The answers are of moments close to each other.
func (s Semaphore) Stat() (SemaphoreStat, error) {
	var ds semid64
	if _, err := call(syscall.SYS_SEMCTL, uintptr(s.ID), 0, ipcStat, uintptr(unsafe.Pointer(&ds)), 0); err != nil {
		return SemaphoreStat{}, mistake("stat", "semaphore", id(s.ID), err)
	}
	st := SemaphoreStat{Owner: ds.perm.owner(), Count: int(ds.nsems), Op: seconds(ds.otime), Change: seconds(ds.ctime)}
	for _, q := range []struct {
		command uintptr
		to      *int
	}{{getValue, &st.Value}, {getPid, &st.Last}, {getNCount, &st.Waiting}} {
		r, err := call(syscall.SYS_SEMCTL, uintptr(s.ID), 0, q.command, 0, 0)
		if err != nil {
			return SemaphoreStat{}, mistake("stat", "semaphore", id(s.ID), err)
		}
		*q.to = int(r)
	}
	return st, nil
}

// slice is how long P waits in the kernel before it looks at its context.
const slice = 50 * time.Millisecond

// P takes n away, and waits until the value is as high as that or ctx ends; then nothing was taken, and the error is ctx's.
func (s Semaphore) P(ctx context.Context, n int) error {
	if n < 1 || n > Most {
		return mistake("P on", "semaphore", id(s.ID), syscall.EINVAL)
	}
	if err := ctx.Err(); err != nil {
		return mistake("P on", "semaphore", id(s.ID), err)
	}
	for {
		wait := time.Duration(-1)
		if !endless(ctx) {
			wait = slice
			if end, ok := ctx.Deadline(); ok {
				wait = max(min(slice, time.Until(end)), 0)
			}
		}
		err := s.op(-n, s.flags(), wait)
		if err != syscall.EAGAIN { // done, or the object is in a bad way
			return mistake("P on", "semaphore", id(s.ID), err)
		}
		if err := ctx.Err(); err != nil {
			return mistake("P on", "semaphore", id(s.ID), err)
		}
	}
}

// TryP is P without waiting: false if the value is too low.
func (s Semaphore) TryP(n int) (bool, error) {
	if n < 1 || n > Most {
		return false, mistake("P on", "semaphore", id(s.ID), syscall.EINVAL)
	}
	err := s.op(-n, s.flags()|ipcNoWait, -1)
	if err == syscall.EAGAIN {
		return false, nil
	}
	return err == nil, mistake("P on", "semaphore", id(s.ID), err)
}

// V adds n, and wakes those whose turn it is. It never waits; above Most it changes nothing: syscall.ERANGE.
func (s Semaphore) V(n int) error {
	if n < 1 || n > Most {
		return mistake("V on", "semaphore", id(s.ID), syscall.EINVAL)
	}
	return mistake("V on", "semaphore", id(s.ID), s.op(n, s.flags(), -1))
}

func (s Semaphore) flags() int16 {
	if s.NoUndo {
		return 0
	}
	return semUndo
}

// op is semtimedop(2); wait below 0 is without end. EAGAIN: the time is over, or it would have had to wait.
func (s Semaphore) op(n int, flags int16, wait time.Duration) error {
	b := sembuf{op: int16(n), flags: flags}
	begin := time.Now()
	for {
		var limit *syscall.Timespec
		if wait >= 0 {
			ts := syscall.NsecToTimespec(int64(max(wait-time.Since(begin), 0)))
			limit = &ts
		}
		_, _, errno := syscall.Syscall6(syscall.SYS_SEMTIMEDOP, uintptr(s.ID), uintptr(unsafe.Pointer(&b)), 1,
			uintptr(unsafe.Pointer(limit)), 0, 0)
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
		default:
			return errno
		}
	}
}

// maker is how long one who makes a semaphore may take for it, before others take it for dead.
const maker = time.Second

// MakeSemaphore finds the semaphore of a key, or makes it with the value given. It comes back with a semaphore that has had
// its first value.
//
// A new semaphore has the value 0, and the first value comes with a second call; in between somebody else may find it, and
// whoever makes it may die. So the first value is added, not set (what others did meanwhile is not lost), and who
// finds a semaphore that nobody has ever changed waits for that: C programs that set the value with SETVAL count as well as
// those that do a first operation. If nothing comes for a second, the maker has died: the semaphore is removed and made
// again, which a maker that was merely slow finds out and does not mind; programs in C that wait for it get EIDRM. Who may
// not remove it gets fs.ErrPermission.
func MakeSemaphore(key Key, value int, perm fs.FileMode) (Semaphore, error) {
	if value < 0 || value > Most {
		return Semaphore{}, mistake("make", "semaphore", key, syscall.ERANGE)
	}
	for {
		s, err := CreateSemaphore(key, value, perm)
		if err == nil {
			return s, nil
		}
		if errors.Is(err, fs.ErrExist) {
			if s, err = OpenSemaphore(key); err == nil {
				err = s.awaitFirst(maker)
			}
			if err == nil {
				return s, nil
			}
		}
		if !gone(err) {
			return Semaphore{}, err
		}
	}
}

// gone says that an object vanished while it was worked on: one begins again.
func gone(err error) bool {
	return errors.Is(err, syscall.EIDRM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist)
}

// CreateSemaphore makes a semaphore with the value given, and fails with fs.ErrExist if the key has one.
func CreateSemaphore(key Key, value int, perm fs.FileMode) (Semaphore, error) {
	if value < 0 || value > Most {
		return Semaphore{}, mistake("create", "semaphore", key, syscall.ERANGE)
	}
	r, err := call(syscall.SYS_SEMGET, uintptr(key), 1, ipcCreate|ipcExcl|mode(perm), 0, 0)
	if err != nil {
		return Semaphore{}, mistake("create", "semaphore", key, err)
	}
	s := Semaphore{ID: int(r)}
	// An operation with 0 waits for 0, or would, and counts as one like others.
	if err := s.op(value, ipcNoWait, -1); err != nil && err != syscall.EAGAIN {
		return Semaphore{}, mistake("create", "semaphore", key, err)
	}
	return s, nil
}

// awaitFirst waits until somebody has changed the semaphore. After limit it is removed: syscall.EIDRM.
func (s Semaphore) awaitFirst(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for p := pause(0); ; {
		st, err := s.Stat()
		if err != nil {
			return err
		}
		if st.Value != 0 || st.Last != 0 || !st.Op.IsZero() {
			return nil
		}
		if p.wait(ctx, 10*time.Millisecond) != nil {
			break
		}
	}
	if err := s.Remove(); err != nil {
		return err
	}
	return mistake("make", "semaphore", id(s.ID), syscall.EIDRM)
}
