package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
	"example.com/stay/client"
)

// TestPassedOver: a .stay that others can write is not believed, and that is said.
func TestPassedOver(t *testing.T) {
	y := newYard(t)
	e := newEngine(instance("web", api.Running, 7))
	serveOn(t, y.socket, e)
	below := filepath.Join(y.dir, "below", ".stay")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(below, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(below))
	code, out, err := run(t, "status", "web")
	if code != 0 || !strings.Contains(out, "running") || err != fmt.Sprintf("stay: %s was passed over: others can write to it\n", below) {
		t.Errorf("%d %q %q", code, out, err)
	}
}

// TestSomebodyElseWasFaster: of two that start a daemon at once, one is refused, and uses the other's.
func TestSomebodyElseWasFaster(t *testing.T) {
	y := newYard(t)
	y.save(t, "refuse", "stay: a daemon is already running\n")
	serveOn(t, y.socket, newEngine())
	a := newApp(nil, newScreen(), newScreen())
	d, fresh, err := a.startDaemon(t.Context(), client.Dial(y.socket))
	if err != nil || fresh || d.Version != "fake" {
		t.Errorf("%+v, fresh %t, %v", d, fresh, err)
	}
}

// TestCameAndWent: a daemon that says nothing and is not there.
func TestCameAndWent(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stayd"), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	a := newApp(nil, newScreen(), newScreen())
	_, _, err := a.startDaemon(t.Context(), client.Dial(filepath.Join(dir, "none")))
	r := toRefusal(err)
	if r.code != exitFailed || !strings.HasPrefix(r.message, "the daemon came up and went: no daemon on ") || r.hint == "" {
		t.Errorf("%+v", r)
	}
}

// TestWarningIsShown: what a daemon that starts all the same has to say.
func TestWarningIsShown(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nmkfifo fifo\necho careful\nexec >/dev/null 2>&1\nread x < fifo\n"
	if err := os.WriteFile(filepath.Join(dir, "stayd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	t.Chdir(dir)
	screen := newScreen()
	a := newApp(nil, newScreen(), screen)
	e := newEngine()
	if _, fresh, err := a.startDaemon(t.Context(), client.Dial(serve(t, e))); err != nil || !fresh {
		t.Errorf("fresh %t, %v", fresh, err)
	}
	if screen.String() != "stay: careful\n" {
		t.Errorf("it said %q", screen)
	}
	f, err := os.OpenFile("fifo", os.O_WRONLY, 0) // it waits for that, and ends
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestGone(t *testing.T) {
	for _, c := range []struct {
		err  error
		gone bool
		hint string
	}{
		{&client.NotReachable{Socket: "/s", Err: syscall.ENOENT}, true, "start one: stay up"},
		{&client.NotReachable{Socket: "/s", Err: syscall.ECONNREFUSED}, true, "start one: stay up"},
		{&client.NotReachable{Socket: "/s", Err: syscall.EACCES}, false, "it belongs to another user: sudo stay …, or name yours with --socket"},
		{context.Canceled, false, ""},
	} {
		if r := toRefusal(c.err); isGone(c.err) != c.gone || r.hint != c.hint {
			t.Errorf("%v: gone %t, hint %q", c.err, isGone(c.err), r.hint)
		}
	}
}

// TestAttachFails: what the daemon refuses while something is shown ends the showing.
func TestAttachFails(t *testing.T) {
	e := three()
	c := client.Dial(serve(t, e))
	a := newApp(nil, newScreen(), newScreen())
	a.notify = func(chan<- os.Signal, ...os.Signal) {}
	if how, err := a.attach(c, attachment{targets: []string{"nix"}}); how != left || toRefusal(err).message != `there is no service "nix"` {
		t.Errorf("%d, %v", how, err)
	}
}

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		in   api.Instance
		want string
	}{
		{instance("web", api.Running, 7), "web: running, pid 7"},
		{instance("web", api.Stopped, 0), "web: stopped"},
		{api.Instance{Name: "web", State: api.Waiting, Why: "waiting for db\x1b"}, "web: waiting, waiting for db·"},
	} {
		if got := brief(c.in); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 services", 1: "1 service", 2: "2 services"} {
		if got := count(n, "service"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
