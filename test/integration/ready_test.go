package integration

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: how a started process becomes a ready one, and what it says of itself.

func TestReadyNotify(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate, end := fifo(t, d.dir, "gate"), fifo(t, d.dir, "end")
	d.write(steps(t, "web", "send", "STATUS=warming up", "open", gate, "send", "READY=1;STATUS=at work", "open", end,
		"send", "STATUS=closing;STOPPING=1", "term") + "ready = \"notify\"\nstop = { timeout = \"1s\" }\n")
	d.up()
	i := d.until("web", "warming up", func(i api.Instance) bool { return i.Status == "warming up" })
	if i.State != api.Starting || i.Pid == 0 {
		t.Errorf("before READY=1 it is %+v", i)
	}
	release(t, gate)
	i = d.running("web", 0)
	check(t, "the status", d.until("web", "at work", func(i api.Instance) bool { return i.Status == "at work" }).Why, "at work")
	d.killEngine()
	if now := d.one("web"); now.State != api.Running || now.Status != "at work" || now.Pid != i.Pid {
		t.Errorf("for the next engine it is %+v", now)
	}
	release(t, end)
	d.why("web", "it says that it is stopping")
	// It waits for SIGTERM, and gets SIGKILL when its time to stop is over; then it is started again.
	if err := terminate(i.Pid); err != nil {
		t.Fatal(err)
	}
	d.until("web", "started again", func(now api.Instance) bool { return now.Generation > i.Generation && now.Pid != 0 })
	release(t, gate)
	d.running("web", i.Generation)
}

// TestReadyNotifyLauncher: a launcher hands over to another process and ends; that one is the service from then on.
func TestReadyNotifyLauncher(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	launch, gate := fifo(t, d.dir, "launch"), fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "say", "launcher", "open", launch, "fork", "open", gate, "send", "READY=1", "say", "serving", "forever") + "ready = \"notify\"\n")
	d.up()
	first := d.until("web", "started", func(i api.Instance) bool { return i.Pid != 0 }).Pid
	release(t, launch)
	d.until("web", "handed over", func(i api.Instance) bool { return i.Pid != 0 && i.Pid != first || !alive(first) })
	release(t, gate)
	i := d.running("web", 0)
	d.says("web", "serving")
	if i.Pid == first || !alive(i.Pid) || i.Generation != 1 || i.Restarts != 0 {
		t.Errorf("launcher was %d, the service is %+v", first, i)
	}
	if n := len(family(i.Pid)); n != 1 {
		t.Errorf("the main process has %d in its family", n)
	}
	d.killEngine()
	if now := d.one("web"); now.Pid != i.Pid {
		t.Errorf("the next engine knows %+v, it was %+v", now, i)
	}
	kill(t, i.Pid)
	release(t, launch)
	release(t, gate)
	second := d.running("web", i.Generation)
	d.do(api.Stop, "web")
	if alive(second.Pid) {
		t.Errorf("%d is alive after stop", second.Pid)
	}
}

func TestReadyDescriptor(t *testing.T) {
	t.Parallel()
	for _, fd := range []string{"3", "17"} {
		t.Run("fd "+fd, func(t *testing.T) {
			t.Parallel()
			d := prepare(t, "")
			gate := fifo(t, d.dir, "gate")
			d.write(steps(t, "web", "say", "here", "open", gate, "newline", fd, "forever") + "ready = \"fd:" + fd + "\"\n")
			d.up()
			d.says("web", "here")
			if i := d.one("web"); i.State != api.Starting {
				t.Errorf("before the newline it is %+v", i)
			}
			d.killEngine()
			if i := d.one("web"); i.State != api.Starting {
				t.Errorf("before the newline, to the next engine, it is %+v", i)
			}
			release(t, gate)
			d.running("web", 0)
		})
	}
}

func TestReadyAfter(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\nready = \"after:300ms\"\n[service.never]\ncommand = \"sh -c 'exit 3'\"\nready = \"after:300ms\"\n")
	d.running("web", 0)
	starting, running := d.became("web", api.Starting), d.became("web", api.Running)
	if len(starting) != 1 || len(running) != 1 || running[0]-starting[0] < int64(300*time.Millisecond) {
		t.Errorf("starting at %v, running at %v, want 300 ms between", starting, running)
	}
	d.until("never", "restarted", func(i api.Instance) bool { return i.Restarts > 2 })
	if n := len(d.became("never", api.Running)); n != 0 {
		t.Errorf("what ends before its time was ready %d times", n)
	}
}

// TestStartTimeout: who is not ready in time is ended and started again, for that reason.
func TestStartTimeout(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.mute]
command = "sleep 1000"
ready = "notify"
start_timeout = "200ms"
[service.deaf]
command = "sh -c 'trap \"\" TERM; echo here; while :; do sleep 1000; done'"
ready = "fd:3"
start_timeout = "200ms"
stop = { timeout = "100ms" }
`)
	for _, name := range []string{"mute", "deaf"} {
		i := d.why(name, "not ready in time, retry in .*")
		if i.State != api.Waiting {
			t.Errorf("%s is %+v", name, i)
		}
		d.until(name, "tried again", func(i api.Instance) bool { return i.Generation > 2 })
		for n, at := range d.became(name, api.Stopping) {
			if begin := d.became(name, api.Starting)[n]; at-begin < int64(200*time.Millisecond) {
				t.Errorf("%s: start %d was given up after %d ms", name, n+1, (at-begin)/1e6)
			}
		}
	}
	r, err := d.try(api.Command{Verb: api.Start, Target: "mute"})
	if err != nil || len(r.Failures) != 1 || !strings.HasPrefix(r.Failures[0].Message, "not ready in time") {
		t.Errorf("start: %v, %+v", err, r.Failures)
	}
}

// TestNotifySocketOfUser: a service of another user reaches its socket, and nobody else's.
func TestNotifySocketOfUser(t *testing.T) {
	needsRoot(t, "only root runs programs as another user")
	t.Parallel()
	d := prepareAt(t, shared(t), "")
	d.write(steps(t, "web", "send", "READY=1", "forever") + "ready = \"notify\"\nuser = \"nobody\"\n" +
		steps(t, "spy", "say", "here", "exit", "0") + "user = \"daemon\"\nenabled = false\n")
	d.up()
	i := d.running("web", 0)
	socket := process{t, i.Pid}.env()["NOTIFY_SOCKET"]
	if out, err := output("setpriv", "--reuid=2", "--regid=2", "--clear-groups", "sh", "-c", "test -w "+socket); err == nil {
		t.Errorf("another user may write to %s %s", filepath.Base(socket), out)
	}
	if out, err := output("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", "test -w "+socket); err != nil {
		t.Errorf("its own user may not write to %s: %v %s", filepath.Base(socket), err, out)
	}
}

// TestStatusText: what a service says of itself is shown, however odd.
func TestStatusText(t *testing.T) {
	t.Parallel()
	text := "100 % \x1b[31mred\x07 ö"
	d := start(t, steps(t, "web", "send", "READY=1;STATUS="+text, "forever")+"ready = \"notify\"\n")
	d.running("web", 0)
	i := d.until("web", "heard", func(i api.Instance) bool { return i.Status != "" })
	if strings.ContainsAny(i.Status, "\x1b\x07") || !strings.Contains(i.Status, "100 %") {
		t.Errorf("the status is %q", i.Status)
	}
}
