// Package notify is the receiving side of sd_notify(3): datagrams on a unix socket by which a service says that it is
// ready, that it lives, what it does, that it ends, and hands over descriptors to be kept.
//
// Listen makes a socket, a Receiver reads it until it is closed, Parse understands one datagram. Whoever called Listen owns
// the socket and its file: closing does not remove the file. One goroutine reads one socket; while nothing arrives it
// is parked in the runtime's poller and holds no buffer.
//
// Senders are untrusted. A datagram is 4,096 bytes at most, what is longer is dropped whole; text that is shown to people
// has no control characters; descriptors that nobody asked for are closed unseen; a sender that floods its socket is made
// to wait, at 1,000 messages a second, and slows down nobody but itself. Who sent a message is told by the kernel
// (SCM_CREDENTIALS), and it is the caller who judges whether that sender may say so.
package notify

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxStatus is how much of a STATUS= text is kept, in bytes.
const maxStatus = 256

// maxName is how long the name of a stored descriptor may be, in bytes: sd_pid_notify_with_fds(3).
const maxName = 255

// maxErrno is the highest errno of the kernel (MAX_ERRNO).
const maxErrno = 4095

// A Message is one datagram. A field that it did not name, or named with a value that means nothing, is zero.
type Message struct {
	Pid       int    // of the sender in our pid namespace; 0: unknown
	UID       int    // of the sender; −1: unknown
	Ready     bool   // READY=1: the start is complete, or the reload
	Reloading bool   // RELOADING=1: a reload began; READY=1 follows
	Stopping  bool   // STOPPING=1: it ends by itself
	Status    string // STATUS=: one line of valid UTF-8 for people, 256 bytes at most
	HasStatus bool   // STATUS= was named; with an empty Status it takes back the text before
	MainPID   int    // MAINPID=, or what MAINPIDFD=1 stands for: another process is the main one now; 0: not named

	Beat         bool          // WATCHDOG=1
	Trigger      bool          // WATCHDOG=trigger: act as if a beat were late
	Watchdog     time.Duration // WATCHDOG_USEC=: the longest silence from now on; 0: not named
	Extend       time.Duration // EXTEND_TIMEOUT_USEC=: from now, it needs so long for what it is about; 0: not named
	Monotonic    time.Duration // MONOTONIC_USEC=: of CLOCK_MONOTONIC, when it sent this; 0: not named
	Errno        int           // ERRNO=: why it fails, 1…4095; 0: not named
	RestartReset bool          // RESTART_RESET=1: deaths so far are forgotten

	Store  bool   // FDSTORE=1: the descriptors are to be kept
	Remove bool   // FDSTOREREMOVE=1: those of Name are not to be kept any longer
	Name   string // FDNAME=: 1 to 255 printable ASCII characters without a colon; "": none, or none that is valid
	NoPoll bool   // FDPOLL=0: they are kept even when the other end has hung up

	Lost bool // descriptors that belong to it did not all get here: this process has no room for more

	mainFD bool   // MAINPIDFD=1: the first descriptor is a pidfd of the main process
	mainID uint64 // MAINPIDFDID=: inode of a pidfd of MainPID
}

// Parse returns what a datagram says: lines of NAME=VALUE. Unknown names are ignored, and so are values that mean nothing,
// such as READY=0; of a name that comes twice the last value that means something counts. The sender is left unknown.
//
// BARRIER=1 stands alone in its message, and asks for nothing but that its descriptor be closed in its turn: a message
// with it says nothing, whatever else it names.
func Parse(data []byte) Message {
	m := Message{UID: -1}
	text := strings.TrimSuffix(string(data), "\x00") // senders in C may count the end of their string
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if name == "BARRIER" && value == "1" {
			return Message{UID: -1}
		}
		m.field(name, value)
	}
	return m
}

// field takes one line.
func (m *Message) field(name, value string) {
	switch name {
	case "READY":
		m.Ready = m.Ready || value == "1"
	case "RELOADING":
		m.Reloading = m.Reloading || value == "1"
	case "STOPPING":
		m.Stopping = m.Stopping || value == "1"
	case "STATUS":
		m.Status, m.HasStatus = printable(value), true
	case "MAINPID":
		set(&m.MainPID, value, math.MaxInt32)
	case "MAINPIDFD":
		m.mainFD = m.mainFD || value == "1"
	case "MAINPIDFDID":
		set(&m.mainID, value, math.MaxInt64)
	case "WATCHDOG":
		m.Beat = m.Beat || value == "1"
		m.Trigger = m.Trigger || value == "trigger"
	case "WATCHDOG_USEC":
		m.Watchdog = span(m.Watchdog, value)
	case "EXTEND_TIMEOUT_USEC":
		m.Extend = span(m.Extend, value)
	case "MONOTONIC_USEC":
		m.Monotonic = span(m.Monotonic, value)
	case "ERRNO":
		set(&m.Errno, value, maxErrno)
	case "RESTART_RESET":
		m.RestartReset = m.RestartReset || value == "1"
	case "FDSTORE":
		m.Store = m.Store || value == "1"
	case "FDSTOREREMOVE":
		m.Remove = m.Remove || value == "1"
	case "FDNAME":
		if validName(value) {
			m.Name = value
		}
	case "FDPOLL":
		m.NoPoll = m.NoPoll || value == "0"
	}
}

// set takes a decimal number from 1 to most; any other value means nothing.
func set[T int | uint64](to *T, value string, most uint64) {
	if n, err := strconv.ParseUint(value, 10, 64); err == nil && n > 0 && n <= most {
		*to = T(n)
	}
}

// span takes a number of microseconds, from 1 to what a Duration holds; any other value leaves what there was.
func span(was time.Duration, value string) time.Duration {
	var usec uint64
	if set(&usec, value, math.MaxInt64/uint64(time.Microsecond)); usec == 0 {
		return was
	}
	return time.Duration(usec) * time.Microsecond
}

// validName says whether a stored descriptor may have that name: it becomes part of $LISTEN_FDNAMES, with colons between.
func validName(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// saysNothing tells a message without any field that is known here, such as BARRIER=1.
func (m Message) saysNothing() bool {
	return m == Message{Pid: m.Pid, UID: m.UID, Name: m.Name, NoPoll: m.NoPoll, Monotonic: m.Monotonic, mainID: m.mainID, Lost: m.Lost}
}

// wantsFiles says whether descriptors that come along mean anything.
func (m Message) wantsFiles() bool { return m.Store || m.mainFD }

// printable makes one line of text that no terminal obeys: white space becomes a space; whatever else cannot be printed
// (escapes, direction marks, invalid UTF-8) becomes U+FFFD. What is over maxStatus is cut between two characters.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > maxStatus {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
