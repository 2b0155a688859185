package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

func TestLogs(t *testing.T) {
	e := three()
	e.logs = []api.LogLine{{Name: "db", Text: "one"}, {Name: "web", Text: "two"}, {Name: "web.2", Text: "three \x1b[2J"}}
	socket := serve(t, e)
	for _, c := range []struct{ args, asked, out string }{
		{"logs", "logs [] 100 false", "db    │ one\nweb   │ two\nweb.2 │ three ·[2J\n"},
		{"logs db", `logs ["db"] 100 false`, "one\n"},
		{"logs web.2 -n 3", `logs ["web.2"] 3 false`, "three ·[2J\n"},
		{"logs web* -n -1", `logs ["web*"] -1 false`, "web   │ two\nweb.2 │ three ·[2J\n"},
		{"logs web db", `logs ["web" "db"] 100 false`, "db    │ one\nweb   │ two\n"},
	} {
		code, out, err := run(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		asked := e.questions()
		if code != 0 || out != c.out || err != "" || asked[len(asked)-1] != c.asked {
			t.Errorf("stay %s: %d %q %q, asked %q; want %q", c.args, code, out, err, asked, c.out)
		}
	}
	if code, _, err := run(t, "--socket", socket, "logs", "nix"); code != 1 || !strings.Contains(err, `there is no service "nix"`) {
		t.Errorf("logs nix: %d %q", code, err)
	}
}

func TestLogsFollow(t *testing.T) {
	e := three()
	s := begin("--socket", serve(t, e), "logs", "-f", "db")
	e.write("db", "one")
	s.out.await(t, "one\n", 1)
	e.write("web", "not this one")
	e.write("db", "two")
	s.out.await(t, "two\n", 1)
	s.out.mu.Lock()
	s.out.broken = true
	s.out.mu.Unlock()
	e.write("db", "three")
	if code, out, err := s.end(t); code != 0 || out != "one\ntwo\n" || err != "" {
		t.Errorf("%d %q %q", code, out, err)
	}
}

// TestLogsWithoutDaemon: they are files, and stayd reads them.
func TestLogsWithoutDaemon(t *testing.T) {
	y := newYard(t, "web")
	code, out, err := run(t, "logs", "-n", "5", "web", "db")
	if code != 0 || out != "a line of a file\n" || err != "stay: no daemon runs: these are the files in \""+y.report.LogDir+"\"\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	if calls := y.calls(t); calls[len(calls)-1] != "logs --dir "+y.report.LogDir+" -n 5 -- web db" {
		t.Errorf("stayd was called %q", calls)
	}
	if code, _, err := run(t, "logs", "-f"); code != 3 || !strings.HasPrefix(err, "stay: no daemon on ") {
		t.Errorf("logs -f: %d %q", code, err)
	}

	// A daemon of `stay run` has no configuration: its logs are beside its socket.
	y.save(t, "report", report{Errors: []configError{{Message: "no stay.toml here"}}})
	code, out, err = run(t, "logs")
	if code != 0 || out != "a line of a file\n" {
		t.Errorf("without a configuration: %d %q %q", code, out, err)
	}
	if err := os.Remove(filepath.Join(y.dir, ".stay", "log")); err != nil {
		t.Fatal(err)
	}
	if code, _, err := run(t, "logs"); code != 3 || !strings.HasPrefix(err, "stay: no daemon on ") {
		t.Errorf("without logs: %d %q", code, err)
	}

	// Logs of another daemon than the one that was asked for are not shown.
	y.save(t, "report", y.report)
	if code, _, _ := run(t, "--socket", filepath.Join(y.dir, "other.sock"), "logs"); code != 3 {
		t.Errorf("logs of another daemon: %d", code)
	}
}

func TestSameFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{dir + "/s", dir + "/s", true},
		{dir + "/link/s", dir + "/s", true},
		{dir + "/s", dir + "/t", false},
		{dir + "/nix/s", dir + "/s", false},
	} {
		if got := sameFile(c.a, c.b); got != c.want {
			t.Errorf("sameFile(%q, %q) is %t", c.a, c.b, got)
		}
	}
}

// TestIsDir: a directory behind one that the caller may not enter is left to whoever reads it, and says why it cannot.
func TestIsDir(t *testing.T) {
	dir := t.TempDir()
	file, closed := filepath.Join(dir, "file"), filepath.Join(dir, "closed")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !isDir(dir) || isDir(file) || isDir(filepath.Join(dir, "nothing")) {
		t.Error("a directory, a file and nothing are mixed up")
	}
	if os.Geteuid() == 0 {
		t.Skip("root may enter every directory")
	}
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	if !isDir(filepath.Join(closed, "log")) {
		t.Error("what cannot be seen is taken for absent")
	}
}

// TestLogsChoice: flags become what the daemon is asked, in its terms.
func TestLogsChoice(t *testing.T) {
	e := three()
	e.logs = []api.LogLine{{Name: "db", Text: "one", Pos: "1-2-3-4"}}
	socket := serve(t, e)
	for _, c := range []struct{ args, asked string }{
		{"logs --grep a.b db", `logs ["db"] -1 false -62135596800 to -62135596800 "a.b"`},
		{"logs --grep a.b -n 3 db", `logs ["db"] 3 false -62135596800 to -62135596800 "a.b"`},
		{"logs --since 1970-01-01T00:00:05Z --until 1970-01-01T00:00:09Z db", `logs ["db"] -1 false 5 to 9 ""`},
	} {
		code, out, err := run(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		asked := e.questions()
		if code != 0 || out != "one\n" || err != "" || asked[len(asked)-1] != c.asked {
			t.Errorf("stay %s: %d %q %q, asked %q; want %q", c.args, code, out, err, asked[len(asked)-1], c.asked)
		}
	}
	code, out, err := run(t, "--socket", socket, "logs", "--rotate", "db")
	if asked := e.questions(); code != 0 || out+err != "" || asked[len(asked)-1] != `rotate ["db"]` {
		t.Errorf("--rotate: %d %q %q, asked %q", code, out, err, asked[len(asked)-1])
	}
	if _, out, _ := run(t, "--socket", socket, "logs", "--json", "db"); out != `{"name":"db","text":"one","pos":"1-2-3-4"}`+"\n" {
		t.Errorf("--json: %s", out)
	}
}

func TestLogsMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"logs --grep (", "stay: --grep \"(\" is no regular expression: error parsing regexp: missing closing ): `(`\n"},
		{"logs --since soon", `stay: --since "soon" is no time` + "\n"},
		{"logs --until 25:00", `stay: --until "25:00" is no time` + "\n"},
		{"logs -f --until 14:03", "stay: --until is of the past, --follow of what is to come\n"},
	} {
		code, out, err := run(t, strings.Fields(c.args)...)
		if code != 2 || out != "" || !strings.HasPrefix(err, c.want) || strings.Count(err, "\n") != 2 {
			t.Errorf("stay %s: %d %q %q; want 2 %q and a hint", c.args, code, out, err, c.want)
		}
	}
}

// TestTimeOf: a time of day is the last one there was.
func TestTimeOf(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 30, 0, 0, time.FixedZone("x", 3600))
	for text, want := range map[string]string{
		"10m": "2026-11-21T14:20:00+01:00", "2d": "2026-11-19T14:30:00+01:00", "14:03": "2026-11-21T14:03:00+01:00",
		"14:31": "2026-11-20T14:31:00+01:00", "14:29:59": "2026-11-21T14:29:59+01:00", "2026-11-21 14:03": "2026-11-21T14:03:00+01:00",
		"2026-11-21T14:03:04.5Z": "2026-11-21T14:03:04.5Z", "today": "2026-11-21T00:00:00+01:00",
	} {
		if got, err := timeOf("since", text, now); err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s is %v (%v), want %s", text, got, err, want)
		}
	}
}

// TestLogsOfFilesChoice: what is asked of the daemon is asked of stayd where none runs.
func TestLogsOfFilesChoice(t *testing.T) {
	y := newYard(t, "web")
	code, _, err := run(t, "logs", "--since", "1970-01-01T00:00:05Z", "--until", "1970-01-01T00:00:09Z", "--grep", "x", "--json", "web")
	calls := y.calls(t)
	if want := "logs --dir " + y.report.LogDir + " -n -1 --since 1970-01-01T00:00:05Z --until 1970-01-01T00:00:09Z --grep x --json -- web"; code != 0 || calls[len(calls)-1] != want {
		t.Errorf("%d %q, called %q", code, err, calls)
	}
}

// TestLogsFollowEnds: who follows is told when there is nobody any more who could write.
func TestLogsFollowEnds(t *testing.T) {
	e := three()
	s := begin("--socket", serve(t, e), "logs", "-f", "db")
	e.write("db", "one")
	s.out.await(t, "one\n", 1)
	e.onDown()
	if code, out, err := s.end(t); code != 0 || out != "one\n" || err != "stay: the daemon has ended: nothing more is followed\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
}
