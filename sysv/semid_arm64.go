package sysv

// semid64 is struct semid64_ds of include/uapi/asm-generic/sembuf.h.
type semid64 struct {
	perm  perm
	otime int64
	ctime int64
	nsems uint64
	_     [2]uint64
}
