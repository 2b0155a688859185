// Package probe asks a server whether it works: by HTTP, or by connecting to it.
//
// It promises an answer when the time given is over at the latest, whatever the server does: hang, answer without end, or
// send what is no text. What comes from a server is hostile: at most 4 KiB of a body are read, and what of it is passed
// on is one short line of printable characters.
//
// A timeout says something about the server only if the asker had its time: an answer that came while nobody looked is
// none. So each question watches its own clock, and a Result without an answer says Late if this process did not run for
// 20 ms or more when it should have. The caller runs each question on a goroutine of its own and decides nothing here.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
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
	Late    bool          // no answer came in time, and the asker was late itself: it says nothing
}

// maxMessage is the length of a message in characters.
const maxMessage = 200

// errTimeout is the cause of a context that ended because the time of a question was over.
var errTimeout = errors.New("no answer in time")

// ask runs one question and watches the time. The question returns what it heard, or the error that kept it from hearing.
func ask(ctx context.Context, timeout time.Duration, question func(context.Context) (good bool, heard string, err error)) Result {
	begin := time.Now()
	w := Watch(timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	good, heard, err := question(ctx)
	end := time.Now()
	late := w.stop(end)
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

// slack is how late a timer may be without anybody having been late.
const slack = 20 * time.Millisecond

// A Clock notices when this process does not run: a timer that fires again and again finds out how late it is.
type Clock struct {
	every time.Duration
	timer *time.Timer

	mu   sync.Mutex // a leaf
	last time.Time  // when it was last known to run
	late bool
	over bool
}

// Watch begins to watch the time of a question. One that is answered soon costs no tick at all.
func Watch(timeout time.Duration) *Clock {
	w := &Clock{every: min(max(timeout/8, slack), time.Second), last: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.every, w.tick)
	return w
}

func (w *Clock) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.note(time.Now())
		w.timer.Reset(w.every)
	}
}

// note takes a moment at which this process ran. mu is held.
func (w *Clock) note(now time.Time) {
	if now.Sub(w.last) > w.every+slack {
		w.late = true
	}
	w.last = now
}

// Stop ends the watch, and says whether this process was late by 20 ms or more since it began, as did every call before.
func (w *Clock) Stop() bool { return w.stop(time.Now()) }

func (w *Clock) stop(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.over = true
		w.timer.Stop()
		w.note(now)
	}
	return w.late
}
