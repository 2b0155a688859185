package keeper

import (
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file: how a process ended that somebody else reaps. While it is a zombie its stat has the status, for who may trace it;
// when it was reaped its pidfd has, since Linux 6.15.

// status is how an alien that has ended did so, as wait4(2) would have said. It is false where that cannot be known.
func (a *alien) status(pid int, start uint64) (int, bool) {
	status, ok := zombieStatus(pid, start)
	if ok && a.signal(0) == nil { // it was still there, so the pid was its
		return status, true
	}
	return a.reapedStatus()
}

// A pidfdInfo is struct pidfd_info of linux/pidfd.h, as it was first.
type pidfdInfo struct {
	mask     uint64 // asked for, and given
	_        uint64
	_        [11]uint32
	exitCode int32
}

const (
	pidfdGetInfo  = 0xc040ff0b // PIDFD_GET_INFO, with that size
	pidfdInfoExit = 1 << 3     // PIDFD_INFO_EXIT
)

// reapedStatus asks the pidfd.
func (a *alien) reapedStatus() (int, bool) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(a.raw), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return int(info.exitCode), errno == 0 && info.mask&pidfdInfoExit != 0
}

// Fields of proc_pid_stat(5), counted from the one after the name.
const (
	stateField = 0
	startField = 19
	exitField  = 49
)

// zombieStatus reads the status of a zombie that was started at start.
func zombieStatus(pid int, start uint64) (int, bool) {
	if !traceable(pid) { // the status would be shown as 0
		return 0, false
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	after := strings.LastIndex(string(data), ") ")
	if err != nil || after < 0 {
		return 0, false
	}
	fields := strings.Fields(string(data[after+2:]))
	if len(fields) <= exitField || fields[stateField] != "Z" || fields[startField] != strconv.FormatUint(start, 10) {
		return 0, false
	}
	status, err := strconv.Atoi(fields[exitField])
	return status, err == nil
}

// traceable says whether the kernel tells this process about that one what it tells nobody else: if this one has
// CAP_SYS_PTRACE, or both have the same users and groups.
func traceable(pid int) bool {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	caps, _ := strconv.ParseUint(statusLine(own, "CapEff:"), 16, 64)
	if caps&(1<<unix.CAP_SYS_PTRACE) != 0 {
		return true
	}
	other, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && same(own, other, "Uid:") && same(own, other, "Gid:")
}

// same says whether all ids of a line are those with which own acts.
func same(own, other []byte, key string) bool {
	mine, theirs := strings.Fields(statusLine(own, key)), strings.Fields(statusLine(other, key))
	if len(mine) != 4 || len(theirs) != 4 {
		return false
	}
	acts := mine[3] // fsuid
	return theirs[0] == acts && theirs[1] == acts && theirs[2] == acts
}

// statusLine is the value of a key of proc_pid_status(5).
func statusLine(data []byte, key string) string {
	_, after, _ := strings.Cut("\n"+string(data), "\n"+key)
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
