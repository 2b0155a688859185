package keeper

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoFile: descriptors run out, in the keeper itself. Services fail, by name; the daemon's own business goes on.
func TestNoFile(t *testing.T) {
	r := start(t, config{NoFile: 160}) // stayd's own file is above 100
	e := r.ready()
	var failure *Failure
	spawned := 0
	for i := 0; failure == nil; i++ {
		e.order(&Message{Kind: SpawnOrder, Unit: fmt.Sprint("u", i), Gen: 1, Spawn: e.shell("exec sleep 1000")})
		switch got := e.next(); got.m.Kind {
		case Spawned:
			CloseAll(got.fds)
			spawned++
		case SpawnFailed:
			failure = got.m.Failure
		default:
			t.Fatalf("got %s", dump(got.m))
		}
	}
	if failure.Stage != "log pipe" || unix.Errno(failure.Errno) != unix.EMFILE || spawned < 50 {
		t.Errorf("after %d services: %+v", spawned, failure)
	}
	fd, _ := Memfd("test", []byte("x"))
	defer unix.Close(fd)
	e.send(&Message{Kind: Hold, Name: "kept"}, fd)
	e.die()
	e = r.ready() // an engine can still be started
	if rows := e.list(); len(rows) != spawned+1 || len(rows["u0"].fds) != 1 {
		t.Errorf("%d rows of %d", len(rows), spawned+1)
	}
	e.send(&Message{Kind: Fetch, Name: "kept"})
	if got := e.want(Held, ""); got.m.Missing {
		t.Error("nothing could be held")
	}
	e.send(&Message{Kind: KillTree, Unit: "u0", Gen: 1, Op: 9})
	e.want(Exited, "u0")
	e.send(&Message{Kind: Drop, Unit: "u0", Name: LogPipe})
	e.send(&Message{Kind: SpawnOrder, Unit: "u0", Gen: 2, Op: 10, Spawn: e.shell("exit 0")})
	e.want(Spawned, "u0")
	e.want(Exited, "u0")
}

// TestNProc: the kernel refuses processes. Root is never refused, so it is another user's keeper.
func TestNProc(t *testing.T) {
	needsRoot(t, "a keeper of a user who has no other processes")
	const uid = 64917
	r := start(t, config{UID: uid, NProc: 60})
	e := r.ready()
	shell := func(script string) *Spawn {
		s := e.shell(script)
		s.UID, s.GID = uid, os.Getegid()
		return s
	}
	var failure *Failure
	spawned := 0
	for i := 0; failure == nil && i < 100; i++ {
		e.order(&Message{Kind: SpawnOrder, Unit: fmt.Sprint("u", i), Gen: 1, Spawn: shell("exec sleep 1000")})
		got := e.next()
		CloseAll(got.fds)
		if got.m.Kind == Spawned {
			spawned++
		}
		failure = got.m.Failure
	}
	if failure == nil || failure.Stage != "fork" || unix.Errno(failure.Errno) != unix.EAGAIN || spawned == 0 {
		t.Fatalf("after %d services: %+v", spawned, failure)
	}
	e.die() // its place is free, and the next engine's threads are short of some: it is the keeper that must not die of it
	r.until("an engine or a try of one", func() bool { return strings.Count(r.log.String(), "engine ended") > 0 })
	for i := range 40 { // make room
		if i < spawned {
			_ = unix.Kill(r.childNamed("sleep"), unix.SIGKILL)
		}
	}
	e = r.ready()
	if rows := e.list(); len(rows) != spawned+1 {
		t.Errorf("%d rows of %d", len(rows), spawned+1)
	}
}

// childNamed is a live child of the keeper that runs a program.
func (r *rig) childNamed(comm string) int {
	for _, pid := range r.marked() {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(data)) == comm {
			return pid
		}
	}
	r.t.Fatalf("no %s is left", comm)
	return 0
}
