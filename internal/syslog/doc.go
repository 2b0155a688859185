// Package syslog says lines to the system's log: messages of RFC 5424 on a local socket, usually /dev/log, as a datagram each,
// or one to a line where the socket is a stream.
//
// What it promises: messages arrive in the order of Send, none is kept back and none is in memory but the one that is being
// sent. While nobody listens, Send waits and tries again; who must not wait calls it from a goroutine of its own.
package syslog
