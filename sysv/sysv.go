package sysv

import (
	"context"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// A Key names an object on this machine, or in this IPC namespace: key_t of C.
type Key int32

// Private is the key of objects that nobody else can find: each Create makes another.
const Private Key = 0

// String is the key as ipcs(1) shows it.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// An Owner is what the kernel says of an object of any of the three kinds.
type Owner struct {
	Key        Key
	UID        int // who may remove it, beside the creator
	GID        int
	CreatorUID int
	CreatorGID int
	Mode       fs.FileMode // permission bits; there is no use for the bits of execution
}

// Flags and commands of include/uapi/linux/ipc.h.
const (
	ipcCreate = 0o1000
	ipcExcl   = 0o2000
	ipcNoWait = 0o4000
	ipcRemove = 0
	ipcStat   = 2
)

// perm is struct ipc64_perm, the same on amd64 and arm64: 48 bytes.
type perm struct {
	key        int32
	uid, gid   uint32
	cuid, cgid uint32
	mode       uint32
	seq        uint16
	_          [3]uint16
	_          [2]uint64
}

func (p *perm) owner() Owner {
	return Owner{Key: Key(p.key), UID: int(p.uid), GID: int(p.gid), CreatorUID: int(p.cuid), CreatorGID: int(p.cgid),
		Mode: fs.FileMode(p.mode & 0o777)}
}

// call makes one system call, again and again while signals interrupt it. A pointer must become a uintptr in the list of
// arguments: then what it points at stays where it is.
//
//go:uintptrescapes
func call(number, a, b, c, d, e uintptr) (uintptr, error) {
	for {
		r, _, errno := syscall.Syscall6(number, a, b, c, d, e, 0)
		if errno == 0 {
			return r, nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// mistake is the error of an operation on an object: `open memory 0x00005095: no such file or directory`.
func mistake(op, kind string, what fmt.Stringer, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s %s: %w", op, kind, what, err)
}

// id names an object in errors, where its key is not known.
type id int

func (i id) String() string { return fmt.Sprintf("id %d", int(i)) }

// seconds is a time_t; 0 is no time.
func seconds(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(t, 0)
}

// mode are the permission bits of a new object.
func mode(p fs.FileMode) uintptr { return uintptr(p.Perm()) }

// endless says that ctx never ends, so that one may wait in the kernel.
func endless(ctx context.Context) bool { return ctx.Done() == nil }

// A pause is the distance of questions to the kernel, where it cannot be waited for: it grows.
type pause time.Duration

// wait waits one distance, or until ctx ends.
func (p *pause) wait(ctx context.Context, longest time.Duration) error {
	*p = pause(min(max(2*time.Duration(*p), time.Millisecond), longest))
	t := time.NewTimer(time.Duration(*p))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
