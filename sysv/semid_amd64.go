package sysv

// semid64 is struct semid64_ds of arch/x86/include/uapi/asm/sembuf.h.
type semid64 struct {
	perm  perm
	otime int64
	_     uint64
	ctime int64
	_     uint64
	nsems uint64
	_     [2]uint64
}
