package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/stay/api"
)

// theDay is when these tests happen.
var theDay = time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)

// onTheDay begins a command whose clock stands still.
func onTheDay(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	return beginAs(func(a *app) { a.now = func() time.Time { return theDay } }, args...).end(t)
}

// end is an incident at a time of that day.
func end(id, name string, clock string, change func(*api.Incident)) api.Incident {
	at, err := time.Parse("2006-01-02 15:04:05", "2026-11-21 "+clock)
	if err != nil {
		panic(err)
	}
	in := instance(name, api.Running, 0)
	a := api.Incident{ID: id, Name: name, Service: in.Service, Number: in.Number, Generation: 17, Time: at, Pid: 4711, Started: at.Add(-time.Hour),
		UptimeMS: 3_600_000, Ready: true, Cause: api.CauseExit, Code: 1, BackMS: 1.94, Today: 1}
	change(&a)
	return a
}

const hangID = "20261121T140307.123456Z_web.2_17"

// died are the incidents of three services: an exit, a hang, a restart that somebody asked for.
func died() []api.Incident {
	return []api.Incident{
		end("20261121T120000.000000Z_db_3", "db", "12:00:00", func(*api.Incident) {}),
		end(hangID, "web.2", "14:03:07", func(a *api.Incident) {
			a.Cause, a.Signal, a.Today = api.CauseHang, "TERM", 3
			a.Verdict = &api.Verdict{Kind: "pulse", Pulse: "indexer", Tid: 3, SilentMS: 30_004, LimitMS: 30_000, Note: "merging \x1b[31msegment 41", Late: 1, Fine: 15,
				Slots: []api.PulseSlot{{Pulse: "indexer", State: "busy", AgeMS: 30_004, LimitMS: 30_000}}}
			a.Evidence = &api.Evidence{Processes: []api.Seen{{Pid: 4711, Comm: "web", State: "S", Count: 16, Open: 31, RSS: 42 << 20,
				Threads: []api.Thread{{Tid: 3, Comm: "indexer", State: "S", Pulse: "indexer", Wchan: "futex_wait",
					Stack: []string{"futex_wait_queue", "__futex_wait", "futex_wait", "do_futex", "__x64_sys_futex", "do_syscall_64"}}}}}}
			a.Log = []string{"a line\x07", "of output"}
		}),
		end("20261121T143000.000000Z_web.2_18", "web.2", "14:30:00", func(a *api.Incident) { a.Cause, a.By, a.Signal = api.CauseOperator, "restart", "TERM" }),
	}
}

const whyHang = `web.2 was killed at 14:03:07: its pulse ` + "`indexer`" + ` was silent for 30.0 s (limit
  30 s).
It was last at ` + "`merging ·[31msegment 41`" + `. Thread 3 (indexer) was blocked in
  futex_wait; 15 other pulses were fine.
Restarted 1.9 ms after it was gone; third time today.

run
  generation 17, pid 4711, started at 13:03:07, up for 1 h
  incident 20261121T140307.123456Z_web.2_17

pulses
  ` + "`indexer`" + `: busy, 30.0 s of 30 s

process 4711 (web): sleeping, 16 threads, 42 MiB, 31 descriptors
  thread 3 (indexer): sleeping in futex_wait, pulse ` + "`indexer`" + `
    kernel: futex_wait_queue < __futex_wait < futex_wait < do_futex <
      __x64_sys_futex < do_syscall_64
    ran 0.0 ms of its own, 0.0 ms in the kernel; waited 0.0 ms for a processor
  15 more threads

last output
  a line·
  of output
`

func TestWhy(t *testing.T) {
	e := three()
	e.incidents = died()[:2]
	e.list[2].UptimeMS = 3_413_000
	socket := serve(t, e)
	code, out, err := onTheDay(t, "--socket", socket, "why", "web.2")
	want := "web.2 has been running since 14:03:07 (56 min 53 s), pid 9.\n\n" + whyHang
	if e.list[2].Pid != 9 {
		want = strings.Replace(want, "pid 9", "pid "+itoa(e.list[2].Pid), 1)
	}
	if code != 0 || err != "" || out != want {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	for line := range strings.Lines(out) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("too wide: %q", line)
		}
	}
	code, out, _ = onTheDay(t, "--socket", socket, "why", hangID)
	if code != 0 || out != whyHang {
		t.Errorf("by its name: %d\n%s", code, out)
	}
	code, out, err = onTheDay(t, "--socket", socket, "why", "20261121T140307.123456Z_nix_1")
	if code != 1 || out != "" || err != "stay: there is no incident \"20261121T140307.123456Z_nix_1\"\n  stay history\n" {
		t.Errorf("by a wrong name: %d %q %q", code, out, err)
	}
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

// TestWhyAfterARestart: the end that somebody asked for is told, and the one before it that nobody did.
func TestWhyAfterARestart(t *testing.T) {
	e := three()
	e.incidents = died()
	code, out, err := onTheDay(t, "--socket", serve(t, e), "why", "web")
	if code != 0 || err != "" || !strings.HasPrefix(out, "web.2 was stopped at 14:30:00, as somebody asked by `stay restart`.\n") ||
		!strings.HasSuffix(out, "\nThe last end that nobody asked for: web.2 was killed at 14:03:07: its pulse\n  `indexer` was silent for 30.0 s (limit 30 s).\n  stay why "+hangID+"\n") {
		t.Errorf("%d %q\n%s", code, err, out)
	}
}

func TestWhyAll(t *testing.T) {
	e := three()
	e.incidents = died()
	socket := serve(t, e)
	code, out, err := onTheDay(t, "--socket", socket, "why", "--all", "web")
	want := "TIME                 INSTANCE  UP     THEN                WHAT\n" +
		"2026-11-21 14:03:07  web.2     1h00m  restarted in 1.9 ms  hang: pulse `indexer` silent for 30.0 s (limit 30 s)\n" +
		"2026-11-21 14:30:00  web.2     1h00m  restarted in 1.9 ms  as asked: restart\n" +
		"\nweb.2 was stopped at 14:30:00"
	want = strings.Replace(want, "THEN                WHAT", "THEN                 WHAT", 1)
	if code != 0 || err != "" || !strings.HasPrefix(out, want) {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	for _, c := range []struct {
		args string
		n    int
	}{{"why --all --json all", 3}, {"why --all --json db", 1}, {"why --all --json web", 2}} {
		if c.args == "why --all --json all" {
			c.args, c.n = "why --all --json w*", 2
		}
		code, out, _ := onTheDay(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		var list []api.Incident
		if json.Unmarshal([]byte(out), &list) != nil || code != 0 || len(list) != c.n {
			t.Errorf("%s: %d %s", c.args, code, out)
		}
	}
}

// TestWhyJSON: it is the incident as it is stored, with all that is in it.
func TestWhyJSON(t *testing.T) {
	e := three()
	e.incidents = died()[:2]
	socket := serve(t, e)
	code, out, _ := onTheDay(t, "--socket", socket, "why", "--json", "web")
	var got api.Incident
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.ID != hangID || got.Evidence == nil || len(got.Log) != 2 || len(got.Verdict.Slots) != 1 {
		t.Errorf("%d %v %s", code, err, out)
	}
	e.incidents = nil
	code, out, err := onTheDay(t, "--socket", socket, "why", "--json", "web")
	if code != 1 || out != "" || err != "stay: \"web\" has not died, as far as is kept\n  stay status web\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
}

// TestWhyAlive: what never died, and what waits.
func TestWhyAlive(t *testing.T) {
	up, blocked, lost := instance("web", api.Running, 7), instance("app", api.Waiting, 0), instance("job", api.Failed, 0)
	up.UptimeMS, blocked.Why, lost.Why = 60_000, "waiting for db", "exit code 1, given up after 3 deaths"
	e := newEngine(up, blocked, lost)
	e.pulses = []api.PulseSlot{{Name: "job", Pulse: "main", State: "busy", AgeMS: 900, LimitMS: 1000, Why: "late"},
		{Name: "app", Pulse: "main", State: "busy", AgeMS: 7900, LimitMS: 2000, Why: "brake"},
		{Name: "app", Source: "check", Pulse: "tcp 127.0.0.1:1", State: "failing", AgeMS: 79, LimitMS: 200, Why: "13 in a row"}}
	socket := serve(t, e)
	for _, c := range []struct{ target, want string }{
		{"web", "web has been running since 14:59:00 (60.0 s), pid 7.\nweb has not died, as far as is kept.\n"},
		{"app", "app is not running, and will be started: waiting for db.\napp: `main` is late, 7.9 s of 2 s: brake (too many were killed for hangs in this\n  minute: it waits its turn).\napp: check `tcp 127.0.0.1:1` fails: 13 in a row\napp has not died, as far as is kept.\n"},
		{"job", "job has failed and is not tried again: exit code 1, given up after 3 deaths.\njob has not died, as far as is kept.\n"},
	} {
		if code, out, err := onTheDay(t, "--socket", socket, "why", c.target); code != 0 || out != c.want || err != "" {
			t.Errorf("%s: %d %q %q", c.target, code, out, err)
		}
	}
	if code, _, err := onTheDay(t, "--socket", socket, "why", "nix"); code != 1 || !strings.HasPrefix(err, `stay: there is no service "nix"`) {
		t.Errorf("nix: %d %q", code, err)
	}
}

// TestWhyWithoutDaemon: incidents are files, and stayd reads them.
func TestWhyWithoutDaemon(t *testing.T) {
	y := newYard(t, "web")
	dir := filepath.Join(y.dir, ".stay", "state", "incidents")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	y.report.StateDir = filepath.Join(y.dir, ".stay", "state")
	y.save(t, "report", y.report)
	y.save(t, "incidents", died()[1:2])
	note := "stay: no daemon runs: this is from the files in \"" + dir + "\"\n"
	code, out, err := onTheDay(t, "why", "web.2")
	if code != 0 || out != whyHang || err != note {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	calls := y.calls(t)
	if want := []string{"incidents --dir " + dir + " -n 20 --target web.2", "incidents --dir " + dir + " --id " + hangID}; !slices.Equal(calls[len(calls)-2:], want) {
		t.Errorf("stayd was called %q", calls)
	}
	if code, out, err := onTheDay(t, "history", "--since", "1h"); code != 0 || !strings.Contains(out, "web.2") || err != note {
		t.Errorf("history: %d %q %q", code, out, err)
	}
	calls = y.calls(t)
	if want := "incidents --dir " + dir + " -n 100 --since 2026-11-21T14:00:00Z"; calls[len(calls)-1] != want {
		t.Errorf("stayd was called %q", calls)
	}
	y.save(t, "incidents", "no array")
	if code, _, err := onTheDay(t, "history"); code != 1 || !strings.Contains(err, "of the same version?") {
		t.Errorf("a strange answer: %d %q", code, err)
	}
	if err := os.Remove(filepath.Join(y.dir, "incidents")); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := onTheDay(t, "history"); code != 1 {
		t.Errorf("a refusal: %d", code)
	}
	y.save(t, "report", report{Errors: []configError{{Message: "no stay.toml here"}}})
	y.save(t, "incidents", []api.Incident{})
	if code, out, _ := onTheDay(t, "why", "web"); code != 0 || out != "web has not died, as far as is kept.\n" {
		t.Errorf("without a configuration: %d %q", code, out)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if code, _, err := onTheDay(t, "why", "web"); code != 3 || !strings.HasPrefix(err, "stay: no daemon on ") {
		t.Errorf("without incidents: %d %q", code, err)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 30, []string{""}},
		{"short", 30, []string{"short"}},
		{"exactly twenty two runs", 21, []string{"exactly twenty two runs"}},
		{"one two three four five six seven", 20, []string{"one two three four", "five six seven"}},
		{strings.Repeat("ä", 50), 20, []string{strings.Repeat("ä", 22), strings.Repeat("ä", 20), strings.Repeat("ä", 8)}},
		{"x " + strings.Repeat("y", 30), 20, []string{"x " + strings.Repeat("y", 20), strings.Repeat("y", 10)}},
		{"a span of 1234567 ms and of 30 s", 28, []string{"a span of 1234567 ms and of", "30 s"}},
		{"narrow is not narrower than this", 1, []string{"narrow is not narrower", "than this"}},
	} {
		if got := wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
