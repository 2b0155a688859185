package sysv

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"
)

// A Queue is a message queue. It is a plain value and holds nothing.
type Queue struct {
	ID int // msqid
}

// QueueStat is what the kernel says of a queue.
type QueueStat struct {
	Owner
	Messages     int       // in it
	Bytes        int       // of these messages
	MaxBytes     int       // Send waits above it
	LastSender   int       // pid
	LastReceiver int       // pid
	Send         time.Time // last
	Receive      time.Time // last
	Change       time.Time // made, or owner, mode and size changed
}

// msqid64 is struct msqid64_ds, the same on amd64 and arm64: 120 bytes.
type msqid64 struct {
	perm   perm
	stime  int64
	rtime  int64
	ctime  int64
	cbytes uint64
	qnum   uint64
	qbytes uint64
	lspid  int32
	lrpid  int32
	_      [2]uint64
}

// A Take says how Receive takes a message.
type Take int

// The flags of Receive.
const (
	Cut    Take = 0o10000 // MSG_NOERROR: of a message that is longer than the buffer the rest is lost; without it: syscall.E2BIG
	Except Take = 0o20000 // MSG_EXCEPT: any type but the one given, which must be above 0
)

// typeSize is the long in front of each message.
const typeSize = 8

// OpenQueue finds the queue of a key.
func OpenQueue(key Key) (Queue, error) {
	if key == Private {
		return Queue{}, mistake("open", "queue", key, syscall.ENOENT)
	}
	return getQueue("open", key, 0)
}

// CreateQueue makes an empty queue, and fails with fs.ErrExist if the key has one.
func CreateQueue(key Key, perm fs.FileMode) (Queue, error) {
	return getQueue("create", key, ipcCreate|ipcExcl|mode(perm))
}

// MakeQueue finds the queue of a key, or makes it.
func MakeQueue(key Key, perm fs.FileMode) (Queue, error) {
	return getQueue("make", key, ipcCreate|mode(perm))
}

func getQueue(op string, key Key, flags uintptr) (Queue, error) {
	r, err := call(syscall.SYS_MSGGET, uintptr(key), flags, 0, 0, 0)
	if err != nil {
		return Queue{}, mistake(op, "queue", key, err)
	}
	return Queue{ID: int(r)}, nil
}

// Remove destroys the queue with all messages at once. Those who wait get syscall.EIDRM.
func (q Queue) Remove() error {
	_, err := call(syscall.SYS_MSGCTL, uintptr(q.ID), ipcRemove, 0, 0, 0)
	return mistake("remove", "queue", id(q.ID), err)
}

// Stat asks the kernel. It needs the right to read.
func (q Queue) Stat() (QueueStat, error) {
	var ds msqid64
	if _, err := call(syscall.SYS_MSGCTL, uintptr(q.ID), ipcStat, uintptr(unsafe.Pointer(&ds)), 0, 0); err != nil {
		return QueueStat{}, mistake("stat", "queue", id(q.ID), err)
	}
	return QueueStat{Owner: ds.perm.owner(), Messages: int(ds.qnum), Bytes: int(ds.cbytes), MaxBytes: int(ds.qbytes),
		LastSender: int(ds.lspid), LastReceiver: int(ds.lrpid), Send: seconds(ds.stime), Receive: seconds(ds.rtime), Change: seconds(ds.ctime)}, nil
}

// Send puts a message of a type above 0 into the queue. While the queue is full it waits, until ctx ends; then nothing was
// sent. A message may be empty; one above the machine's limit (kernel.msgmax) is refused: syscall.EINVAL.
func (q Queue) Send(ctx context.Context, typ int64, data []byte) error {
	return mistake("send to", "queue", id(q.ID), patiently(ctx, func(flags uintptr) error { return q.send(typ, data, flags) }))
}

// TrySend is Send without waiting: false if the queue is full.
func (q Queue) TrySend(typ int64, data []byte) (bool, error) {
	err := q.send(typ, data, ipcNoWait)
	if errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	return err == nil, mistake("send to", "queue", id(q.ID), err)
}

// Receive takes a message out of the queue, and waits for one until ctx ends; then none was taken. Type 0 is the first
// message, one above 0 the first of that type, one below 0 the first of the lowest type up to its absolute value. It returns
// type and length of the message, which stands in buf.
func (q Queue) Receive(ctx context.Context, typ int64, buf []byte, how Take) (got int64, n int, err error) {
	err = patiently(ctx, func(flags uintptr) (err error) {
		got, n, err = q.receive(typ, buf, uintptr(how)|flags)
		return err
	})
	return got, n, mistake("receive from", "queue", id(q.ID), err)
}

// TryReceive is Receive without waiting: a length of -1 if there is no such message.
func (q Queue) TryReceive(typ int64, buf []byte, how Take) (got int64, n int, err error) {
	got, n, err = q.receive(typ, buf, uintptr(how)|ipcNoWait)
	if errors.Is(err, syscall.ENOMSG) {
		return 0, -1, nil
	}
	return got, n, mistake("receive from", "queue", id(q.ID), err)
}

// patiently calls try without flags where it may wait in the kernel, else without waiting, again and again.
func patiently(ctx context.Context, try func(flags uintptr) error) error {
	if endless(ctx) {
		return try(0)
	}
	for p := pause(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := try(ipcNoWait)
		if err != syscall.EAGAIN && err != syscall.ENOMSG {
			return err
		}
		if err := p.wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// send is msgsnd(2), which takes type and data as one piece of memory.
func (q Queue) send(typ int64, data []byte, flags uintptr) error {
	m := make([]uint64, 1+(len(data)+7)/8) // aligned as a long has to be
	m[0] = uint64(typ)
	copy(body(m), data)
	_, err := call(syscall.SYS_MSGSND, uintptr(q.ID), uintptr(unsafe.Pointer(&m[0])), uintptr(len(data)), flags, 0)
	return err
}

func (q Queue) receive(typ int64, buf []byte, flags uintptr) (int64, int, error) {
	m := make([]uint64, 1+(len(buf)+7)/8)
	n, err := call(syscall.SYS_MSGRCV, uintptr(q.ID), uintptr(unsafe.Pointer(&m[0])), uintptr(len(buf)), uintptr(typ), flags)
	if err != nil {
		return 0, 0, err
	}
	return int64(m[0]), copy(buf, body(m)[:n]), nil
}

// body is what stands after the type.
func body(m []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&m[0])), typeSize*len(m))[typeSize:]
}
