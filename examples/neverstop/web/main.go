// Command web is an HTTP server that can run several times on one address. It tells its supervisor when it is ready and
// how much it has answered.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultAddress = "127.0.0.1:8077"
	warmUp         = 300 * time.Millisecond // what a server does before it can serve
	reusePort      = 0xf                    // SO_REUSEPORT of socket(7), as most architectures number it
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	time.Sleep(warmUp)
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	var answered atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := answered.Add(1)
		fmt.Fprintf(w, "%s %d\n", os.Getenv("STAY_INSTANCE"), n)
		fmt.Printf("%s %s: answer %d\n", r.Method, r.URL.Path, n)
	})}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background()) // what was accepted is answered
	}()
	go report(&answered)
	fmt.Println("listening on", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func listen(ctx context.Context) (net.Listener, error) {
	address := os.Getenv("NEVERSTOP_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) }); e != nil {
			return e
		}
		return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
	}}
	return lc.Listen(ctx, "tcp", address)
}

// report says that the server is ready, and four times a second what it has done.
func report(answered *atomic.Int64) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	c, err := net.Dial("unixgram", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		return
	}
	_, _ = c.Write([]byte("READY=1"))
	for range time.Tick(250 * time.Millisecond) {
		_, _ = fmt.Fprintf(c, "STATUS=answered %d requests", answered.Load())
	}
}
