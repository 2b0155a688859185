package keeper

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func (r *rig) kill(sig unix.Signal) {
	r.t.Helper()
	if err := unix.Kill(r.pid(), sig); err != nil {
		r.t.Fatal(err)
	}
}

// patient has the keeper wait for an engine's answer for as long as the test may take.
func patient() config { return config{Limits: Limits{Ask: 10 * time.Second}} }

// TestHangupIsAskedUntilActed: HUP is told to each engine until one has acted, then to none.
func TestHangupIsAskedUntilActed(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	for range 3 {
		r.kill(unix.SIGHUP)
		if m := e.want(Asked, "").m; unix.Signal(m.Signal) != unix.SIGHUP {
			t.Errorf("asked: %s", dump(m))
		}
		e.die()
		e = r.engine()
		e.send(&Message{Kind: List})
		for e.next().m.Kind != Listed {
		}
		e.want(Asked, "")
		e.send(&Message{Kind: Ready})
		e.send(&Message{Kind: Acted})
		e.settled()
		e.die()
		e = r.ready()
		e.send(&Message{Kind: List})
		e.want(Listed, "")
		e.settled() // and nothing is asked
	}
}

// TestTermIsAskedOfEachEngine: who acted on it may have died over it.
func TestTermIsAskedOfEachEngine(t *testing.T) {
	r := start(t, patient())
	e := r.ready()
	r.kill(unix.SIGTERM)
	for range 3 {
		if m := e.want(Asked, "").m; unix.Signal(m.Signal) != unix.SIGTERM {
			t.Errorf("asked: %s", dump(m))
		}
		e.send(&Message{Kind: Acted})
		e.settled()
		r.kill(unix.SIGHUP) // changes nothing any more
		r.kill(unix.SIGTERM)
		e.settled()
		e.die()
		e = r.ready()
	}
	e.send(&Message{Kind: Shutdown})
	<-r.ended
}

// TestAskedState is what of it can be told without processes.
func TestAskedState(t *testing.T) {
	k := &Keeper{o: Options{Log: discard}}
	k.signal(syscall.SIGHUP)
	k.asked.told, k.asked.open = true, 1
	k.signal(syscall.SIGTERM) // before HUP was answered
	if a := k.asked; a.signal != int(unix.SIGTERM) || a.told {
		t.Errorf("%+v", a)
	}
	k.asked.told = true
	k.asked.open++
	k.acted() // for HUP
	if k.asked.answered {
		t.Error("the answer to HUP counts for TERM")
	}
	k.acted()
	if !k.asked.answered {
		t.Error("the answer to TERM does not count")
	}
	k.acted() // more than were asked
	begin := k.asked.at
	k.signal(syscall.SIGTERM)
	if k.asked.at != begin || !k.asked.answered {
		t.Error("a second TERM begins anew")
	}
	k.asked.tellAgain()
	if a := k.asked; a.answered || a.told || a.open != 0 || a.at < begin {
		t.Errorf("for the next engine: %+v", a)
	}
}

// TestTermWithoutEngine: no engine answers, so the keeper itself sends TERM, and KILL to whom that does not end.
func TestTermWithoutEngine(t *testing.T) {
	for _, test := range []struct {
		name   string
		script string
		engine func(*engine)
	}{
		{"obedient", "exec sleep 1000", func(*engine) {}},
		{"deaf", "trap '' TERM INT; echo up; while :; do sleep 1000; done", func(*engine) {}},
		{"stopped engine", "exec sleep 1000", func(e *engine) { _ = unix.Kill(e.own, unix.SIGSTOP) }},
		{"stopped service", "kill -STOP $$", func(*engine) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config{})
			e := r.ready()
			pid, log := e.spawn("web", 1, test.script)
			if test.name == "deaf" {
				readUntil(t, log, "up\n")
			}
			test.engine(e)
			begin := time.Now()
			r.kill(unix.SIGTERM)
			<-r.ended
			took := time.Since(begin)
			if alive(pid) || alive(e.own) {
				t.Error("something is left")
			}
			if code := r.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if least := r.c.Limits.Ask; took < least || test.name == "deaf" && took < 2*least {
				t.Errorf("it took only %v", took)
			}
			r.logged("no engine answered")
		})
	}
}

// TestNothingStartsWhileLeaving: what is still in the queue is not made any more.
func TestNothingStartsWhileLeaving(t *testing.T) {
	k := testKeeper(t)
	k.leaving = true
	k.spawn(k.row("web"), &Message{Gen: 1, Spawn: &Spawn{Exec: &Exec{Path: "/bin/true"}}}, nil)
	k.fork = func(string, []string, *syscall.ProcAttr) (int, error) { t.Error("it is made"); return 0, unix.EAGAIN }
	k.makeOne()
	if r := k.row("web"); r.state != NotBorn || unix.Errno(r.fail.Errno) != unix.ECANCELED {
		t.Errorf("%+v", r)
	}
	k.receive(incoming{epoch: k.engine.epoch, retry: true})
	if k.engine.conn != nil {
		t.Error("an engine is started")
	}
}
