package launch

import (
	"sort"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A resource is one limit of setrlimit(2) under the key that the configuration has for it.
type resource struct {
	key    string
	number int
}

// resources stand in the order in which they are set: the last three can stop the Go runtime in its tracks, for want of a
// thread or of memory, and then there must be nothing left to do but exec.
var resources = [...]resource{
	{key: "core", number: unix.RLIMIT_CORE},
	{key: "cpu_time", number: unix.RLIMIT_CPU},
	{key: "file_size", number: unix.RLIMIT_FSIZE},
	{key: "locked_memory", number: unix.RLIMIT_MEMLOCK},
	{key: "message_queue", number: unix.RLIMIT_MSGQUEUE},
	{key: "open_files", number: unix.RLIMIT_NOFILE},
	{key: "pending_signals", number: unix.RLIMIT_SIGPENDING},
	{key: "real_time_priority", number: unix.RLIMIT_RTPRIO},
	{key: "resident_set", number: unix.RLIMIT_RSS},
	{key: "stack", number: unix.RLIMIT_STACK},
	{key: "processes", number: unix.RLIMIT_NPROC},
	{key: "data", number: unix.RLIMIT_DATA},
	{key: "address_space", number: unix.RLIMIT_AS},
}

// rank returns the place of a resource in the order of setting, and its key.
func rank(number int) (int, string) {
	for i := range resources {
		if resources[i].number == number {
			return i, resources[i].key
		}
	}
	return -1, strconv.Itoa(number)
}

// inOrder returns the limits in the order of resources; one that is not there comes first, to be refused by the kernel.
func inOrder(limits []Rlimit) []Rlimit {
	sorted := append([]Rlimit(nil), limits...)
	sort.SliceStable(sorted, func(i, k int) bool {
		a, _ := rank(sorted[i].Resource)
		b, _ := rank(sorted[k].Resource)
		return a < b
	})
	return sorted
}

// raised returns the limits that are above the hard limit of this process, which needs CAP_SYS_RESOURCE, and the others.
func raised(limits []Rlimit) (up, down []Rlimit) {
	for _, l := range limits {
		var have syscall.Rlimit
		if err := syscall.Getrlimit(l.Resource, &have); err == nil && l.Value > have.Max {
			up = append(up, l)
		} else {
			down = append(down, l)
		}
	}
	return up, down
}

// setLimits sets each. It goes through package syscall, which must learn of open_files: otherwise syscall.Exec would put
// back the soft limit that the process was started with.
func setLimits(limits []Rlimit) *Failure {
	for _, l := range limits {
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Value, Max: l.Value}); err != nil {
			_, key := rank(l.Resource)
			value := "unlimited"
			if l.Value != ^uint64(0) {
				value = strconv.FormatUint(l.Value, 10)
			}
			return at(StageRlimit+" "+key, value, err)
		}
	}
	return nil
}
