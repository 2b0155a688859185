package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/stay/api"
	"example.com/stay/client"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"nix", "stay: unknown command \"nix\"\n  stay --help\n"},
		{"statsu", "stay: unknown command \"statsu\"\n  did you mean: stay status\n"},
		{"top", "stay: the command \"top\" is not in this version, which is " + api.Version + "\n  stay --help\n"},
		{"reload web", "stay: the command \"reload\" is not in this version, which is " + api.Version + "\n  stay --help\n"},
		{"status --nix", "stay: unknown flag: --nix\n  stay status --help\n"},
		{"stop --timeout soon web", "stay: invalid argument \"soon\" for \"--timeout\" flag: say a number and its unit, as in 500ms, 30s or 5m\n  stay stop --help\n"},
		{"start", "stay: start needs a service\n  stay start SERVICE, or: stay start all\n"},
		{"stop", "stay: stop needs a service\n  stay stop SERVICE, or: stay stop all\n"},
		{"restart", "stay: restart needs a service\n  stay restart SERVICE, or: stay restart all\n"},
		{"reset", "stay: reset needs a service\n  stay reset SERVICE, or: stay reset all\n"},
		{"wait", "stay: wait needs a service\n  stay wait SERVICE, or: stay wait all\n"},
		{"wait web --for ever", "stay: cannot wait for \"ever\"\n  say --for running, --for stopped or --for ready\n"},
		{"signal HUP", "stay: signal needs a signal and a service\n  stay signal HUP SERVICE\n"},
		{"beat --limit 3 x", "stay: invalid argument \"3\" for \"--limit\" flag: say a number and its unit, as in 500ms, 30s or 5m\n  stay beat --help\n"},
		{"down --timeout -1s", "stay: invalid argument \"-1s\" for \"--timeout\" flag: say a number and its unit, as in 500ms, 30s or 5m\n  stay down --help\n"},
		{"history -n -5", "stay: invalid argument \"-5\" for \"-n, --lines\" flag: say a whole number; -1 is all\n  stay history --help\n"},
		{"whi", "stay: unknown command \"whi\"\n  did you mean: stay why\n"},
		{"why", "stay: why needs one service\n  stay why SERVICE; stay history shows what ended\n"},
		{"why a b", "stay: why needs one service\n  stay why SERVICE; stay history shows what ended\n"},
		{"history a b", "stay: history takes one service\n  stay history SERVICE\n"},
		{"history --since soon", "stay: --since \"soon\" is no time\n  say 30m, 12h, 7d, today, 14:03, or 2026-01-02T15:04:05Z\n"},
		{"logs -n x", "stay: invalid argument \"x\" for \"-n, --lines\" flag: say a whole number; -1 is all\n  stay logs --help\n"},
		{"show", "stay: show needs one service\n  stay show SERVICE\n"},
		{"show a b", "stay: show needs one service\n  stay show SERVICE\n"},
		{"down web", "stay: down takes no arguments\n  stay down\n"},
		{"apply x", "stay: apply takes no arguments\n  stay apply\n"},
		{"version x", "stay: version takes no arguments\n  stay version\n"},
		{"check a b", "stay: check takes one file\n  stay check FILE\n"},
		{"run", "stay: run needs a command\n  stay run -- COMMAND ARGUMENT…\n"},
		{"run -d --", "stay: run needs a command\n  stay run -- COMMAND ARGUMENT…\n"},
		{"up --socket /x", "stay: up finds its socket in the configuration\n  stay up -f FILE, without --socket\n"},
	} {
		code, out, err := run(t, strings.Fields(c.args)...)
		if code != 2 || err != c.want || out != "" {
			t.Errorf("stay %s: %d %q %q; want 2 %q", c.args, code, out, err, c.want)
		}
	}
}

// TestEmptyName: an unset variable of a script must not mean everything.
func TestEmptyName(t *testing.T) {
	for _, args := range [][]string{{"stop", ""}, {"status", "web", ""}, {"logs", ""}, {"why", ""}, {"history", ""}, {"signal", "HUP", ""}, {"up", ""}} {
		if code, _, err := run(t, args...); code != 2 || !strings.HasPrefix(err, "stay: a service's name is empty\n") {
			t.Errorf("stay %q: %d %q", args, code, err)
		}
	}
}

// TestPlanned: what is there is not announced as missing.
func TestPlanned(t *testing.T) {
	for _, c := range newApp(nil, newScreen(), newScreen()).root().Commands() {
		if slices.Contains(planned, c.Name()) {
			t.Errorf("%s is there", c.Name())
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		code, out, err := run(t, args...)
		if code != 0 || err != "" {
			t.Errorf("stay %q: %d %q", args, code, err)
		}
		for _, name := range []string{"up", "down", "run", "status", "start", "stop", "restart", "signal", "wait", "logs", "events", "why", "history", "pulse", "drill", "beat",
			"show", "reset", "apply", "plan", "scale", "upgrade", "check", "version", "completion"} {
			if !strings.Contains(out, "\n  "+name+" ") {
				t.Errorf("stay %q does not show %s", args, name)
			}
		}
	}
	if code, out, _ := run(t, "completion", "bash"); code != 0 || !strings.Contains(out, "__start_stay") {
		t.Errorf("completion: %d, %d bytes", code, len(out))
	}
}

// TestNotReachable: each command that asks a daemon says so, with exit code 3.
func TestNotReachable(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none")
	for _, args := range []string{"status", "status web", "status --watch", "start web", "stop web", "restart web", "reset web",
		"signal HUP web", "wait web", "why web", "why --all web", "pulse", "pulse --watch web", "drill web --yes", "history", "logs -f", "events", "events -f", "show web", "apply", "plan", "down", "run -- true"} {
		code, out, err := run(t, append([]string{"--socket", socket}, strings.Fields(args)...)...)
		want := fmt.Sprintf("stay: no daemon on %q: no such file or directory\n  start one: stay up\n", socket)
		if code != 3 || err != want || out != "" {
			t.Errorf("stay %s: %d %q %q", args, code, out, err)
		}
	}
}

func TestNoDaemonAnywhere(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, err := run(t, "status")
	if code != 3 || !strings.HasPrefix(err, "stay: no daemon ") || !strings.HasSuffix(err, "\n  start one: stay up\n") {
		t.Errorf("%d %q", code, err)
	}
}

func TestToRefusal(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    int
		message string
		hint    string
	}{
		{&api.Error{Code: "conflict", Message: "it is there", Hint: "stay stop it"}, 1, "it is there", "stay stop it"},
		{&api.Error{Code: "refused", Message: "one\ntwo", Hint: "three"}, 1, "one", "two\nthree"},
		{&api.Error{Code: "forbidden", Message: "no"}, 1, "no", ""},
		{&api.Error{Code: "bad-request", Message: `unknown signal "FOO"`, Hint: "kill -l"}, 2, `unknown signal "FOO"`, "kill -l"},
		{&client.Broken{What: "POST /x", Err: errors.New("EOF")}, 1, "POST /x: the daemon's answer was lost (EOF): it may have been done or not", "stay status"},
		{context.DeadlineExceeded, 4, "timed out", "stay status"},
		{errors.New("plain"), 1, "plain", ""},
		{fmt.Errorf("around: %w", &refusal{code: 2, message: "ours"}), 2, "ours", ""},
	} {
		r := toRefusal(c.err)
		if r.code != c.code || r.message != c.message || r.hint != c.hint {
			t.Errorf("%v: %+v", c.err, r)
		}
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct{ a, b, want int }{
		{0, 0, 0}, {0, 4, 4}, {4, 1, 1}, {1, 3, 3}, {3, 4, 3}, {1, 0, 1}, {2, 1, 2},
	} {
		if got := worst(c.a, c.b); got != c.want {
			t.Errorf("worst(%d, %d) is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
