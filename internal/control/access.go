package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"

	"example.com/stay/api"
)

// An access says who may use a route.
type access int

// The accesses. The zero value is the narrow one.
const (
	owner  access = iota // root, and the uid that the daemon runs as
	anyone               // whoever can connect
)

// nobody is the uid of a peer whose credentials could not be read.
const nobody = -1

// withPeer puts the other end into a connection's context, if it is known. It is who called connect(2), as the kernel
// keeps it (SO_PEERCRED in unix(7)): a descriptor that was passed on keeps the rights of who opened it.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if who := peerOf(c); who.UID != nobody {
		return api.WithCaller(ctx, who)
	}
	return ctx
}

func peerOf(c net.Conn) api.Caller {
	if l, ok := c.(*conn); ok {
		c = l.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return api.Caller{UID: nobody}
	}
	raw, err := u.SyscallConn()
	who := api.Caller{UID: nobody}
	if err != nil {
		return who
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			who = api.Caller{UID: int(cred.Uid), Pid: int(cred.Pid)}
		}
	})
	return who
}

// permit refuses a peer that may not use a route.
func permit(ctx context.Context, a access, what string) error {
	uid := nobody
	if who := api.CallerOf(ctx); who != nil {
		uid = who.UID
	}
	return decide(a, uid, os.Geteuid(), what)
}

// decide is permit as a function of both uids.
func decide(a access, uid, daemon int, what string) error {
	if a == anyone || uid != nobody && (uid == 0 || uid == daemon) {
		return nil
	}
	who := fmt.Sprintf("uid %d", uid)
	if uid == nobody {
		who = "a peer without credentials"
	}
	return &api.Error{Code: "forbidden", Message: fmt.Sprintf("%s may not ask for %q", who, what),
		Hint: fmt.Sprintf("only root and uid %d, whose daemon this is, may: use sudo", daemon)}
}
