package evidence

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// tick is the unit of times in stat files, in ms: USER_HZ is 100 on every Linux of ours.
const tick = 10

// thread sees one thread. It is false for one that has gone.
func (t *taker) thread(pid, tid int) (api.Thread, bool) {
	dir := fmt.Sprintf("/proc/%d/task/%d/", pid, tid)
	st, ok := readStat(dir + "stat")
	if !ok {
		return api.Thread{}, false
	}
	th := api.Thread{Tid: tid, Comm: st.comm, State: string(st.state), Pulse: t.late[tid], UserMS: st.user * tick, SysMS: st.system * tick}
	_, waited := schedstat(dir + "schedstat")
	th.RunDelayMS = waited.Milliseconds()
	wchan, err := readSmall(dir + "wchan")
	t.miss("where threads wait", err)
	if wchan != "0" {
		th.Wchan = printable(wchan)
	}
	call, err := readSmall(dir + "syscall")
	t.miss("system calls", err)
	th.Syscall = callOf(call)
	stack, err := readSmall(dir + "stack")
	t.miss("kernel stacks", err)
	th.Stack = stackOf(stack)
	return th, true
}

// stackOf are the functions of a kernel stack, the innermost first: lines like "[<0>] futex_do_wait+0x3e/0x70".
func stackOf(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		_, f, ok := strings.Cut(strings.TrimSpace(line), "] ")
		if !ok || len(list) == maxStack {
			continue
		}
		f, _, _ = strings.Cut(f, "+")
		list = append(list, printable(f))
	}
	return list
}

// callOf says which system call a thread is in: "futex(0x7f…)", "read(3)"; "" for one that runs.
func callOf(text string) string {
	f := strings.Fields(text)
	if len(f) < 2 {
		return ""
	}
	n, err := strconv.Atoi(f[0])
	if err != nil || n < 0 {
		return ""
	}
	name, known := calls[n]
	if !known {
		return "system call " + f[0]
	}
	arg := printable(f[1])
	if v, err := strconv.ParseUint(strings.TrimPrefix(arg, "0x"), 16, 64); err == nil && onFile[name] {
		arg = strconv.FormatUint(v, 10)
	}
	return name + "(" + arg + ")"
}

// onFile are the calls whose first argument is a descriptor.
var onFile = map[string]bool{"read": true, "write": true, "readv": true, "writev": true, "pread64": true, "pwrite64": true, "recvfrom": true,
	"recvmsg": true, "sendto": true, "sendmsg": true, "accept": true, "accept4": true, "connect": true, "flock": true, "fcntl": true,
	"fsync": true, "fdatasync": true, "ioctl": true, "epoll_wait": true, "epoll_pwait": true, "sendfile": true, "splice": true}

// calls are the system calls in which threads wait.
var calls = merge(ownCalls, map[int]string{
	unix.SYS_FUTEX: "futex", unix.SYS_READ: "read", unix.SYS_WRITE: "write", unix.SYS_READV: "readv", unix.SYS_WRITEV: "writev",
	unix.SYS_PREAD64: "pread64", unix.SYS_PWRITE64: "pwrite64", unix.SYS_PPOLL: "ppoll", unix.SYS_PSELECT6: "pselect6",
	unix.SYS_EPOLL_PWAIT: "epoll_pwait", unix.SYS_NANOSLEEP: "nanosleep", unix.SYS_CLOCK_NANOSLEEP: "clock_nanosleep",
	unix.SYS_WAIT4: "wait4", unix.SYS_WAITID: "waitid", unix.SYS_RECVFROM: "recvfrom", unix.SYS_RECVMSG: "recvmsg",
	unix.SYS_SENDTO: "sendto", unix.SYS_SENDMSG: "sendmsg", unix.SYS_ACCEPT: "accept", unix.SYS_ACCEPT4: "accept4",
	unix.SYS_CONNECT: "connect", unix.SYS_FLOCK: "flock", unix.SYS_FCNTL: "fcntl", unix.SYS_FSYNC: "fsync",
	unix.SYS_FDATASYNC: "fdatasync", unix.SYS_IOCTL: "ioctl", unix.SYS_OPENAT: "openat", unix.SYS_MSGRCV: "msgrcv",
	unix.SYS_MSGSND: "msgsnd", unix.SYS_SEMOP: "semop", unix.SYS_SEMTIMEDOP: "semtimedop", unix.SYS_RT_SIGTIMEDWAIT: "rt_sigtimedwait",
	unix.SYS_RT_SIGSUSPEND: "rt_sigsuspend", unix.SYS_SPLICE: "splice", unix.SYS_SENDFILE: "sendfile", unix.SYS_MMAP: "mmap",
	unix.SYS_MUNMAP: "munmap", unix.SYS_CLONE: "clone", unix.SYS_EXECVE: "execve", unix.SYS_RESTART_SYSCALL: "restart_syscall",
	unix.SYS_IO_GETEVENTS: "io_getevents", unix.SYS_IO_URING_ENTER: "io_uring_enter", unix.SYS_EXIT_GROUP: "exit_group",
})

func merge(a, b map[int]string) map[int]string {
	for n, name := range a {
		b[n] = name
	}
	return b
}
