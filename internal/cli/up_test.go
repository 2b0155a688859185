package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// shut takes the yard's daemon down, which is a process: nothing may be left of it.
func (y *yard) shut(t *testing.T) {
	t.Helper()
	if code, _, err := run(t, "down"); code != 0 {
		t.Errorf("down: %d %q", code, err)
	}
}

func TestUpDetached(t *testing.T) {
	y := newYard(t, "db", "web")
	y.save(t, "list", []api.Instance{instance("db", api.Running, 1), instance("web", api.Running, 2), instance("web.2", api.Running, 3)})
	code, out, err := run(t, "up", "-d")
	if code != 0 || out != "up: 3 instances ready\n" || err != "" {
		t.Errorf("%d %q %q", code, out, err)
	}
	want := []string{"check --json", "keeper --file " + y.report.File}
	if calls := y.calls(t); !slices.Equal(calls, want) {
		t.Errorf("stayd was called %q, want %q", calls, want)
	}
	// The second time there is one: it is not started again.
	code, out, err = run(t, "up", "-d", "-f", "other.toml", "web")
	if code != 0 || out != "up: 2 instances ready\n" || err != "" {
		t.Errorf("again: %d %q %q", code, out, err)
	}
	want = append(want, "check --json -f other.toml")
	if calls := y.calls(t); !slices.Equal(calls, want) {
		t.Errorf("stayd was called %q, want %q", calls, want)
	}
	y.shut(t)
}

func TestUpOnly(t *testing.T) {
	y := newYard(t, "db", "web", "work")
	y.save(t, "list", []api.Instance{instance("web", api.Running, 2), instance("work", api.Running, 3)})
	if code, out, err := run(t, "up", "-d", "w*", "web"); code != 0 || out != "up: 3 instances ready\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	if calls := y.calls(t); calls[1] != "keeper --file "+y.report.File+" --only web,work" {
		t.Errorf("stayd was called %q", calls)
	}
	y.shut(t)
}

func TestUpDetachedFails(t *testing.T) {
	y := newYard(t, "web")
	bad := instance("web", api.Failed, 0)
	bad.Why = "exit code 1 after 3ms"
	y.save(t, "list", []api.Instance{bad})
	code, out, err := run(t, "up", "-d")
	want := "stay: start \"web\": exit code 1 after 3ms\n  │ its last words\n  stay why web\n"
	if code != 1 || out != "" || err != want {
		t.Errorf("%d %q %q; want %q", code, out, err, want)
	}
	y.shut(t)
}

func TestUpTimesOut(t *testing.T) {
	y := newYard(t, "db")
	e := newEngine(instance("db", api.Starting, 5))
	e.do = func(ctx context.Context, _ api.Command) (api.Result, error) {
		<-ctx.Done()
		return api.Result{}, ctx.Err()
	}
	serveOn(t, y.socket, e)
	code, _, err := run(t, "up", "-d", "--timeout", "300ms")
	if want := "stay: start \"all\": not done after 300ms: db: starting, pid 5\n  stay status all\n"; code != 4 || err != want {
		t.Errorf("%d %q; want %q", code, err, want)
	}
}

func TestUpRefused(t *testing.T) {
	y := newYard(t, "db", "web")
	for _, c := range []struct {
		name    string
		report  report
		refusal string // of the keeper; "": it is not asked
		args    []string
		code    int
		want    string
	}{
		{"errors", report{File: y.report.File, Errors: []configError{
			{File: y.report.File, Line: 3, Column: 5, Message: `unknown key "comand"`, Hint: `did you mean "command"?`},
			{File: "/etc/other.toml", Message: "dependencies go in a circle"}}}, "", nil, 1,
			"stay.toml:3:5: unknown key \"comand\"\n  did you mean \"command\"?\n/etc/other.toml: dependencies go in a circle\n" +
				"stay: 2 errors in \"stay.toml\"\n  nothing was started; stay check shows it again\n"},
		{"no file", report{Errors: []configError{{Message: "no stay.toml here", Hint: "write one"}}}, "", nil, 1,
			"stay: no stay.toml here\n  write one\n"},
		{"unknown service", y.report, "", []string{"nix"}, 1, "stay: there is no service \"nix\"\n  there are: db, web\n"},
		{"keeper refuses", y.report, "stay: make directory \"/x\": no permission\n  run as its owner\n", nil, 1,
			"stay: make directory \"/x\": no permission\n  run as its owner\n"},
	} {
		y.save(t, "report", c.report)
		if c.refusal != "" {
			y.save(t, "refuse", c.refusal)
		}
		code, out, err := run(t, append([]string{"up"}, c.args...)...)
		if code != c.code || err != c.want || out != "" {
			t.Errorf("%s: %d %q %q; want %q", c.name, code, out, err, c.want)
		}
	}
	for _, call := range y.calls(t)[:3] {
		if strings.HasPrefix(call, "keeper") {
			t.Errorf("a daemon was started with a bad configuration: %q", call)
		}
	}
}

func TestUpWhileGoingDown(t *testing.T) {
	y := newYard(t, "web")
	e := newEngine()
	e.daemon.Mode = "going down"
	serveOn(t, y.socket, e)
	code, _, err := run(t, "up", "-d")
	if code != 1 || !strings.HasPrefix(err, "stay: the daemon is going down\n  stay up again") {
		t.Errorf("%d %q", code, err)
	}
}

// TestUpForeground: a fresh daemon's output is shown from its start, and Ctrl-C takes it down.
func TestUpForeground(t *testing.T) {
	y := newYard(t, "web")
	y.save(t, "list", []api.Instance{instance("web", api.Running, 2)})
	s := begin("up")
	s.out.await(t, "web │ of now\n", 1)
	s.press(t, os.Interrupt)
	code, out, err := s.end(t)
	if code != 0 || out != "web │ of now\nweb • stopped\n" || !strings.HasPrefix(err, "stay: stopping everything; Ctrl-C again kills at once\n") {
		t.Errorf("%d %q %q", code, out, err)
	}
	if _, err := os.Stat(y.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the daemon is still there: %v", err)
	}
}

// attached begins `up` in front of a daemon that runs already, and waits until it shows what happens.
func attached(t *testing.T, e *fakeEngine) *session {
	t.Helper()
	y := newYard(t, "db", "web")
	serveOn(t, y.socket, e)
	s := begin("up")
	e.write("db", "hello")
	s.out.await(t, "db    │ hello\n", 1)
	return s
}

func TestUpAttaches(t *testing.T) {
	e := three()
	e.set("web", api.Stopped, "long ago") // events of the past are not shown
	s := attached(t, e)
	e.set("web.2", api.Waiting, "exit code 1, retry in 1s")
	s.out.await(t, "web.2 • waiting, exit code 1, retry in 1s\n", 1)
	s.press(t, syscall.SIGTERM)
	code, out, err := s.end(t)
	want := "stay: the daemon runs already (pid 0): attached; Ctrl-C stops everything\n" +
		"stay: the daemon goes on: stay up shows it again, stay down stops it\n"
	if code != 0 || err != want || strings.Contains(out, "long ago") {
		t.Errorf("%d %q %q", code, out, err)
	}
	if slices.ContainsFunc(e.questions(), func(q string) bool { return strings.HasPrefix(q, "shutdown") }) {
		t.Errorf("leaving took it down: %q", e.questions())
	}
}

func TestUpAttachesAndStarts(t *testing.T) {
	y := newYard(t, "db", "web")
	e := newEngine(instance("db", api.Stopped, 0), instance("web", api.Stopped, 0))
	serveOn(t, y.socket, e)
	s := begin("up", "web")
	s.press(t, syscall.SIGHUP)
	if code, _, err := s.end(t); code != 0 || e.questions()[0] != "start web no-wait" {
		t.Errorf("%d %q, asked %q", code, err, e.questions())
	}
	if code, _, err := run(t, "up", "nix"); code != 1 || !strings.HasPrefix(err, "stay: there is no service \"nix\"\n") {
		t.Errorf("up nix: %d %q", code, err)
	}
}

// TestUpInterruptedTwice: the first Ctrl-C asks, the second kills, and meanwhile it says who is still there.
func TestUpInterruptedTwice(t *testing.T) {
	e := three()
	killed := make(chan struct{})
	e.shutdown = func(ctx context.Context, now bool) error {
		if now {
			close(killed)
			return nil
		}
		e.set("db", api.Stopping, "as asked")
		select {
		case <-killed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s := attached(t, e)
	s.press(t, os.Interrupt)
	s.err.await(t, "stay: still there: web (running), web.2 (running), db (stopping: as asked)\n", 1)
	s.press(t, os.Interrupt)
	code, _, err := s.end(t)
	if code != 0 || !strings.Contains(err, "stay: killing everything;") {
		t.Errorf("%d %q", code, err)
	}
	asked := e.questions()
	if !slices.Contains(asked, "shutdown false") || !slices.Contains(asked, "shutdown true") {
		t.Errorf("asked %q", asked)
	}
}

// TestUpInterruptedThrice: who refuses to die keeps nobody at the terminal.
func TestUpInterruptedThrice(t *testing.T) {
	e := three()
	e.shutdown = func(ctx context.Context, _ bool) error { <-ctx.Done(); return ctx.Err() }
	s := attached(t, e)
	s.press(t, os.Interrupt)
	s.err.await(t, "stopping everything", 1)
	s.press(t, os.Interrupt)
	s.err.await(t, "killing everything", 1)
	s.press(t, os.Interrupt)
	if code, _, err := s.end(t); code != 0 || !strings.Contains(err, "the daemon goes on") {
		t.Errorf("%d %q", code, err)
	}
}

// TestUpLosesTerminal: a write error ends `up`, and nothing else.
func TestUpLosesTerminal(t *testing.T) {
	e := three()
	s := attached(t, e)
	s.out.mu.Lock()
	s.out.broken = true
	s.out.mu.Unlock()
	e.write("db", "nobody reads this")
	if code, _, err := s.end(t); code != 0 || !strings.Contains(err, "the daemon goes on") {
		t.Errorf("%d %q", code, err)
	}
	if slices.Contains(e.questions(), "shutdown false") {
		t.Errorf("asked %q", e.questions())
	}
}

// TestUpDaemonLeaves: somebody else takes the daemon down.
func TestUpDaemonLeaves(t *testing.T) {
	e := three()
	s := attached(t, e)
	if code, _, err := run(t, "down"); code != 0 {
		t.Fatalf("down: %d %q", code, err)
	}
	if code, _, err := s.end(t); code != 0 || !strings.HasSuffix(err, "stay: the daemon has gone\n") {
		t.Errorf("%d %q", code, err)
	}
}

// TestUpAsFirstProcess: as PID 1 it becomes the daemon.
func TestUpAsFirstProcess(t *testing.T) {
	y := newYard(t, "web", "db")
	var got []string
	s := beginAs(func(a *app) {
		a.pid = 1
		a.exec = func(program string, args, _ []string) error {
			got = append([]string{program}, args...)
			return syscall.ENOEXEC
		}
	}, "up", "web")
	code, _, err := s.end(t)
	stayd := filepath.Join(y.dir, "bin", "stayd")
	want := []string{stayd, "stayd", "keeper", "--foreground", "--file", y.report.File, "--only", "web"}
	if !slices.Equal(got, want) || code != 1 || err != fmt.Sprintf("stay: exec %q: exec format error\n", stayd) {
		t.Errorf("%q; %d %q", got, code, err)
	}
}

func TestExpand(t *testing.T) {
	known := []string{"db", "web", "worker"}
	for _, c := range []struct {
		wanted, list []string
		fails        bool
	}{
		{nil, nil, false},
		{[]string{"all"}, nil, false},
		{[]string{"web", "db", "web"}, []string{"db", "web"}, false},
		{[]string{"w*"}, []string{"web", "worker"}, false},
		{[]string{"nix"}, nil, true},
		{[]string{"web.2"}, nil, true},
		{[]string{"["}, nil, true},
	} {
		list, err := expand(known, c.wanted)
		if !slices.Equal(list, c.list) || (err != nil) != c.fails {
			t.Errorf("%q: %q, %v", c.wanted, list, err)
		}
	}
}
