package notify

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// identify finds out which process a message makes the main one, and returns the descriptors that are to be stored. A pid
// that is not the process that was meant any more is no pid.
func (m *Message) identify(files []int) []int {
	if m.mainFD {
		m.MainPID = 0
		if len(files) > 0 {
			m.MainPID = pidOf(files[0])
			unix.Close(files[0])
			files = files[1:]
		}
	} else if m.mainID != 0 && m.MainPID != 0 && !isProcess(m.MainPID, m.mainID) {
		m.MainPID = 0
	}
	if !m.Store {
		closeAll(files)
		return nil
	}
	return files
}

// pidOf returns the process that a pidfd stands for, 0 if it is none, or its process has gone, or cannot be seen from here:
// "Pid:" in fdinfo, pidfd_open(2).
func pidOf(fd int) int {
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(info) {
		if value, ok := bytes.CutPrefix(line, []byte("Pid:\t")); ok {
			pid, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err != nil {
				return 0
			}
			return max(pid, 0)
		}
	}
	return 0
}

// pidfsMagic is the file system of pidfds since Linux 6.9, where an inode stands for one process, for ever.
const pidfsMagic = 0x50494446

// isProcess says whether pid is the process whose pidfd has that inode. Where the kernel's pidfds have no inodes of their
// own, and where the process has gone, the number has to do: the keeper knows who ended.
func isProcess(pid int, inode uint64) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != pidfsMagic || unix.Fstat(fd, &st) != nil {
		return true
	}
	return st.Ino == inode
}
