package syslog

import (
	"strconv"
	"time"
)

// A Severity is one of RFC 5424, 6.2.1.
type Severity int

// The severities that are used.
const (
	Error   Severity = 3
	Warning Severity = 4
	Info    Severity = 6
)

// daemon is the facility of system daemons (RFC 5424, 6.2.1).
const daemon = 3

// A Message is one line.
type Message struct {
	Time     time.Time // zero: not known
	Severity Severity
	App      string // who says it: 48 printable ASCII characters at most, others become "?"
	Pid      int    // 0: not known
	Text     string
}

// stamp is a time of RFC 5424, 6.2.3: RFC 3339 with microseconds at most.
const stamp = "2006-01-02T15:04:05.000000Z07:00"

// maxApp is the longest name of an application (RFC 5424, 6).
const maxApp = 48

// maxText is what is sent of a line, in bytes: more than any daemon takes by default, and less than a socket does.
const maxText = 64 << 10

// append appends the message; host is of RFC 5424, 6.2.4. Line ends in the text would make two messages of one where the
// socket is a stream, so they become spaces.
func (m *Message) append(b []byte, host string) []byte {
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(daemon*8+m.Severity), 10)
	b = append(b, ">1 "...)
	if m.Time.IsZero() {
		b = append(b, '-')
	} else {
		b = m.Time.AppendFormat(b, stamp)
	}
	b = append(b, ' ')
	b = appendName(b, host, 255)
	b = append(b, ' ')
	b = appendName(b, m.App, maxApp)
	b = append(b, ' ')
	if m.Pid > 0 {
		b = strconv.AppendInt(b, int64(m.Pid), 10)
	} else {
		b = append(b, '-')
	}
	b = append(b, " - - "...) // no message ID, no structured data
	for _, c := range []byte(m.Text[:min(len(m.Text), maxText)]) {
		if c == '\n' || c == 0 {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// appendName appends a header field: printable ASCII without spaces, "-" if it is empty.
func appendName(b []byte, name string, most int) []byte {
	if name == "" {
		return append(b, '-')
	}
	for _, c := range []byte(name[:min(len(name), most)]) {
		if c <= ' ' || c >= 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}
