package integration

import (
	"strings"
	"testing"

	"example.com/stay/api"
)

// This file: which ends lead to what.

func TestRestartPolicy(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, command, more string
		state               api.State
		why                 string
	}{
		{"never-bad", "sh -c 'exit 3'", `restart = { when = "never" }`, api.Failed, `exit code 3( after .*)?`},
		{"never-good", "true", `restart = { when = "never" }`, api.Done, `exit code 0( after .*)?`},
		{"never-killed", "sh -c 'kill -9 $$'", `restart = { when = "never" }`, api.Failed, `killed by signal KILL( after .*)?`},
		{"onfailure-good", "true", `restart = { when = "on-failure" }`, api.Done, `exit code 0( after .*)?`},
		{"onfailure-bad", "sh -c 'exit 3'", `restart = { when = "on-failure" }`, api.Waiting, `exit code 3( after .*)?, retry in .*`},
		{"success-code", "sh -c 'exit 3'", "restart = { when = \"on-failure\" }\nsuccess = [0, 3]", api.Done, `exit code 3( after .*)?`},
		{"success-signal", "sh -c 'kill -USR1 $$'", "restart = { when = \"on-failure\" }\nsuccess = [\"USR1\"]", api.Done, `killed by signal USR1( after .*)?`},
		{"gives-up", "sh -c 'exit 4'", `restart = { step = "1ms", give_up = 3 }`, api.Failed, `exit code 4( after .*)?, given up after 3 deaths`},
		{"cannot-start", "no-such-program", `restart = { when = "never" }`, api.Failed, `program "no-such-program" not found in its PATH`},
	}
	config := ""
	for _, c := range cases {
		config += "[service." + c.name + "]\ncommand = \"" + c.command + "\"\n" + c.more + "\n"
	}
	d := start(t, config)
	for _, c := range cases {
		if i := d.why(c.name, c.why); i.State != c.state || i.Pid != 0 {
			t.Errorf("%s is %+v, want %s", c.name, i, c.state)
		}
	}
	before := d.status("")
	d.killEngine()
	for n, now := range d.status("") {
		if was := before[n]; was.State != api.Waiting && (now.State != was.State || now.Why != was.Why || now.Generation != was.Generation) {
			t.Errorf("%s was %+v, for the next engine it is %+v", now.Name, was, now)
		}
	}
	if i := d.one("gives-up"); i.Generation != 3 {
		t.Errorf("given up after %d generations, want 3", i.Generation)
	}
	d.do(api.Reset, "gives-up")
	i := d.until("gives-up", "given up again", func(i api.Instance) bool { return i.Generation == 6 && i.State == api.Failed })
	if i.Restarts != 2 {
		t.Errorf("two restarts after the reset, and it counts %d", i.Restarts)
	}
	d.do(api.Start, "never-good") // its good end is a good start
}

// TestResetHurries: reset ends a long wait.
func TestResetHurries(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.web]
command = "sh -c 'test -e there && exec sleep 1000'"
restart = { delay = "60s", max_delay = "60s" }
`)
	d.why("web", `exit code 1( after .*)?, retry in .*`)
	file(t, d.dir+"/there", "", 0o644)
	d.do(api.Reset, "web")
	if i := d.running("web", 1); i.Restarts > 1 {
		t.Errorf("after reset: %+v", i)
	}
}

// TestFailureShowsOutput: a start that fails says what the service said last.
func TestFailureShowsOutput(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sh -c 'echo first; echo I cannot open my file >&2; exit 5'\"\nenabled = false\nready = \"after:1s\"\nrestart = { when = \"never\" }\n")
	r, err := d.try(api.Command{Verb: api.Start, Target: "web"})
	if err != nil || len(r.Failures) != 1 {
		t.Fatalf("start: %v, %+v", err, r)
	}
	f := r.Failures[0]
	if !strings.HasPrefix(f.Message, "exit code 5") || strings.Join(f.Log, "|") != "first|I cannot open my file" {
		t.Errorf("the failure is %+v", f)
	}
}
