// Package notify is the receiving side of sd_notify(3): datagrams on a unix socket by which a service says that it is
// ready, what it does, and that it ends.
//
// Listen makes a socket, Receive reads it until it is closed, Parse understands one datagram. Whoever called Listen owns
// the socket and its file: closing does not remove the file. One goroutine reads one socket; while nothing arrives it
// is parked in the runtime's poller and holds no buffer.
//
// Senders are untrusted. A datagram is 4,096 bytes at most, what is longer is dropped whole; text that is shown to people
// has no control characters; descriptors that come along are closed unseen; a sender that floods its socket is made to
// wait, at 1,000 messages a second, and slows down nobody but itself. Who sent a message is told by the kernel
// (SCM_CREDENTIALS), and it is the caller who judges whether that sender may say so.
package notify

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxStatus is how much of a STATUS= text is kept, in bytes.
const maxStatus = 256

// A Message is one datagram. A field that it did not name, or named with a value that means nothing, is zero.
type Message struct {
	Pid       int    // of the sender in our pid namespace; 0: unknown
	UID       int    // of the sender; −1: unknown
	Ready     bool   // READY=1: the start is complete, or the reload
	Reloading bool   // RELOADING=1: a reload began; READY=1 follows
	Stopping  bool   // STOPPING=1: it ends by itself
	Status    string // STATUS=: one line of valid UTF-8 for people, 256 bytes at most
	HasStatus bool   // STATUS= was named; with an empty Status it takes back the text before
	MainPID   int    // MAINPID=: another process is the main one now; 0: not named
}

// Parse returns what a datagram says: lines of NAME=VALUE. Unknown names are ignored, and so are values that mean nothing,
// such as READY=0; of a name that comes twice the last value that means something counts. The sender is left unknown.
func Parse(data []byte) Message {
	m := Message{UID: -1}
	text := strings.TrimSuffix(string(data), "\x00") // senders in C may count the end of their string
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
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
			if pid, err := strconv.ParseUint(value, 10, 31); err == nil {
				m.MainPID = int(pid)
			}
		}
	}
	return m
}

// saysNothing tells a message without any field that is known here, such as BARRIER=1.
func (m Message) saysNothing() bool { return m == Message{Pid: m.Pid, UID: m.UID} }

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
