package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/stay/api"
)

// TestLogFiles: a service with a log file of its own, which is rotated and compressed while it is written; it is read whole
// by this engine, by the next one, and without a daemon; and the log goes on in another file when the key is changed.
func TestLogFiles(t *testing.T) {
	t.Parallel()
	const lines = 30000
	config := func(log string) string {
		return fmt.Sprintf("[service.web]\ncommand = \"seq -f 'line number %%.0f' %d\"\nrestart = { when = \"never\" }\nenabled = false\n"+
			"log = { max_size = \"64KiB\", keep = 100, timestamps = false%s }\n", lines, log)
	}
	d := prepare(t, config(`, file = "own/web.log"`))
	own := filepath.Join(d.dir, "own")
	if err := os.Mkdir(own, 0o750); err != nil {
		t.Fatal(err)
	}
	whole := func(how string, got []string) {
		t.Helper()
		if len(got) != lines {
			t.Fatalf("%s: %d lines, want %d", how, len(got), lines)
		}
		for i, l := range got {
			if want := fmt.Sprintf("line number %d", i+1); l != want {
				t.Fatalf("%s: line %d is %q, want %q", how, i+1, l, want)
			}
		}
	}
	d.up()
	d.do(api.Start, "web")
	d.until("web", "done", func(i api.Instance) bool { return i.State == api.Done })
	d.wait("old files to be compressed", func() error {
		for _, file := range d.list(own) {
			if file != "web.log" && file != "web.log.1" && !strings.HasSuffix(file, ".zst") {
				return fmt.Errorf("%s is not", file)
			}
		}
		return nil
	})
	if n := len(d.list(own)); n < lines*len("line number 10000\n")/(64<<10) {
		t.Errorf("only %d files", n)
	}
	last := fmt.Sprintf("line number %d", lines)
	whole("the engine", d.says("web", last))
	d.killEngine()
	whole("the next engine", d.lines("web"))
	offline := func() []string {
		out, err := exec.Command(filepath.Join(binaries, "stayd"), "logs", "--dir", filepath.Join(d.dir, ".stay", "log"), "--n", "-1", "web").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}
	whole("no engine", offline())

	changes, err := d.apply(config(""))
	if err != nil || changes["web"].Action != "change" {
		t.Fatalf("%+v (%v)", changes, err)
	}
	before := fmt.Sprint(d.list(own))
	d.do(api.Start, "web")
	d.until("web", "done again", func(i api.Instance) bool { return i.State == api.Done && i.Generation == 2 })
	whole("in the log directory", d.says("web", last))
	if after := fmt.Sprint(d.list(own)); after != before {
		t.Errorf("the files there were are %s, and were %s", after, before)
	}
}

// list are the names in a directory.
func (d *daemon) list(dir string) (names []string) {
	d.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
