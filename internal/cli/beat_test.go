package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/page"
)

// beatPage makes a pulse page of four slots.
func beatPage(t *testing.T) (path string, read func() []page.Slot) {
	t.Helper()
	f, path, err := page.Make(private(t), "web.pulse", page.Options{Slots: 4, Generation: 1, Limit: time.Minute, UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return path, func() []page.Slot {
		t.Helper()
		slots, err := page.Read(f, 4, &page.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		var live []page.Slot
		for _, s := range slots {
			if s.State != 0 {
				live = append(live, s)
			}
		}
		return live
	}
}

// stay runs the command as a program of its own, with STAY_PULSE.
func stay(t *testing.T, place string, args ...string) (out string, err error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"stay"}, args...)
	cmd.Env = append(os.Environ(), "STAY_PULSE="+place, "GORACE=atexit_sleep_ms=0")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// private is a directory that a page may be made in.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pages")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBeat: each call is a process of its own, and they go on with one pulse, which no thread stands for.
func TestBeat(t *testing.T) {
	place, read := beatPage(t)
	for i, c := range []struct {
		args  string
		state page.State
		beats uint64 // since the call before
		limit time.Duration
		note  string
	}{
		{"beat jobs", page.Busy, 0, 0, ""}, // whether a first beat counts once or twice is no matter
		{"beat jobs", page.Busy, 1, 0, ""},
		{"beat jobs --limit 3s --note job-1", page.Busy, 1, 3 * time.Second, "job-1"},
		{"beat jobs", page.Busy, 1, 3 * time.Second, "job-1"},
		{"beat jobs --pause", page.Paused, 0, 3 * time.Second, "job-1"},
		{"beat jobs --resume --note job-2", page.Busy, 1, 3 * time.Second, "job-2"},
	} {
		before := read()
		out, err := stay(t, place, strings.Fields(c.args)...)
		slots := read()
		if err != nil || out != "" || len(slots) != 1 {
			t.Fatalf("%s: %v %q %+v", c.args, err, out, slots)
		}
		s := slots[0]
		if s.State != c.state || s.Tid != 0 || s.Name() != "jobs" || s.Note() != c.note || s.Limit != c.limit || i > 0 && s.Count != before[0].Count+c.beats {
			t.Errorf("%s: %+v %q %q", c.args, s, s.Name(), s.Note())
		}
	}
	if out, err := stay(t, place, "beat", "other"); err != nil || out != "" || len(read()) != 2 {
		t.Errorf("another name: %v %q %+v", err, out, read())
	}
	for range 2 { // the second one closes what is not there
		if out, err := stay(t, place, "beat", "jobs", "--close"); err != nil || out != "" || len(read()) != 1 {
			t.Errorf("--close: %v %q %+v", err, out, read())
		}
	}
}

// TestBeatOutside: without a page nothing happens; with one that is none it is said.
func TestBeatOutside(t *testing.T) {
	if out, err := stay(t, "", "beat", "jobs"); err != nil || out != "" {
		t.Errorf("outside: %v %q", err, out)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := stay(t, other, "beat", "jobs")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.HasPrefix(out, "stay: beat: pulse page ") || strings.Count(out, "\n") != 2 {
		t.Errorf("no page: %v %q", err, out)
	}
	if text, err := os.ReadFile(other); err != nil || strings.Trim(string(text), "\x00") != "" {
		t.Errorf("it was written to: %v %q", err, text)
	}
	place, read := beatPage(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		if out, err := stay(t, place, "beat", name); err != nil {
			t.Fatal(err, out)
		}
	}
	out, err = stay(t, place, "beat", "e")
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "slots") || len(read()) != 4 {
		t.Errorf("full: %v %q", err, out)
	}
	if out, err := stay(t, place, "beat", "e", "--close"); err != nil || out != "" || len(read()) != 4 {
		t.Errorf("--close when full: %v %q", err, out)
	}
}

func TestBeatUsage(t *testing.T) {
	for args, want := range map[string]string{
		"beat":                       "stay: beat needs the name of a pulse\n  stay beat NAME\n",
		"beat a b":                   "stay: beat needs the name of a pulse\n  stay beat NAME\n",
		"beat jobs --limit -3s":      "stay: invalid argument \"-3s\" for \"--limit\" flag: say a number and its unit, as in 500ms, 30s or 5m\n  stay beat --help\n",
		"beat jobs --pause --close":  "stay: one of --pause, --resume and --close at a time\n  stay beat jobs --pause\n",
		"beat jobs --resume --pause": "stay: one of --pause, --resume and --close at a time\n  stay beat jobs --pause\n",
	} {
		if code, out, err := run(t, strings.Fields(args)...); code != 2 || out != "" || err != want {
			t.Errorf("stay %s: %d %q %q", args, code, out, err)
		}
	}
}

// BenchmarkBeat is what a script pays: a process that beats once.
func BenchmarkBeat(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "pages")
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	f, place, err := page.Make(dir, "web.pulse", page.Options{UID: -1, GID: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cmd := exec.Command(exe)
		cmd.Args, cmd.Env = []string{"stay", "beat", "jobs"}, append(os.Environ(), "STAY_PULSE="+place)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatal(err, string(out))
		}
	}
}
