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

// clockSkew is how far the clock of the kernel's log may be from CLOCK_MONOTONIC: it is another, and on a guest that was
// stopped they drift apart. Within it no pid is used twice.
const clockSkew = 30 * time.Second

// creditFor is how long a kill that was counted, but not said of whom, explains the end of a process.
const creditFor = 5 * time.Second

// An OOM finds out whom the kernel killed for want of memory. It is for one goroutine. The zero value is ready.
type OOM struct {
	counters []string // files that count kills, of this daemon's own groups; nil: not looked for yet
	counted  int64
	credits  int64 // kills of nobody known
	at       int64 // when they were seen, CLOCK_MONOTONIC
}

// NewOOM counts from now on.
func NewOOM() *OOM {
	o := &OOM{}
	unified, memory := memoryGroups()
	for _, file := range []string{unified + "/memory.events", memory + "/memory.oom_control"} {
		if _, err := readSmall(file); err == nil {
			o.counters = append(o.counters, file)
		}
	}
	o.counted = o.count()
	return o
}

// memoryGroups are the groups of this process, of version 2 and of the memory controller of version 1.
func memoryGroups() (unified, memory string) {
	text, _ := readSmall("/proc/self/cgroup")
	info, _ := readBounded("/proc/self/mountinfo", maxMounts)
	m := parseMounts(info, "memory")
	unified, memory = parseGroups(text, "memory")
	return dir(m.unified, unified), dir(m.legacy, memory)
}

// count is how many processes were killed so far in the groups of this daemon and below.
func (o *OOM) count() (n int64) {
	for _, file := range o.counters {
		text, _ := readSmall(file)
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "oom_kill "); ok {
				one, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				n += one
			}
		}
	}
	return n
}

// Killed says whether the kernel killed a process, which ended by SIGKILL that nobody here sent, for want of memory, and how
// that is known. Ended is when it did, CLOCK_MONOTONIC in ns. What the kernel's log says is certain; where it says nothing
// of this process, or may not be read, a kill in this daemon's own group that was counted just now is taken for it.
func (o *OOM) Killed(pid int, ended int64) (how string, yes bool) {
	if how, yes = killedByLog(pid, ended); yes {
		o.counted = o.count()
		return how, yes
	}
	return o.byCount(o.count(), monotonic())
}

// byCount takes what the counters say at a moment, and says whether there is a kill to explain an end with.
func (o *OOM) byCount(n, now int64) (how string, yes bool) {
	if n > o.counted {
		o.credits, o.at = n-o.counted, now
	}
	o.counted = n
	if o.credits == 0 || now-o.at > int64(creditFor) {
		o.credits = 0
		return "", false
	}
	o.credits--
	return "the control group has just counted a kill for want of memory", true
}

// killedByLog searches the kernel's log.
func killedByLog(pid int, ended int64) (how string, yes bool) {
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
		if text, ok := oomRecord(string(buf[:n]), pid, ended); ok {
			return "the kernel's log: " + text, true
		}
	}
	return "", false
}

// oomRecord says whether a record of the kernel's log, Documentation/ABI/testing/dev-kmsg, tells of the end of a process:
// "3,1234,98765,-;Out of memory: Killed process 42 (web) …", with the time in µs. Only the kernel itself writes with
// facility 0, and only at the start of a line does it say so: names of groups and processes are others' words.
func oomRecord(record string, pid int, ended int64) (string, bool) {
	head, text, ok := strings.Cut(record, ";")
	f := strings.Split(head, ",")
	if !ok || len(f) < 3 {
		return "", false
	}
	priority, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || priority>>3 != 0 {
		return "", false
	}
	us, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || us < (ended-int64(clockSkew))/1000 {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	before, _, ok := strings.Cut(text, fmt.Sprintf("Killed process %d (", pid))
	if !ok || strings.ContainsAny(before, "=/,") {
		return "", false
	}
	return printable(text), true
}
