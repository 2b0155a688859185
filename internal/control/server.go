package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The limits of the socket. They bound what clients can make the daemon spend, and are far above what people need.
const (
	maxConns      = 256              // connections served at once; further ones wait in the kernel's queue
	maxBody       = 64 << 10         // bytes of a request's body
	maxHeader     = 16 << 10         // bytes of a request's head
	headerTimeout = 5 * time.Second  // for the head of a request, from its first byte or the connection's start
	bodyTimeout   = 10 * time.Second // for the body of a request
	answerTimeout = 10 * time.Second // for a client to take an answer that is no stream
	idleTimeout   = 60 * time.Second // between two requests of one connection
	grace         = 2 * time.Second  // for answers under way when Serve ends
)

// Serve answers clients on l until ctx ends, and closes l. It returns nil when ctx ended, after the answers under way
// are out (two seconds at most), and the listener's error otherwise.
//
// A request's context ends with its client and with ctx. A request that ends so gets no answer, its connection breaks: to
// the client that is an engine that died, and it asks the next one.
func Serve(ctx context.Context, l net.Listener, e Engine) error {
	requests, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &http.Server{
		Handler:           handler(e),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(limit(l, maxConns)) }()
	select {
	case err := <-served:
		_ = s.Close()
		return err
	case <-ctx.Done():
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	if err := s.Shutdown(end); err != nil {
		_ = s.Close() // clients that do not read: they are cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
