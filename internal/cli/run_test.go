package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

func TestRunDetached(t *testing.T) {
	t.Setenv("PATH", "/bin:/usr/bin")
	e := three()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	code, out, errOut := run(t, "--socket", serve(t, e), "run", "-d", "--name", "job", "--user", "me", "--restart", "never", "--ready", "after:1s",
		"--start-timeout", "5s", "--pulse", "30s", "--no-wait", "--", "sleep", "-x", "1")
	want := fmt.Sprintf("run %+v", api.Run{Name: "job", Command: []string{"sleep", "-x", "1"}, Directory: dir, User: "me", Restart: "never",
		Ready: "after:1s", StartTimeout: "5s", Pulse: "30s", Env: []string{"PATH=/bin:/usr/bin"}, NoWait: true})
	if code != 0 || out != "job: running\n" || errOut != "" || !slices.Equal(e.questions(), []string{want}) {
		t.Errorf("%d %q %q, asked %q; want %q", code, out, errOut, e.questions(), want)
	}
}

func TestRunDetachedFails(t *testing.T) {
	e := newEngine()
	e.run = func(context.Context, api.Run) (api.Result, error) {
		return api.Result{Instances: []api.Instance{instance("false", api.Waiting, 0)},
			Failures: []api.Failure{{Name: "false", Message: "exit code 1 after 2ms"}}}, nil
	}
	socket := serve(t, e)
	code, out, err := run(t, "--socket", socket, "run", "-d", "false")
	if code != 1 || out != "" || err != "stay: start \"false\": exit code 1 after 2ms\n  stay why false\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	e.run = func(context.Context, api.Run) (api.Result, error) {
		return api.Result{}, &api.Error{Code: "conflict", Message: "a service named \"false\" is there already", Hint: "choose another with --name"}
	}
	for _, args := range [][]string{{"run", "-d", "false"}, {"run", "false"}} {
		code, _, err = run(t, append([]string{"--socket", socket}, args...)...)
		if code != 1 || err != "stay: a service named \"false\" is there already\n  choose another with --name\n" {
			t.Errorf("%q: %d %q", args, code, err)
		}
	}
}

func TestRunNoProgram(t *testing.T) {
	e := newEngine()
	socket := serve(t, e)
	for _, program := range []string{"there-is-no-such-program", "/there/is/none", "./none"} {
		code, _, err := run(t, "--socket", socket, "run", "--", program)
		want := fmt.Sprintf("stay: run %q: there is no such program\n  give its whole path, or add its directory to PATH\n", program)
		if code != 1 || err != want || len(e.questions()) > 0 {
			t.Errorf("%s: %d %q, asked %q", program, code, err, e.questions())
		}
	}
}

// TestRunShows: what the service does is shown, until it ends by itself; then its record goes.
func TestRunShows(t *testing.T) {
	for _, c := range []struct {
		to   api.State
		why  string
		code int
		err  string
	}{
		{api.Done, "exit code 0 after 3s", 0, ""},
		{api.Failed, "exit code 4 after 3s", 1, "stay: run \"sleep\": exit code 4 after 3s\n  stay run --restart always tries again\n"},
		{api.Stopped, "as asked", 0, ""},
	} {
		e := three()
		e.set("db", api.Done, "another one that ended before")
		s := begin("--socket", serve(t, e), "run", "--restart", "never", "sleep", "1")
		s.out.await(t, "sleep • running\n", 1)
		e.write("db", "of somebody else")
		e.write("sleep", "hello")
		s.out.await(t, "sleep │ hello\n", 1)
		e.set("web", api.Failed, "somebody else")
		e.set("sleep", api.Waiting, "for a moment")
		e.set("sleep", api.Running, "")
		s.out.await(t, "sleep • running\n", 2)
		e.set("sleep", c.to, c.why)
		code, out, err := s.end(t)
		if code != c.code || err != c.err || strings.Contains(out, "else") || !strings.HasSuffix(out, fmt.Sprintf("sleep • %s, %s\n", c.to, c.why)) {
			t.Errorf("%s: %d %q %q", c.to, code, out, err)
		}
		asked := e.questions()
		if asked[len(asked)-1] != "stop sleep" {
			t.Errorf("%s: asked %q", c.to, asked)
		}
	}
}

func TestRunInterrupted(t *testing.T) {
	e := three()
	s := begin("--socket", serve(t, e), "run", "sleep", "1")
	s.out.await(t, "sleep • running\n", 1)
	s.press(t, os.Interrupt)
	code, _, err := s.end(t)
	if code != 0 || err != "stay: stopping \"sleep\"; Ctrl-C again kills it\n" {
		t.Errorf("%d %q", code, err)
	}
	if asked := e.questions(); !slices.Contains(asked, "stop sleep") || slices.Contains(asked, "shutdown false") {
		t.Errorf("asked %q", asked)
	}
}

func TestRunInterruptedTwice(t *testing.T) {
	e := three()
	killed := make(chan struct{})
	e.do = func(ctx context.Context, c api.Command) (api.Result, error) {
		switch c.Verb {
		case api.Signal:
			close(killed)
		default:
			select {
			case <-killed:
			case <-ctx.Done():
			}
		}
		return api.Result{}, ctx.Err()
	}
	s := begin("--socket", serve(t, e), "run", "sleep", "1")
	s.out.await(t, "sleep • running\n", 1)
	s.press(t, os.Interrupt)
	s.err.await(t, "stopping \"sleep\"", 1)
	s.press(t, os.Interrupt)
	if code, _, err := s.end(t); code != 0 || !strings.Contains(err, "stay: killing \"sleep\"\n") || !slices.Contains(e.questions(), "signal sleep KILL") {
		t.Errorf("%d %q, asked %q", code, err, e.questions())
	}
}

func TestRunLeft(t *testing.T) {
	e := three()
	s := begin("--socket", serve(t, e), "run", "sleep", "1")
	s.out.await(t, "sleep • running\n", 1)
	s.press(t, syscall.SIGHUP)
	code, _, err := s.end(t)
	want := "stay: \"sleep\" goes on: stay logs -f sleep shows it, stay stop sleep stops it\n"
	if code != 0 || err != want || slices.Contains(e.questions(), "stop sleep") {
		t.Errorf("%d %q, asked %q", code, err, e.questions())
	}
}

// TestRunStartsDaemon: the daemon that was started for a command goes with it.
func TestRunStartsDaemon(t *testing.T) {
	y := newYard(t)
	s := begin("run", "sleep", "1")
	s.out.await(t, "sleep • running\n", 1)
	s.press(t, os.Interrupt)
	if code, _, err := s.end(t); code != 0 {
		t.Errorf("%d %q", code, err)
	}
	if calls := y.calls(t); !slices.Equal(calls, []string{"keeper --transient --dir " + y.dir}) {
		t.Errorf("stayd was called %q", calls)
	}
	if code, _, _ := run(t, "status"); code != 3 {
		t.Errorf("the daemon is still there: status ends with %d", code)
	}
}

// TestRunLeavesDaemonOfOthers: the daemon stays if something else runs in it by now.
func TestRunLeavesDaemonOfOthers(t *testing.T) {
	y := newYard(t)
	s := begin("run", "sleep", "1")
	s.out.await(t, "sleep • running\n", 1)
	if code, _, err := run(t, "run", "-d", "--name", "other", "sleep", "1"); code != 0 {
		t.Fatalf("run -d: %d %q", code, err)
	}
	s.press(t, os.Interrupt)
	if code, _, err := s.end(t); code != 0 || !strings.HasSuffix(err, "stay: the daemon goes on, others run in it: stay status\n") {
		t.Errorf("%d %q", code, err)
	}
	y.shut(t)
}

func TestRunDaemonRefuses(t *testing.T) {
	y := newYard(t)
	y.save(t, "refuse", "stay: no directory in memory\n  mount a tmpfs on /dev/shm\n")
	code, _, err := run(t, "run", "sleep", "1")
	if code != 1 || err != "stay: no directory in memory\n  mount a tmpfs on /dev/shm\n" {
		t.Errorf("%d %q", code, err)
	}
}
