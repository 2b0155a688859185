package evidence

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxRecords bounds how much of the kernel's log is read.
const maxRecords = 50000

// clockSkew is how far the clock of the kernel's log may be from CLOCK_MONOTONIC.
const clockSkew = 5 * time.Second

// OOM says whether the kernel killed a process for want of memory, and how that is known. Since is a moment shortly before
// its end, CLOCK_MONOTONIC in ns. Where the kernel's log may not be read the answer is no.
func OOM(pid int, since int64) (how string, yes bool) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, 8192)
	for range maxRecords {
		n, err := unix.Read(fd, buf)
		switch {
		case err == unix.EINTR || err == unix.EPIPE: // a record was overwritten meanwhile
			continue
		case err != nil || n == 0:
			return "", false
		}
		if text, ok := oomRecord(string(buf[:n]), pid, since); ok {
			return "the kernel's log: " + text, true
		}
	}
	return "", false
}

// oomRecord says whether a record of the kernel's log tells of the end of a process: "6,1234,98765,-;text", with the
// time in µs.
func oomRecord(record string, pid int, since int64) (string, bool) {
	head, text, ok := strings.Cut(record, ";")
	f := strings.Split(head, ",")
	if !ok || len(f) < 3 {
		return "", false
	}
	us, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || us*1000 < since-int64(clockSkew) {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	if !strings.Contains(text, fmt.Sprintf("Killed process %d (", pid)) {
		return "", false
	}
	return printable(text), true
}
