package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	y := newYard(t, "a", "b")
	if code, out, err := run(t, "check"); code != 0 || out != "stay.toml: 2 services, no errors\n" || err != "" {
		t.Errorf("%d %q %q", code, out, err)
	}
	if code, _, _ := run(t, "check", "some.toml"); code != 0 {
		t.Errorf("check FILE: %d", code)
	}
	if calls := y.calls(t); calls[0] != "check --json" || calls[1] != "check --json -f some.toml" {
		t.Errorf("stayd was called %q", calls)
	}
	y.report.Errors = []configError{{File: y.report.File, Line: 2, Column: 1, Message: "bad\x1b"}}
	y.save(t, "report", y.report)
	if code, out, err := run(t, "check"); code != 1 || out != "" || err != "stay.toml:2:1: bad·\nstay: 1 error in \"stay.toml\"\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestNoStayd(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	want := "stay: the program \"stayd\" is not beside stay and not in PATH\n  put stay and stayd into one directory\n"
	for _, args := range [][]string{{"up"}, {"up", "-d"}, {"check"}} {
		if code, _, err := run(t, args...); code != 1 || err != want {
			t.Errorf("stay %q: %d %q", args, code, err)
		}
	}
}

func TestStrangeStayd(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"echo boom >&2; exit 3", `check: boom`},
		{"echo garbage", `check: invalid character`},
		{`echo '{}'; exit 1`, `check: exit status 1`},
		{`kill -9 $$`, `check: unexpected end of JSON`},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "stayd"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":/bin:/usr/bin")
		if code, _, err := run(t, "check"); code != 1 || !strings.HasPrefix(err, "stay: ") || !strings.Contains(err, c.want) {
			t.Errorf("%s: %d %q; want %q", c.script, code, err, c.want)
		}
	}
}

// TestKeeperStarts: what a starting daemon may do, and how it is understood.
func TestKeeperStarts(t *testing.T) {
	for _, c := range []struct {
		name, script string
		warning      string
		err          string
	}{
		{"up", "exec >/dev/null 2>&1; read x < fifo", "", ""},
		{"refuses", "echo 'stay: no' >&2; echo '  do this' >&2; exit 1", "", "no"},
		{"refuses without a prefix", "echo no; exit 1", "", "no"},
		{"warns", "echo careful; exec >/dev/null 2>&1; read x < fifo", "careful", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "stayd"), []byte("#!/bin/sh\nmkfifo fifo 2>/dev/null\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		t.Setenv("PATH", dir+":/bin:/usr/bin")
		warning, err := startKeeper(t.Context())
		if warning != c.warning || err == nil && c.err != "" || err != nil && err.Error() != c.err {
			t.Errorf("%s: %q, %v", c.name, warning, err)
		}
		if err == nil { // it waits for its fifo
			f, err := os.OpenFile("fifo", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
}

func TestKeeperHangs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stayd"), []byte("#!/bin/sh\nmkfifo fifo\nread x < fifo\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := startKeeper(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestShortPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range []struct{ path, want string }{
		{dir + "/stay.toml", "stay.toml"}, {dir + "/a/b", "a/b"}, {"/etc/stay.toml", "/etc/stay.toml"}, {"", ""}, {"x", "x"},
	} {
		if got := shortPath(c.path); got != c.want {
			t.Errorf("%q is %q, want %q", c.path, got, c.want)
		}
	}
}
