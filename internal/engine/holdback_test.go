package engine

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// self is the sender of what tests say.
var self = os.Getpid()

// hearing is an engine whose loop is the test, with one instance that is ready, in generation 7, and may be sent to: its main process is
// the test.
func hearing(t *testing.T) (e *Engine, in *inst, socket *os.File, say func(string)) {
	t.Helper()
	e = engineOf(t, aService("web", func(s *spec.Service) { s.Ready.When = spec.ReadyNotify }))
	e.loop, e.requests = make(chan struct{}), make(chan func(), 64)
	t.Cleanup(func() { close(e.loop) })
	e.o.Now = func() (unit.Time, time.Time) { return e.now, e.wall }
	in = e.insts["web"]
	in.u = unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 7, Pid: self, Started: 9e11, WasReady: true, DepsMet: true}
	dir, err := os.MkdirTemp("", "stay") // short enough to be sent to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "web")
	socket, err = notify.Listen(path, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return e, in, socket, func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// goodEnd is the keeper's word that a launcher ended well and left something behind.
func goodEnd() *keeper.Message {
	return &keeper.Message{Kind: keeper.Exited, Unit: "web", Gen: 7, Pid: self, Exit: &keeper.Exit{At: 95e10}}
}

// TestLauncherEndsBeforeItIsHeard: a MAINPID that was sent before the launcher's end counts, however late it is read; here
// it stands behind another datagram that the loop has not come to when the time of the hand-over is up.
func TestLauncherEndsBeforeItIsHeard(t *testing.T) {
	e, in, socket, say := hearing(t)
	say("STATUS=shining")
	say("MAINPID=71")
	e.takeNotify(in, socket, -1)
	first := <-e.requests
	if err := e.fact(fact{m: goodEnd()}); err != nil || len(in.heldBack) != 1 {
		t.Fatalf("%v, held back: %d", err, len(in.heldBack))
	}
	e.releaseWhenHeard(in, 7)
	first()
	for in.moving == 0 {
		if in.u.Phase != unit.Ready {
			t.Fatalf("the end of the launcher was taken for that of the service: it is %s", in.u.Phase)
		}
		(<-e.requests)()
	}
	(<-e.requests)() // all was heard; but who the main process is, the keeper has to say
	if in.u.Phase != unit.Ready || in.u.Pid != self {
		t.Fatalf("%s with pid %d", in.u.Phase, in.u.Pid)
	}
	e.mainMoved(in, &keeper.Message{Gen: 7, Pid: 71})
	if in.u.Phase != unit.Ready || in.u.Pid != 71 || in.heldBack != nil {
		t.Errorf("%s with pid %d, held back: %d", in.u.Phase, in.u.Pid, len(in.heldBack))
	}
}

// TestLauncherEndsWithoutSuccessor: who names no other process, or one that is none of its own, has ended.
func TestLauncherEndsWithoutSuccessor(t *testing.T) {
	for name, says := range map[string]string{"silent": "", "says something else": "STATUS=bye", "names a stranger": "MAINPID=1", "hangs up": "close"} {
		e, in, socket, say := hearing(t)
		if says != "" && says != "close" {
			say(says)
		}
		e.takeNotify(in, socket, -1)
		if says == "close" {
			socket.Close()
		}
		if !e.holdBack(in, fact{m: goodEnd()}) {
			t.Fatalf("%s: not held back", name)
		}
		for in.heldBack != nil {
			(<-e.requests)()
			if in.moving != 0 {
				e.mainMoved(in, &keeper.Message{Gen: 7, Pid: in.moving, Missing: true})
			}
		}
		if in.u.Phase != unit.Stopping || in.u.Pid != 0 {
			t.Errorf("%s: %s with pid %d", name, in.u.Phase, in.u.Pid)
		}
	}
}

// TestLastNamedMainCounts: the word on a process that was named before another one was does not decide.
func TestLastNamedMainCounts(t *testing.T) {
	e, in, socket, say := hearing(t)
	say("MAINPID=71")
	say("MAINPID=72")
	e.takeNotify(in, socket, -1)
	in.heldBack = []fact{{m: goodEnd()}}
	(<-e.requests)()
	(<-e.requests)()
	e.mainMoved(in, &keeper.Message{Gen: 7, Pid: 71, Missing: true})
	if in.u.Phase != unit.Ready || len(in.heldBack) != 1 {
		t.Fatalf("%s, held back: %d", in.u.Phase, len(in.heldBack))
	}
	e.mainMoved(in, &keeper.Message{Gen: 7, Pid: 72})
	if in.u.Phase != unit.Ready || in.u.Pid != 72 || in.heldBack != nil {
		t.Errorf("%s with pid %d, held back: %d", in.u.Phase, in.u.Pid, len(in.heldBack))
	}
}

// TestLauncherEndedWhileNobodyWasThere: an end that the last engine heard and did not judge is held back by the next one
// too, with what is in the notify socket.
func TestLauncherEndedWhileNobodyWasThere(t *testing.T) {
	e, in, socket, say := hearing(t)
	say("STATUS=shining")
	say("MAINPID=71")
	fd, err := dupOf(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	row := aRow(e, in.u, keeper.Message{State: keeper.Ended, Pid: self, Exit: &keeper.Exit{At: 95e10}, Names: []string{keeper.FileName("notify", 0)}})
	row.fds = []int{fd}
	rows := map[string]*rowIn{"web": row}
	e.restore(rows)
	e.initGraph()
	e.reconcile(rows)
	t.Cleanup(func() { in.notify.Close() })
	first := <-e.requests
	e.releaseWhenHeard(in, 7) // as if recovery had taken longer than the hand-over
	first()
	for in.moving == 0 && in.u.Phase == unit.Ready {
		(<-e.requests)()
	}
	if in.moving != 71 || in.u.Phase != unit.Ready {
		t.Errorf("%s, main process to be %d", in.u.Phase, in.moving)
	}
}

// TestLastWords: what a service says right before it ends counts, however it ends.
func TestLastWords(t *testing.T) {
	for _, empty := range []bool{true, false} {
		for _, phase := range []unit.Phase{unit.Starting, unit.Ready, unit.Stopping, unit.Killing} {
			e, in, socket, say := hearing(t)
			in.u.Phase = phase
			say("ERRNO=5")
			say("STATUS=the disk is gone")
			e.takeNotify(in, socket, -1)
			end := goodEnd()
			end.Exit.Status, end.Empty = 1<<8, empty
			if err := e.fact(fact{m: end}); err != nil || in.u.Pid != self {
				t.Fatalf("%v, pid %d", err, in.u.Pid)
			}
			var status, errno string
			for in.u.Pid == self {
				status, errno = in.status, in.errno
				(<-e.requests)()
			}
			if status != "the disk is gone" || errno != "EIO" {
				t.Errorf("%s, empty %v: before its end it had said %q, %q", phase, empty, status, errno)
			}
		}
	}
}
