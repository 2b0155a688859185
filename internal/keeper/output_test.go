package keeper

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOutputWithoutEngine: what services write while no engine lives is there for the next, and nobody dies of it.
func TestOutputWithoutEngine(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	pid, log := e.spawn("web", 1, "exec 3<gate; cat <&3; echo after; exec sleep 1000")
	log.Close() // the engine's reader
	e.die()
	next := r.accept() // started, and asks for nothing yet
	if _, err := gate.WriteString("between engines\n"); err != nil {
		t.Fatal(err)
	}
	gate.Close()
	next.read()
	next.send(&Message{Kind: Hello, Version: Version})
	next.want(Hello, "")
	row := next.list()["web"]
	fd, err := unix.Dup(row.fds[0])
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "log")
	defer f.Close()
	if got := readUntil(t, f, "after\n"); got != "between engines\nafter\n" {
		t.Errorf("output %q", got)
	}
	if !alive(pid) {
		t.Error("the writer died")
	}
}

// TestLogPipeCannotBreak: the writer survives the death of everybody who could read.
func TestLogPipeCannotBreak(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	ack := filepath.Join(r.dir, "ack")
	_, log := e.spawn("web", 1, "exec 3<gate; read x <&3; echo one && echo two && echo >"+ack+"; exec sleep 1000")
	log.Close()
	e.send(&Message{Kind: Drop, Unit: "web", Name: LogPipe})
	e.settled()
	if _, err := gate.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	r.until("the writer to come through", func() bool { _, err := os.Stat(ack); return err == nil })
}
