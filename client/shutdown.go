package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"example.com/stay/api"
)

// sysPidfdOpen is pidfd_open(2), whose number is the same on every architecture that Go knows but mips.
const sysPidfdOpen = 434

// lookAgain is how often a socket is tried while the daemon behind it leaves.
const lookAgain = 20 * time.Millisecond

// Shutdown stops every service in reverse order, then the daemon, and returns when the daemon's process has gone. With
// now set everything is killed at once; that also hurries a Shutdown under way. Who refuses to end is named by Status
// meanwhile. When ctx ends the shutdown goes on.
func (c *Client) Shutdown(ctx context.Context, now bool) error {
	d, err := c.Version(ctx)
	if err != nil {
		return err
	}
	keeper := c.openKeeper(ctx, d)
	if keeper != nil {
		defer keeper.Close()
	}
	q := question{method: http.MethodPost, path: "/v1/shutdown"}
	if now {
		q.query = url.Values{"now": {"1"}}
	}
	var done struct{}
	var gone *NotReachable
	if err := c.ask(ctx, q, &done); err != nil && !errors.As(err, &gone) {
		return err
	}
	if keeper != nil && awaitExit(ctx, keeper) == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // also where the socket refuses already: the process is still there
	}
	return c.awaitRefusal(ctx)
}

// openKeeper returns a pidfd of the keeper, nil if it cannot be had: the daemon may live in another pid namespace, where
// its numbers mean other processes. They mean the same if the keeper is, as seen from here, who made the socket.
func (c *Client) openKeeper(ctx context.Context, d api.Daemon) *os.File {
	if d.KeeperPid <= 0 || c.listenerPid(ctx) != d.KeeperPid || strings.HasPrefix(runtime.GOARCH, "mips") {
		return nil
	}
	fd, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(d.KeeperPid), 0, 0)
	if errno != 0 {
		return nil
	}
	syscall.CloseOnExec(int(fd)) // set already, by pidfd_open
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		_ = syscall.Close(int(fd))
		return nil
	}
	return os.NewFile(fd, "pidfd")
}

// listenerPid returns the pid, as this process sees it, of who made the socket listen; 0 if it is not to be seen here.
func (c *Client) listenerPid(ctx context.Context) int {
	conn, err := dialPath(ctx, c.socket)
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// awaitExit waits until the process of a pidfd has ended: then, and only then, it polls readable (pidfd_open(2)).
func awaitExit(ctx context.Context, pidfd *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(readable) // asked again whenever the poller has news, and before it may have any
}

// readable asks poll(2), without waiting.
func readable(fd uintptr) bool {
	p := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: 1} // POLLIN
	var now syscall.Timespec
	n, _, _ := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n == 1
}

// awaitRefusal waits until nobody listens on the socket any more.
func (c *Client) awaitRefusal(ctx context.Context) error {
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		conn, err := c.dial(ctx, "", "")
		var gone *NotReachable
		if errors.As(err, &gone) {
			return nil
		}
		if err == nil {
			conn.Close()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
