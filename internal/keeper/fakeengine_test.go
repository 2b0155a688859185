package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An engine is the test in the place of an engine.
type engine struct {
	*rig
	conn    *Conn
	own     int // pid of the engine's process
	relay   int
	args    string
	inbox   chan received
	ops     map[string]uint64
	reading bool
	mute    chan struct{} // closed: no ping is answered any more
}

type received struct {
	m   *Message
	fds []int
}

// accept takes the connection of the next engine. Nothing is read from it yet.
func (r *rig) accept() *engine {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.relay), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		if n == 1 {
			break
		}
		if err != unix.EINTR {
			r.t.Fatalf("no engine was started: %v\n%s", err, r.log)
		}
	}
	s, _, err := unix.Accept4(r.relay, unix.SOCK_CLOEXEC)
	if err != nil {
		r.t.Fatal(err)
	}
	cred, err := unix.GetsockoptUcred(s, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		r.t.Fatal(err)
	}
	var buf [4096]byte
	var oob [64]byte
	n, oobn, _, _, err := unix.Recvmsg(s, buf[:], oob[:], unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		r.t.Fatal(err)
	}
	e := &engine{rig: r, conn: NewConn(rights(oob[:oobn])[0]), own: int(cred.Pid), relay: s, args: string(buf[:n]),
		inbox: make(chan received, 1<<16), ops: map[string]uint64{}, mute: make(chan struct{})}
	r.t.Cleanup(func() {
		e.conn.Hangup()
		unix.Close(s)
		if e.reading {
			for got := range e.inbox {
				CloseAll(got.fds)
			}
		}
		e.conn.Close()
	})
	return e
}

// engine takes the next engine and has it introduce itself.
func (r *rig) engine() *engine {
	r.t.Helper()
	e := r.accept()
	e.read()
	e.send(&Message{Kind: Hello, Version: Version})
	e.want(Hello, "")
	return e
}

// ready is engine, and says that it is ready.
func (r *rig) ready() *engine {
	r.t.Helper()
	e := r.engine()
	e.send(&Message{Kind: Ready})
	return e
}

// read pumps what the keeper says into the inbox and answers pings.
func (e *engine) read() {
	e.reading = true
	go func() {
		defer close(e.inbox)
		for {
			m, fds, err := e.conn.Receive()
			if err != nil {
				return
			}
			if m.Kind != Ping {
				e.inbox <- received{m, fds}
				continue
			}
			select {
			case <-e.mute:
			default:
				_ = e.conn.Send(&Message{Kind: Ping})
			}
		}
	}()
}

func (e *engine) send(m *Message, fds ...int) {
	e.t.Helper()
	if err := e.conn.Send(m, fds...); err != nil {
		e.t.Fatalf("send %s: %v\n%s", m.Kind, err, e.log)
	}
}

// next is the next thing the keeper says, beside pings.
func (e *engine) next() received {
	e.t.Helper()
	select {
	case r, ok := <-e.inbox:
		if !ok {
			e.t.Fatalf("the keeper has hung up\n%s", e.log)
		}
		return r
	case <-time.After(patience):
		e.t.Fatalf("the keeper says nothing\n%s", e.log)
	}
	return received{}
}

// want takes the next message, which must be of that kind and unit.
func (e *engine) want(k Kind, unit string) received {
	e.t.Helper()
	r := e.next()
	if r.m.Kind != k || r.m.Unit != unit {
		e.t.Fatalf("want %s of %q, got %s\n%s", k, unit, dump(r.m), e.log)
	}
	return r
}

func dump(m *Message) string {
	data, _ := json.Marshal(m)
	return string(data)
}

// order sends an order with the next number of the unit.
func (e *engine) order(m *Message, fds ...int) {
	e.t.Helper()
	e.ops[m.Unit]++
	m.Op = e.ops[m.Unit]
	e.send(m, fds...)
}

// shell is a Spawn of a shell script.
func (e *engine) shell(script string) *Spawn {
	return &Spawn{UID: os.Geteuid(), GID: os.Getegid(), Exec: &Exec{Path: "/bin/sh", Argv: []string{"sh", "-c", script},
		Env: []string{mark + "=" + e.dir, "PATH=/usr/local/bin:/usr/bin:/bin"}, Dir: e.dir}}
}

// spawn orders a script and returns its Spawned, of which the first descriptor is the log.
func (e *engine) spawn(unit string, gen uint64, script string) (pid int, log *os.File) {
	e.t.Helper()
	e.order(&Message{Kind: SpawnOrder, Unit: unit, Gen: gen, Spawn: e.shell(script)})
	r := e.want(Spawned, unit)
	if r.m.Gen != gen || r.m.Pid <= 0 || len(r.fds) != 1 || r.m.Names[0] != fmt.Sprintf("log/%d", gen) {
		e.t.Fatalf("spawned: %s with %d descriptors", dump(r.m), len(r.fds))
	}
	f := os.NewFile(uintptr(r.fds[0]), "log")
	e.t.Cleanup(func() { f.Close() })
	return r.m.Pid, f
}

// list asks for the table.
func (e *engine) list() map[string]received {
	e.t.Helper()
	e.send(&Message{Kind: List})
	rows := map[string]received{}
	for {
		r := e.next()
		switch r.m.Kind {
		case Row:
			rows[r.m.Unit] = r
			for _, fd := range r.fds {
				e.t.Cleanup(func() { unix.Close(fd) })
			}
		case Listed:
			return rows
		default:
			CloseAll(r.fds)
		}
	}
}

// settled returns when the keeper has executed all that was sent before.
func (e *engine) settled() {
	e.t.Helper()
	e.send(&Message{Kind: Fetch, Name: "no such name"})
	for {
		r := e.next()
		CloseAll(r.fds)
		if r.m.Kind == Held {
			return
		}
	}
}

// die kills the engine's process, as it is.
func (e *engine) die() {
	e.t.Helper()
	if err := unix.Kill(e.own, unix.SIGKILL); err != nil {
		e.t.Fatal(err)
	}
}
