package engine

import (
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

func TestEndPhrase(t *testing.T) {
	for _, c := range []struct {
		end  unit.End
		want string
	}{
		{unit.End{}, "never started"},
		{unit.End{Reason: unit.ExitCode, Gen: 1, Code: 3, Uptime: int64(2 * time.Second)}, "exit code 3 after 2s"},
		{unit.End{Reason: unit.ExitCode, Gen: 1}, "exit code 0"},
		{unit.End{Reason: unit.Signalled, Gen: 1, Signal: 9, Uptime: int64(90 * time.Minute)}, "killed by signal KILL after 1h30m"},
		{unit.End{Reason: unit.Signalled, Gen: 1, Signal: 11, Core: true}, "killed by signal SEGV (core dumped)"},
		{unit.End{Reason: unit.Signalled, Gen: 1, Signal: 63}, "killed by signal 63"},
		{unit.End{Reason: unit.KeeperDeath, Gen: 1, Uptime: int64(time.Second)}, "ended while its keeper was dead: how is not known"},
		{unit.End{Reason: unit.StartTimeout, Gen: 1, Signal: 15}, "not ready in time"},
		{unit.End{Reason: unit.SpawnError, Gen: 1, Stage: "chdir", Errno: int(syscall.ENOENT), Text: "/no/such"}, `chdir "/no/such": no such file or directory`},
	} {
		if got := endPhrase(c.end); got != c.want {
			t.Errorf("%+v: %q, want %q", c.end, got, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		1234 * time.Microsecond:               "1.2ms",
		123456 * time.Microsecond:             "123ms",
		5678 * time.Millisecond:               "5.7s",
		3*time.Minute + 20*time.Second:        "3m20s",
		2 * time.Hour:                         "2h",
		3 * time.Minute:                       "3m",
		26*time.Hour + 90*time.Second:         "26h1m30s",
		59*time.Second + 999*time.Millisecond: "1m",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestReached is when a command has done its work, and when it never will.
func TestReached(t *testing.T) {
	bad := unit.End{Reason: unit.ExitCode, Code: 1, Gen: 5}
	good := unit.End{Reason: unit.ExitCode, Gen: 5}
	for _, c := range []struct {
		name string
		verb api.Verb
		goal string
		u    unit.Unit
		want bool
		fail string
	}{
		{"started", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 5}, true, ""},
		{"ready, but the old generation", api.Restart, "", unit.Unit{Want: unit.Up, Phase: unit.Ready, Gen: 4}, false, ""},
		{"on its way", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Starting, Gen: 5}, false, ""},
		{"waits for another", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Blocked, Gen: 4}, false, ""},
		{"died at once", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Backoff, Gen: 5, Last: bad}, false, "exit code 1"},
		{"given up", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Failed, Gen: 5, Last: bad}, false, "exit code 1"},
		{"done, and well", api.Start, "", unit.Unit{Want: unit.Up, Phase: unit.Idle, Gen: 5, Last: good}, true, ""},
		{"stopped by somebody else", api.Start, "", unit.Unit{Phase: unit.Idle, Gen: 5}, false, "it was stopped meanwhile"},
		{"stopped", api.Stop, "", unit.Unit{Phase: unit.Idle, Gen: 4}, true, ""},
		{"stopping", api.Stop, "", unit.Unit{Phase: unit.Killing, Gen: 4}, false, ""},
		{"wait for stopped, and it failed", api.Wait, "stopped", unit.Unit{Want: unit.Up, Phase: unit.Failed, Gen: 4, Last: bad}, true, ""},
		{"wait for stopped, between two lives", api.Wait, "stopped", unit.Unit{Want: unit.Up, Phase: unit.Backoff, Gen: 4}, false, ""},
	} {
		in := &inst{u: c.u, svc: &service{spec: &spec.Service{Success: []spec.Success{{}}}}}
		w := &wait{verb: c.verb, target: c.goal, from: map[*inst]uint64{in: 4}}
		there, failed := reached(w, in)
		if there != c.want || failed != c.fail {
			t.Errorf("%s: %v %q, want %v %q", c.name, there, failed, c.want, c.fail)
		}
	}
}
