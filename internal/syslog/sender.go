package syslog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Options say where messages go. The zero value is the system's log.
type Options struct {
	Path   string              // of the socket; "" is /dev/log
	Host   string              // in each message; "" is the machine's name
	Report func(problem error) // called when messages cannot be sent, and with nil when they can again; nil: nobody
}

// A Sender sends messages, one after the other. It is for one goroutine.
type Sender struct {
	o    Options
	conn net.Conn // nil: not connected
	line bool     // conn is a stream
	buf  []byte
	ill  bool
}

// New makes a Sender. It connects when there is something to send.
func New(o Options) *Sender {
	if o.Path == "" {
		o.Path = "/dev/log"
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname()
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Sender{o: o}
}

// Waits between two attempts, and how long one may take.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 5 * time.Second
	sendFor     = 5 * time.Second
)

// Send sends one message, however often it has to be tried. The error is ctx's.
func (s *Sender) Send(ctx context.Context, m Message) error {
	s.buf = m.append(s.buf[:0], s.o.Host)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := s.try(ctx)
		if err == nil {
			s.tell(nil)
			return nil
		}
		s.tell(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// try sends what is in buf once. A message that the socket is too small for loses its second half, again and again.
func (s *Sender) try(ctx context.Context) error {
	for {
		if s.conn == nil {
			if err := s.dial(ctx); err != nil {
				return err
			}
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(sendFor))
		out := s.buf
		if s.line {
			out = append(out, '\n')
		}
		_, err := s.conn.Write(out)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EMSGSIZE) && len(s.buf) > 512:
			s.buf = s.buf[:len(s.buf)/2]
			continue
		}
		s.conn.Close()
		s.conn = nil
		return fmt.Errorf("send to %q: %w", s.o.Path, cause(err))
	}
}

// dial connects, to a datagram socket or, if it is none, to a stream.
func (s *Sender) dial(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", s.o.Path)
	s.line = errors.Is(err, unix.EPROTOTYPE)
	if s.line {
		conn, err = d.DialContext(ctx, "unix", s.o.Path)
	}
	if err != nil {
		return fmt.Errorf("connect to %q: %w", s.o.Path, cause(err))
	}
	s.conn = conn
	return nil
}

// tell reports a change for better or worse, once.
func (s *Sender) tell(err error) {
	if s.ill != (err != nil) {
		s.ill = err != nil
		s.o.Report(err)
	}
}

// Close gives the connection back.
func (s *Sender) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// cause takes operation and address off an error of package net: they are said by whoever reports it.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return err
}
