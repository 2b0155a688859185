package evidence

import (
	"strconv"
	"strings"
)

//go:generate go run gencalls.go

// A call is what proc_pid_syscall(5) says of a thread.
type call struct {
	number int      // -1: blocked, but in no system call
	args   []string // six at most, in hex, printable
}

// parseCall reads "202 0x7f… 0x80 …"; it is false for a thread that runs, and for what is no such line.
func parseCall(text string) (call, bool) {
	f := strings.Fields(text)
	if len(f) < 2 {
		return call{}, false
	}
	n, err := strconv.Atoi(f[0])
	if err != nil || n < -1 {
		return call{}, false
	}
	c := call{number: n}
	if n >= 0 {
		for _, arg := range f[1:min(len(f), 7)] {
			c.args = append(c.args, printable(arg))
		}
	}
	return c, true
}

// name is that of the call, "" if it has none.
func (c call) name() string { return callNames[c.number] }

// file is the descriptor that the call is about.
func (c call) file() (fd int, ok bool) {
	if !onFile[c.name()] || len(c.args) == 0 {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(c.args[0], "0x"), 16, 64)
	return int(int32(v)), err == nil && int32(v) >= 0
}

// String is the call as people write it: "read(3, 0xc000, 0x1)". Arguments that such a call does not have are left out where
// that is known; the kernel shows what the registers held.
func (c call) String() string {
	if c.number < 0 {
		return ""
	}
	name := c.name()
	if name == "" {
		return "system call " + strconv.Itoa(c.number)
	}
	args := c.args
	if n, known := arguments[name]; known {
		args = args[:min(n, len(args))]
	}
	if fd, ok := c.file(); ok {
		args = append([]string{strconv.Itoa(fd)}, args[1:]...)
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// onFile are the calls whose first argument is a descriptor.
var onFile = set("read write readv writev pread64 pwrite64 recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg accept accept4 connect flock",
	"fcntl fsync fdatasync ioctl epoll_wait epoll_pwait epoll_pwait2 splice tee vmsplice ftruncate fallocate getdents64 io_uring_enter",
	"close shutdown newfstatat openat unlinkat renameat2 sync_file_range syncfs")

// arguments says how many arguments those calls have in which threads are found waiting.
var arguments = map[string]int{"read": 3, "write": 3, "readv": 3, "writev": 3, "pread64": 4, "pwrite64": 4, "poll": 3, "ppoll": 4, "select": 5,
	"epoll_wait": 4, "nanosleep": 2, "clock_nanosleep": 4, "wait4": 4, "waitid": 5, "accept": 3, "accept4": 4, "connect": 3, "flock": 2,
	"fcntl": 3, "fsync": 1, "fdatasync": 1, "ioctl": 3, "recvmsg": 3, "sendmsg": 3, "semop": 3, "semtimedop": 4, "msgrcv": 5, "msgsnd": 4,
	"pause": 0, "vfork": 0, "rt_sigsuspend": 2, "rt_sigtimedwait": 4, "open": 3, "openat": 4, "close": 1, "mmap": 6, "munmap": 2, "mprotect": 3,
	"madvise": 3, "sendfile": 4, "execve": 3, "exit": 1, "exit_group": 1, "getdents64": 3, "sched_yield": 0, "restart_syscall": 0, "sync": 0}

func set(lists ...string) map[string]bool {
	m := map[string]bool{}
	for _, l := range lists {
		for _, name := range strings.Fields(l) {
			m[name] = true
		}
	}
	return m
}
