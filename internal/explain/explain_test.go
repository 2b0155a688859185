package explain

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

var update = flag.Bool("update", false, "write testdata/sentences.txt anew")

var now = time.Date(2026, 11, 21, 15, 0, 0, 0, time.FixedZone("", 3600))

// died is an incident of a service that had run for two hours and was restarted.
func died(change func(*api.Incident)) *api.Incident {
	at := time.Date(2026, 11, 21, 13, 3, 7, 123e6, time.UTC)
	a := &api.Incident{ID: "20261121T130307.123000Z_web.2_17", Name: "web.2", Service: "web", Number: 2, Generation: 17, Time: at, Pid: 4711,
		Started: at.Add(-2 * time.Hour), UptimeMS: 7_200_000, Ready: true, BackMS: 1.94, Today: 1}
	change(a)
	return a
}

// hung is an incident of a verdict.
func hung(v api.Verdict, change func(*api.Incident)) *api.Incident {
	return died(func(a *api.Incident) {
		a.Cause, a.Signal, a.Verdict = api.CauseHang, "TERM", &v
		change(a)
	})
}

func nothing(*api.Incident) {}

var indexer = api.Thread{Tid: 4714, Comm: "indexer", State: "S", Pulse: "indexer", Wchan: "futex_wait", Syscall: "futex(0x7f0, 0x80)",
	Stack: []string{"futex_wait_queue", "futex_wait", "do_futex"}, UserMS: 12_300, SysMS: 400, RunDelayMS: 17}

// cases are incidents, one for each thing that can be said.
var cases = []struct {
	name string
	a    *api.Incident
}{
	{"hang of a pulse with a thread", hung(api.Verdict{Kind: "pulse", Pulse: "indexer", Tid: 4714, SilentMS: 30_004, LimitMS: 30_000,
		Note: "merging segment 41", Fine: 15, Late: 1}, func(a *api.Incident) {
		a.Today = 3
		a.Evidence = &api.Evidence{Processes: []api.Seen{{Pid: 4711, Comm: "web", Count: 16, Threads: []api.Thread{indexer}}}}
	})},
	{"hang of two pulses, no evidence", hung(api.Verdict{Kind: "pulse", Pulse: "a", SilentMS: 210, LimitMS: 200, Fine: 1, Late: 2}, nothing)},
	{"hang of three pulses, all late, escalated", hung(api.Verdict{Kind: "pulse", Pulse: "a", SilentMS: 210, LimitMS: 200, Late: 3, HeldMS: 1500},
		func(a *api.Incident) { a.Escalated, a.Signal = true, "KILL" })},
	{"hang of a slot without a name, in a wait for a disk", hung(api.Verdict{Kind: "pulse", Slot: 4, SilentMS: 1005, LimitMS: 1000, Late: 1},
		func(a *api.Incident) {
			a.Evidence = &api.Evidence{Processes: []api.Seen{{Count: 1, Threads: []api.Thread{{Tid: 9, Comm: "w", State: "D", Wchan: "folio_wait"}}}}}
		})},
	{"hang of a stopped process that obeyed", hung(api.Verdict{Kind: "pulse", Pulse: "main", SilentMS: 1005, LimitMS: 1000, Late: 1},
		func(a *api.Incident) {
			a.Signal = ""
			a.Evidence = &api.Evidence{Processes: []api.Seen{{Count: 2, Threads: []api.Thread{{State: "T"}, {State: "T"}}}}}
		})},
	{"hang of a thread in a busy loop", hung(api.Verdict{Kind: "pulse", Pulse: "p", Tid: 7, SilentMS: 1005, LimitMS: 1000, Late: 1, Fine: 1},
		func(a *api.Incident) {
			a.Evidence = &api.Evidence{Processes: []api.Seen{{Threads: []api.Thread{{Tid: 7, Comm: "p", State: "R", UserMS: 4000}}}}}
		})},
	{"hang of a thread that nobody saw", hung(api.Verdict{Kind: "pulse", Pulse: "p", Tid: 8, SilentMS: 1005, LimitMS: 1000, Late: 1},
		func(a *api.Incident) {
			a.Evidence = &api.Evidence{Processes: []api.Seen{{Threads: []api.Thread{{Tid: 7}}}}}
		})},
	{"hang without a verdict", died(func(a *api.Incident) { a.Cause, a.Message, a.Signal = api.CauseHang, "its pulse was silent", "KILL" })},
	{"no progress", hung(api.Verdict{Kind: "progress", Pulse: "p", SilentMS: 121_000, LimitMS: 120_000, Late: 1}, nothing)},
	{"paused", hung(api.Verdict{Kind: "paused", Pulse: "p", SilentMS: 301_000, LimitMS: 300_000, Late: 1}, nothing)},
	{"required", hung(api.Verdict{Kind: "required", Slot: -1, SilentMS: 60_000, LimitMS: 60_000}, func(a *api.Incident) { a.Ready = false })},
	{"lost", hung(api.Verdict{Kind: "lost", Pulse: "p", Tid: 7, Fine: 2, Late: 1}, nothing)},
	{"broken", hung(api.Verdict{Kind: "broken", Slot: -1, Message: "it was cut off at 100 bytes"}, nothing)},
	{"watchdog", hung(api.Verdict{Kind: "watchdog", Slot: -1, SilentMS: 30_001, LimitMS: 30_000, Late: 1}, func(a *api.Incident) { a.Status = "Working" })},
	{"trigger", hung(api.Verdict{Kind: "trigger", Slot: -1}, func(a *api.Incident) { a.Errno = "5" })},
	{"silence", hung(api.Verdict{Kind: "silence", Slot: -1, SilentMS: 600_300, LimitMS: 600_000, Late: 1}, nothing)},
	{"table", hung(api.Verdict{Kind: "table", Slot: 3, Pulse: "poller", SilentMS: 40_000, LimitMS: 30_000, Late: 1}, nothing)},
	{"check", hung(api.Verdict{Kind: "check", Slot: -1, Pulse: "http://127.0.0.1:8080/healthz", Failures: 3, Message: "503 Service Unavailable"},
		func(a *api.Incident) { a.Cause = api.CauseCheck })},
	{"a kind of a later version", hung(api.Verdict{Kind: "moon"}, func(a *api.Incident) { a.Message = "the moon was full" })},

	{"exit", died(func(a *api.Incident) { a.Cause, a.Code, a.Today = api.CauseExit, 3, 2 })},
	{"exit code 0, not restarted", died(func(a *api.Incident) { a.Cause, a.BackMS, a.DelayMS = api.CauseExit, 0, -1 })},
	{"exit before it was ready, restart waits", died(func(a *api.Incident) {
		a.Cause, a.Code, a.Ready, a.UptimeMS, a.BackMS, a.DelayMS, a.Today, a.Skipped = api.CauseExit, 1, false, 12, 0, 3200, 22, 5
	})},
	{"exit at once", died(func(a *api.Incident) { a.Cause, a.Code, a.UptimeMS = api.CauseExit, 1, 0 })},
	{"exit 127 of a shell", died(func(a *api.Incident) { a.Cause, a.Code = api.CauseExit, 127 })},
	{"exit 126 of a shell", died(func(a *api.Incident) { a.Cause, a.Code = api.CauseExit, 126 })},
	{"exit 139 of a shell", died(func(a *api.Incident) { a.Cause, a.Code = api.CauseExit, 139 })},
	{"crash with a core", died(func(a *api.Incident) { a.Cause, a.Signal, a.Core = api.CauseSignal, "SEGV", true })},
	{"crash without a core", died(func(a *api.Incident) { a.Cause, a.Signal = api.CauseSignal, "ABRT" })},
	{"killed by somebody", died(func(a *api.Incident) { a.Cause, a.Signal = api.CauseSignal, "KILL" })},
	{"terminated by somebody", died(func(a *api.Incident) { a.Cause, a.Signal = api.CauseSignal, "TERM" })},
	{"broken pipe", died(func(a *api.Incident) { a.Cause, a.Signal = api.CauseSignal, "PIPE" })},
	{"real-time signal", died(func(a *api.Incident) { a.Cause, a.Signal = api.CauseSignal, "36" })},
	{"out of memory", died(func(a *api.Incident) {
		a.Cause, a.Signal, a.Detail, a.Usage = api.CauseOOM, "KILL", "memory.events of its cgroup", &api.Usage{MaxRSS: 512 << 20}
	})},
	{"over a limit", died(func(a *api.Incident) { a.Cause, a.Detail = api.CauseOverLimit, "memory 600 MiB, allowed 512 MiB" })},
	{"start timeout", died(func(a *api.Incident) {
		a.Cause, a.Ready, a.UptimeMS, a.Status, a.BackMS, a.DelayMS = api.CauseStartTimeout, false, 60_002, "Loading models", 0, 0
	})},
	{"run timeout", died(func(a *api.Incident) {
		a.Cause, a.UptimeMS, a.Signal, a.BackMS, a.DelayMS = api.CauseRunTimeout, 3_600_002, "TERM", 0, 10_000
	})},
	{"exec: no such file", failedExec("exec", "ENOENT", `exec "/srv/web": no such file or directory`)},
	{"exec: not allowed", failedExec("exec", "EACCES", `exec "/srv/web": permission denied`)},
	{"exec: no program", failedExec("exec", "ENOEXEC", `exec "/srv/web": not a program`)},
	{"exec: no directory", failedExec("chdir", "ENOENT", `chdir "/srv/app": no such file or directory`)},
	{"exec: no entry", failedExec("chdir", "EACCES", `chdir "/srv/app": permission denied`)},
	{"exec: not in PATH", failedExec("lookup", "ENOENT", `"web" not found (looked for in "/bin")`)},
	{"exec: no such path", failedExec("lookup", "ENOENT", `program "/nix/web" not found`)},
	{"exec: not executable", failedExec("lookup", "EACCES", `program "/etc/passwd" is not executable: chmod +x it, or give its interpreter as the program`)},
	{"exec: another user", failedExec("user", "EPERM", `only root can run a program as another user: start stayd as root, or remove user "www"`)},
	{"exec: no such user", failedExec("user", "ENOENT", `no such user "www"`)},
	{"exec: above the limit", failedExec("rlimit open_files", "EPERM", `rlimit open_files "9999999": operation not permitted`)},
	{"exec: too many processes", failedExec("exec", "EAGAIN", `exec "/srv/web": resource temporarily unavailable`)},
	{"dependency", died(func(a *api.Incident) { a.Cause, a.Detail, a.Signal = api.CauseDependency, "db", "TERM" })},
	{"dependency that stays lost", died(func(a *api.Incident) { a.Cause, a.Detail, a.Signal, a.BackMS = api.CauseDependency, "db", "TERM", 0 })},
	{"operator: stop", died(func(a *api.Incident) {
		a.Cause, a.By, a.Signal, a.BackMS, a.DelayMS = api.CauseOperator, "stop", "TERM", 0, -1
	})},
	{"operator: restart, escalated", died(func(a *api.Incident) {
		a.Cause, a.By, a.Signal, a.Escalated = api.CauseOperator, "restart", "KILL", true
	})},
	{"operator: down", died(func(a *api.Incident) { a.Cause, a.By, a.BackMS, a.DelayMS = api.CauseOperator, "down", 0, -1 })},
	{"operator: something else", died(func(a *api.Incident) { a.Cause, a.By = api.CauseOperator, "roll" })},
	{"operator: not known how", died(func(a *api.Incident) { a.Cause = api.CauseOperator })},
	{"apply", died(func(a *api.Incident) { a.Cause, a.Detail = api.CauseChanged, "command, env" })},
	{"keeper", died(func(a *api.Incident) { a.Cause = api.CauseKeeper })},
	{"a cause of a later version", died(func(a *api.Incident) { a.Cause, a.Message = "moon", "the moon was full" })},
}

func failedExec(stage, errno, message string) *api.Incident {
	return died(func(a *api.Incident) {
		a.Cause, a.Stage, a.Errno, a.Message, a.Pid, a.UptimeMS, a.Started = api.CauseExec, stage, errno, message, 0, 0, time.Time{}
		a.Ready, a.BackMS, a.DelayMS = false, 0, 100
	})
}

// TestSentences compares all that is said with testdata/sentences.txt, which is for reading: -update writes it.
func TestSentences(t *testing.T) {
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "# %s\n%s\n- %s; %s\n\n", c.name, strings.Join(Sentences(c.a, now), "\n"), Phrase(c.a), Followed(c.a))
	}
	const file = "testdata/sentences.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n\n"), strings.Split(string(want), "\n\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("case %d:\n%s\nin the file:\n%s", i, at(got, i), at(wanted, i))
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(none)"
}

// TestEverythingIsSaid: each cause of package api has a case, and each kind of verdict that its comment names.
func TestEverythingIsSaid(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/incident.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if typ, ok := n.Type.(*ast.Ident); !ok || typ.Name != "Cause" {
				return true
			}
			cause, _ := strconv.Unquote(n.Values[0].(*ast.BasicLit).Value)
			covered(t, "cause", cause, func(a *api.Incident) bool { return string(a.Cause) == cause })
			if Phrase(&api.Incident{Cause: api.Cause(cause), Message: "unknown"}) == "unknown" {
				t.Errorf("cause %q has no phrase", cause)
			}
		case *ast.TypeSpec:
			if n.Name.Name != "Verdict" {
				return true
			}
			for _, kind := range strings.Split(n.Type.(*ast.StructType).Fields.List[0].Comment.Text(), ",") {
				kind, err := strconv.Unquote(strings.TrimSpace(kind))
				if err != nil {
					t.Fatalf("the kinds of verdicts are not where they were: %v", err)
				}
				if _, there := kinds[kind]; !there {
					t.Errorf("kind %q has no sentence", kind)
				}
				covered(t, "kind", kind, func(a *api.Incident) bool { return a.Verdict != nil && a.Verdict.Kind == kind })
			}
		}
		return true
	})
}

func covered(t *testing.T, what, name string, has func(*api.Incident) bool) {
	t.Helper()
	for _, c := range cases {
		if has(c.a) {
			return
		}
	}
	t.Errorf("%s %q has no case", what, name)
}

// TestAlone: no two causes and no two kinds of verdicts begin alike, so that nobody takes one for another.
func TestAlone(t *testing.T) {
	seen := map[string]string{}
	for _, c := range cases {
		first, what := Sentences(c.a, now)[0], string(c.a.Cause)
		if c.a.Verdict != nil {
			what += " " + c.a.Verdict.Kind
		}
		if other := seen[first]; other != "" && other != what {
			t.Errorf("%s and %s both say %s", what, other, first)
		}
		seen[first] = what
	}
}

// TestEmpty: what is not known is left out, and nothing panics.
func TestEmpty(t *testing.T) {
	causes := []api.Cause{"", "exit", "signal", "oom", "hang", "check", "over-limit", "start-timeout", "run-timeout", "exec", "dependency", "operator", "apply", "keeper"}
	for _, cause := range causes {
		for _, v := range []*api.Verdict{nil, {}, {Kind: "pulse", Slot: -1}, {Kind: "check"}} {
			for _, e := range []*api.Evidence{nil, {}, {Processes: []api.Seen{{}}}, {Processes: []api.Seen{{Threads: []api.Thread{{}}}}}} {
				a := &api.Incident{Name: "x", Cause: cause, Verdict: v, Evidence: e}
				text := Sentences(a, now)
				if len(text) == 0 || !strings.HasPrefix(text[0], "x ") || slices.Contains(text, "") {
					t.Errorf("%+v: %q", a, text)
				}
				for _, s := range Evidence(a, now) {
					if s.Title == "" || len(s.Lines) == 0 {
						t.Errorf("%+v: section %+v", a, s)
					}
				}
			}
		}
	}
}

func TestMoment(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{now.Add(-time.Minute), "at 14:59:00"},
		{now.Add(-time.Minute).UTC(), "at 14:59:00"},
		{now.AddDate(0, 0, -1), "yesterday at 15:00:00"},
		{now.AddDate(0, 0, -2), "on 2026-11-19 at 15:00:00"},
		{now.AddDate(0, 0, 1), "on 2026-11-22 at 15:00:00"},
		{time.Time{}, "at an unknown time"},
	} {
		if got := moment(c.t, now); got != c.want {
			t.Errorf("%v: %q, want %q", c.t, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		ms          float64
		span, limit string
	}{
		{-1, "0.0 ms", "0 ms"}, {0, "0.0 ms", "0 ms"}, {1.94, "1.9 ms", "1.9 ms"}, {9.96, "10 ms", "10 ms"}, {250.4, "250 ms", "250 ms"}, {999.6, "1.0 s", "1 s"},
		{1500, "1.5 s", "1.5 s"}, {30_004, "30.0 s", "30 s"}, {99_960, "1 min 40 s", "1 min 40 s"}, {120_000, "2 min", "2 min"}, {3_599_600, "1 h", "1 h"},
		{7_500_000, "2 h 5 min", "2 h 5 min"}, {273_600_000, "3 d 4 h", "3 d 4 h"},
	} {
		if got, l := span(c.ms), limit(c.ms); got != c.span || l != c.limit {
			t.Errorf("%v: %q and %q, want %q and %q", c.ms, got, l, c.span, c.limit)
		}
	}
	for n, want := range map[int]string{1: "first", 3: "third", 10: "tenth", 11: "11th", 12: "12th", 21: "21st", 22: "22nd", 23: "23rd", 24: "24th", 111: "111th", 121: "121st"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{-1: "0 B", 0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 512 << 20: "512 MiB", 5 << 40: "5 TiB", 5 << 50: "5120 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestHeld: each word of the judge has a meaning for people; other words stand for themselves.
func TestHeld(t *testing.T) {
	s := api.PulseSlot{AgeMS: 11_700, LimitMS: 1000, Why: "brake"}
	want := "`main` is late, 11.7 s of 1 s: brake (too many were killed for hangs in this minute: it waits its turn)."
	if got := Held("main", s); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, word := range []string{"traced", "frozen", "log", "starved", "crowd", "brake", "late"} {
		if holds[word] == "" {
			t.Errorf("%q has no meaning", word)
		}
	}
	s.Why = "moon"
	if got := Held("main", s); got != "`main` is late, 11.7 s of 1 s: moon." {
		t.Errorf("%q", got)
	}
}
