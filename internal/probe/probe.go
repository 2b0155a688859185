// Package probe asks a server whether it works: by HTTP, or by connecting to it.
//
// It promises an answer when the time given is over at the latest, whatever the server does: hang, answer without end, or
// send what is no text. What comes from a server is hostile: at most 4 KiB of a body are read, and what of it is passed
// on is one short line of printable characters.
//
// A timeout says something about the server only if the asker had its time. So each question has a Clock that stands still
// while this process does not run, be it stopped or starved: a server whose answer came meanwhile is heard. A Result
// without an answer says Late if that happened. The caller runs each question on a goroutine of its own; nothing is decided
// here.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A Result is the answer to one question.
type Result struct {
	Good    bool
	Message string        // one short line of printable characters; what is wrong, or "200 OK"
	Took    time.Duration //
	Late    bool          // no answer came in time, and this process did not run all the time: it says nothing
}

// maxMessage is the length of a message in characters.
const maxMessage = 200

// errTimeout is the cause of a context that ended because the time of a question was over.
var errTimeout = errors.New("no answer in time")

// ask runs one question and watches the time. The question returns what it heard, or the error that kept it from hearing.
func ask(ctx context.Context, timeout time.Duration, question func(context.Context) (good bool, heard string, err error)) Result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begin := time.Now()
	clock := Watch(timeout, func() { cancel(errTimeout) })
	good, heard, err := question(ctx)
	end := time.Now()
	late := clock.Stop() > 0
	if err != nil && context.Cause(ctx) == errTimeout {
		err = errTimeout // whatever that broke
	}
	return Result{Good: good, Message: heard, Took: end.Sub(begin)}.judge(err, timeout, late)
}

// judge completes a result with what kept the question from an answer, and with whether the asker was late.
func (r Result) judge(err error, timeout time.Duration, late bool) Result {
	switch {
	case err == nil:
	case isTimeout(err):
		r.Good, r.Message, r.Late = false, fmt.Sprintf("no answer within %s", timeout), late
	default:
		r.Good, r.Message = false, clean(cause(err))
	}
	return r
}

// isTimeout says whether err is only that the time was over, be it seen by a socket or by the context.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeout)
}

// TCP asks whether somebody accepts connections at address, "host:port". It closes the connection at once.
func TCP(ctx context.Context, address string, timeout time.Duration) Result {
	return ask(ctx, timeout, func(ctx context.Context) (bool, string, error) {
		conn, err := dial(ctx, "tcp", address)
		if err != nil {
			return false, "", err
		}
		conn.Close()
		return true, "connected", nil
	})
}

// dialer resolves names in this process, so that a name service that hangs costs a goroutine and no thread.
var dialer = net.Dialer{KeepAlive: -1, Resolver: &net.Resolver{PreferGo: true}}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialer.DialContext(ctx, network, address)
}

// cause is the last word of an error of package net: "connection refused", "no such host".
func cause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Sprintf("look up %q: %s", dns.Name, dns.Err)
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasSuffix(err.Error(), "server closed idle connection") {
		return "connection closed without an answer" // net/http finds out in one way or the other
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// clean returns the first line of text that is not blank, short and printable.
func clean(text string) string {
	var line string
	for line = range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			break
		}
	}
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxMessage {
			return -1
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line)
}
