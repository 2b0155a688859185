package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxAddress is the longest path that fits into a unix socket's address, less its final zero (unix(7)).
const maxAddress = 107

// NotReachable says that no daemon can be asked: nothing listens on the socket, or the caller may not connect to it.
type NotReachable struct {
	Socket string // "" if none was found
	Err    error  // why; fs.ErrNotExist and fs.ErrPermission may be looked for
}

// Error says which socket and why.
func (e *NotReachable) Error() string {
	if e.Socket == "" {
		return "no daemon found: " + e.Err.Error()
	}
	return fmt.Sprintf("no daemon on %q: %v", e.Socket, e.Err)
}

// Unwrap returns why.
func (e *NotReachable) Unwrap() error { return e.Err }

// Broken says that the connection broke before the answer to something that cannot safely be asked twice.
type Broken struct {
	What string // what was asked
	Err  error  // how it broke
}

// Error says that it is not known whether it was done.
func (e *Broken) Error() string {
	return fmt.Sprintf("%s: the daemon's answer was lost (%v): it may have been done or not", e.What, e.Err)
}

// Unwrap returns how it broke.
func (e *Broken) Unwrap() error { return e.Err }

// dial connects to the client's socket. Nobody there is *NotReachable; a queue that is full is not, it is tried again.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := dialPath(ctx, c.socket)
	if err == nil || ctx.Err() != nil || errors.Is(err, syscall.EAGAIN) {
		return conn, err
	}
	var number syscall.Errno // without the words of net and os around it
	if errors.As(err, &number) {
		err = number
	}
	return nil, &NotReachable{Socket: c.socket, Err: err}
}

// dialPath connects to a unix socket whose path may be too long for an address: then by way of its directory's descriptor.
func dialPath(ctx context.Context, path string) (net.Conn, error) {
	if len(path) > maxAddress {
		dir, err := openDir(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// openDir opens a directory to go through it only, which needs no right to read it.
func openDir(dir string) (*os.File, error) {
	const oPath = 0x200000 // O_PATH of open(2), the same on every Linux that Go knows, and not in package syscall
	fd, err := syscall.Open(dir, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}
