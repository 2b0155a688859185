package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// three is an engine with a few services.
func three() *fakeEngine {
	return newEngine(instance("db", api.Running, 10), instance("web", api.Running, 11), instance("web.2", api.Running, 12))
}

// stuck is an engine whose commands never get done; it answers when its client goes away.
func stuck() *fakeEngine {
	e := three()
	e.do = func(ctx context.Context, _ api.Command) (api.Result, error) {
		<-ctx.Done()
		return api.Result{}, ctx.Err()
	}
	return e
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		args  string
		asked []string
		out   string
	}{
		{"start db", []string{"start db"}, "db: running, pid 10\n"},
		{"stop web", []string{"stop web"}, "web: stopped\nweb.2: stopped\n"},
		{"stop web.2 --no-wait", []string{"stop web.2 no-wait"}, "web.2: stopped\n"},
		{"restart web* --timeout 1m", []string{"restart web*"}, "web: running, pid 11\nweb.2: running, pid 12\n"},
		{"reset all", []string{"reset all"}, "db: running, pid 10\nweb: running, pid 11\nweb.2: running, pid 12\n"},
		{"signal usr1 web.2", []string{"signal web.2 usr1"}, "web.2: USR1 sent to pid 12\n"},
		{"wait db", []string{"wait db ready"}, "db: running, pid 10\n"},
		{"wait db --for running", []string{"wait db running"}, "db: running, pid 10\n"},
		{"start db web.2 db", []string{"start db", "start web.2"}, "db: running, pid 10\nweb.2: running, pid 12\n"},
	} {
		e := three()
		code, out, err := run(t, append([]string{"--socket", serve(t, e)}, strings.Fields(c.args)...)...)
		asked := e.questions()
		slices.Sort(asked)
		if code != 0 || out != c.out || err != "" || !slices.Equal(asked, c.asked) {
			t.Errorf("stay %s: %d %q %q, asked %q; want %q, %q", c.args, code, out, err, asked, c.out, c.asked)
		}
	}
}

func TestCommandRefused(t *testing.T) {
	socket := serve(t, three())
	code, out, err := run(t, "--socket", socket, "stop", "nix", "db", "nex")
	want := "stay: there is no service \"nix\"\n  stay status\nstay: there is no service \"nex\"\n  stay status\n"
	if code != 1 || out != "db: stopped\n" || err != want {
		t.Errorf("%d %q %q", code, out, err)
	}
	code, out, err = run(t, "--socket", socket, "stop", "x*")
	if code != 0 || out != "" || err != "stay: stop \"x*\": nothing has that name\n" {
		t.Errorf("a pattern without a match: %d %q %q", code, out, err)
	}
}

func TestCommandFails(t *testing.T) {
	e := three()
	e.do = func(context.Context, api.Command) (api.Result, error) {
		return api.Result{Instances: []api.Instance{instance("web", api.Running, 11), instance("web.2", api.Waiting, 0)},
			Failures: []api.Failure{{Name: "web.2", Message: "exit code 1 after 12ms", Log: []string{"no such table", "\x1b[2Jbye"}}}}, nil
	}
	code, out, err := run(t, "--socket", serve(t, e), "start", "web")
	want := "stay: start \"web.2\": exit code 1 after 12ms\n  │ no such table\n  │ ·[2Jbye\n  stay why web.2\n"
	if code != 1 || out != "web: running, pid 11\n" || err != want {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestCommandTimesOut(t *testing.T) {
	e := stuck()
	e.set("db", api.Stopping, "as asked")
	e.list[0].Refusing = []api.Process{{Pid: 9, Comm: "dd", State: "D"}}
	socket := serve(t, e)
	for _, c := range []struct{ args, want string }{
		{"stop db --timeout 20ms", "stay: stop \"db\": not done after 20ms: db: stopping, as asked\n  │ db: dd (pid 9, state D) refuses to die\n  stay status db\n"},
		{"restart web --timeout 20ms", "stay: restart \"web\": not done after 20ms\n  stay status web\n"},
		{"wait web.2 --for stopped --timeout 20ms", "stay: wait \"web.2\": not done after 20ms: web.2: running, pid 12\n  stay status web.2\n"},
	} {
		code, out, err := run(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		if code != 4 || out != "" || err != c.want {
			t.Errorf("stay %s: %d %q %q; want %q", c.args, code, out, err, c.want)
		}
	}
}

// TestManyTargets: they are sent at once, not one after the other.
func TestManyTargets(t *testing.T) {
	e := newEngine()
	var args []string
	arrived := make(chan struct{}, inFlight)
	all := make(chan struct{})
	e.do = func(ctx context.Context, c api.Command) (api.Result, error) {
		arrived <- struct{}{}
		select {
		case <-all:
			return api.Result{Instances: []api.Instance{{Name: c.Target, State: api.Stopped}}}, nil
		case <-ctx.Done():
			return api.Result{}, ctx.Err()
		}
	}
	var want strings.Builder
	for i := range inFlight {
		args = append(args, fmt.Sprintf("s%d", i))
		fmt.Fprintf(&want, "s%d: stopped\n", i)
	}
	s := begin(append([]string{"--socket", serve(t, e), "stop"}, args...)...)
	for range inFlight {
		<-arrived
	}
	close(all)
	if code, out, err := s.end(t); code != 0 || out != want.String() {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestStatus(t *testing.T) {
	e := three()
	e.set("db", api.Failed, "exit code 1")
	e.set("web", api.Done, "")
	socket := serve(t, e)
	for _, c := range []struct {
		args string
		code int
		rows []string // first columns
	}{
		{"status", 0, []string{"SERVICE", "db", "web", "web.2"}},
		{"status web", 0, []string{"SERVICE", "web", "web.2"}},
		{"status web.2 web", 0, []string{"SERVICE", "web", "web.2"}},
		{"status db web", 1, []string{"SERVICE", "db", "web", "web.2"}},
		{"status w*", 0, []string{"SERVICE", "web", "web.2"}},
	} {
		code, out, err := run(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		var rows []string
		for line := range strings.Lines(out) {
			rows = append(rows, strings.Fields(line)[0])
		}
		if code != c.code || err != "" || !slices.Equal(rows, c.rows) {
			t.Errorf("stay %s: %d %q %q; want %d %q", c.args, code, rows, err, c.code, c.rows)
		}
	}
	code, _, err := run(t, "--socket", socket, "status", "nix")
	if code != 1 || err != "stay: there is no service \"nix\"\n  stay status\n" {
		t.Errorf("status nix: %d %q", code, err)
	}
	code, out, _ := run(t, "--socket", socket, "status", "--json", "db")
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 1 || len(list) != 1 || list[0]["name"] != "db" || list[0]["state"] != "failed" {
		t.Errorf("status --json: %d %s %v", code, out, err)
	}
}

// TestSocketFromEnvironment: STAY_SOCKET is as good as --socket.
func TestSocketFromEnvironment(t *testing.T) {
	t.Setenv("STAY_SOCKET", serve(t, three()))
	if code, out, err := run(t, "status", "db"); code != 0 || !strings.Contains(out, "db") {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestShow(t *testing.T) {
	socket := serve(t, newEngine(instance("web", api.Running, 7)))
	code, out, err := run(t, "--socket", socket, "show", "web")
	want := `# web: running, pid 7
[service.web]
check = [{ every = "10s", exec = ["true", "<&>"], failures = 3 }, { tcp = "db:1" }]
command = ["sh", "-c", "a && b"]
enabled = true
env.PASSWORD = "(hidden)"
instances = 2
restart.factor = 2.5
restart.when = "always"
`
	if code != 0 || out != want || err != "" {
		t.Errorf("%d %s %q; want %s", code, out, err, want)
	}
	if code, _, err := run(t, "--socket", socket, "show", "nix"); code != 1 || !strings.Contains(err, `there is no service "nix"`) {
		t.Errorf("show nix: %d %q", code, err)
	}
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		changes []api.Change
		err     error
		code    int
		out     string
		errOut  string
	}{
		{nil, nil, 0, "nothing to do\n", ""},
		{[]api.Change{{Service: "a", Action: "none"}}, nil, 0, "nothing to do\n", ""},
		{[]api.Change{{Service: "a", Action: "start"}, {Service: "b", Action: "restart", Keys: []string{"command", "env"}}, {Service: "c", Action: "none"}},
			nil, 0, "a: start\nb: restart (command, env)\n", ""},
		{nil, &api.Error{Code: "refused", Message: "stay.toml:3:1: unknown key \"x\"\nstay.toml:4:1: no", Hint: "nothing was changed"}, 1, "",
			"stay: stay.toml:3:1: unknown key \"x\"\n  stay.toml:4:1: no\n  nothing was changed\n"},
	} {
		e := newEngine()
		e.apply = func() ([]api.Change, error) { return c.changes, c.err }
		code, out, err := run(t, "--socket", serve(t, e), "apply")
		if code != c.code || out != c.out || err != c.errOut {
			t.Errorf("%+v: %d %q %q", c, code, out, err)
		}
		code, out, err = run(t, "--socket", serve(t, e), "plan")
		want := c.out
		if strings.Contains(want, ": ") {
			want += "unchanged: 1\nstay apply does it\n"
		}
		if code != c.code || out != want || err != c.errOut {
			t.Errorf("plan of %+v: %d %q %q", c, code, out, err)
		}
	}
}

func TestVersion(t *testing.T) {
	e := newEngine()
	e.daemon = api.Daemon{Version: "9", KeeperPid: 5, EnginePid: 6, Engines: 3, Started: time.Unix(1e9, 0)}
	socket := serve(t, e)
	code, out, err := run(t, "--socket", socket, "version")
	want := fmt.Sprintf("stay %s\ndaemon 9, keeper pid 5, engine pid 6, since %s, 3 engines so far\n", api.Version,
		time.Unix(1e9, 0).Format("2006-01-02 15:04:05"))
	if code != 0 || out != want || err != "" {
		t.Errorf("%d %q %q; want %q", code, out, err, want)
	}
	code, out, _ = run(t, "--socket", socket, "version", "--json")
	var v struct {
		Client string
		Daemon *api.Daemon
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Client != api.Version || v.Daemon == nil || v.Daemon.KeeperPid != 5 {
		t.Errorf("%d %s %v", code, out, err)
	}
	none := t.TempDir() + "/none"
	code, out, _ = run(t, "--socket", none, "version")
	if code != 0 || !strings.Contains(out, "\nno daemon: no daemon on ") {
		t.Errorf("without a daemon: %d %q", code, out)
	}
	code, out, _ = run(t, "--socket", none, "version", "--json")
	if code != 0 || !strings.Contains(out, `"daemon": null`) {
		t.Errorf("without a daemon: %d %q", code, out)
	}
}

func TestDown(t *testing.T) {
	e := three()
	code, out, err := run(t, "--socket", serve(t, e), "down")
	if code != 0 || out != "" || !slices.Equal(e.questions(), []string{"shutdown false"}) {
		t.Errorf("%d %q %q, asked %q", code, out, err, e.questions())
	}
	e = three()
	code, _, err = run(t, "--socket", serve(t, e), "down", "--now")
	if code != 0 || !slices.Equal(e.questions(), []string{"shutdown true"}) {
		t.Errorf("--now: %d %q, asked %q", code, err, e.questions())
	}
}

func TestDownTimesOut(t *testing.T) {
	e := newEngine(instance("db", api.Stopping, 3), instance("web", api.Stopped, 0))
	e.list[0].Refusing = []api.Process{{Pid: 4, Comm: "dd", State: "D", Where: "nfs_wait"}}
	e.shutdown = func(ctx context.Context, _ bool) error { <-ctx.Done(); return ctx.Err() }
	code, _, err := run(t, "--socket", serve(t, e), "down", "--timeout", "400ms")
	still := "db (stopping: dd (pid 4, state D, in nfs_wait) refuses to die)"
	want := "stay: down: not done after 400ms, it goes on: " + still + "\n" +
		"  │ db: dd (pid 4, state D, in nfs_wait) refuses to die\n  stay down --now\n"
	if code != 4 || !strings.HasSuffix(err, want) {
		t.Errorf("%d %q; want %q", code, err, want)
	}
	if !strings.HasPrefix(err, "stay: still there: "+still+"\n") {
		t.Errorf("while it waited it said %q", err)
	}
}

func TestComplete(t *testing.T) {
	socket := serve(t, three())
	for _, c := range []struct{ args, want string }{
		{"stop", "all db web web.2"},
		{"stop db", "all web web.2"},
		{"signal", "HUP INT QUIT USR1 USR2 TERM KILL STOP CONT"},
		{"signal HUP", "all db web web.2"},
		{"wait db --for", "running stopped ready"},
		{"down", ""},
	} {
		args := append([]string{"__complete", "--socket", socket}, append(strings.Fields(c.args), "")...)
		code, out, _ := run(t, args...)
		got, _, _ := strings.Cut(out, ":4") // the directive: no file names
		if code != 0 || strings.Join(strings.Fields(got), " ") != c.want {
			t.Errorf("%s: %d %q", c.args, code, out)
		}
	}
	code, out, _ := run(t, "__complete", "--socket", t.TempDir()+"/none", "stop", "")
	if code != 0 || strings.TrimSpace(out) != ":4" {
		t.Errorf("without a daemon: %d %q", code, out)
	}
}

func TestScale(t *testing.T) {
	e := newEngine()
	socket := serve(t, e)
	for _, tt := range []struct {
		args, err string
		code      int
	}{
		{"scale", "scale needs a service and a number", 2},
		{"scale web", `"web" is not a service and a number of instances`, 2},
		{"scale web=", `"web=" is not`, 2},
		{"scale web=0", `"web=0" is not`, 2},
		{"scale =4", `"=4" is not`, 2},
		{"scale web=-1", `"web=-1" is not`, 2},
	} {
		code, _, err := run(t, append([]string{"--socket", socket}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(err, tt.err) {
			t.Errorf("%s: %d %q", tt.args, code, err)
		}
	}
}
