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

// A peerKey is the key of a connection's uid in its context.
type peerKey struct{}

// withPeer puts the uid of the other end into a connection's context. It is the uid at the time of connect(2), as the
// kernel keeps it (SO_PEERCRED in unix(7)): a descriptor that was passed on keeps the rights of who opened it.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(c))
}

func peerOf(c net.Conn) int {
	if l, ok := c.(*conn); ok {
		c = l.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nobody
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nobody
	}
	uid := nobody
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	return uid
}

// permit refuses a peer that may not use a route.
func permit(ctx context.Context, a access, what string) error {
	uid, ok := ctx.Value(peerKey{}).(int)
	if !ok {
		uid = nobody
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
