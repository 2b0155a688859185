package evidence

import "golang.org/x/sys/unix"

// ownCalls are those that newer architectures do not have.
var ownCalls = map[int]string{unix.SYS_POLL: "poll", unix.SYS_SELECT: "select", unix.SYS_EPOLL_WAIT: "epoll_wait", unix.SYS_PAUSE: "pause",
	unix.SYS_OPEN: "open", unix.SYS_VFORK: "vfork", unix.SYS_FORK: "fork"}
