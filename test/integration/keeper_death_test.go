package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// killKeeper kills the keeper and waits until another one has taken over.
func (d *daemon) killKeeper() api.Daemon {
	d.t.Helper()
	before, err := d.version()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Kill(before.KeeperPid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	var now api.Daemon
	d.wait("another keeper", func() error {
		now, err = d.version()
		if err == nil && now.KeeperPid == before.KeeperPid {
			err = fmt.Errorf("it is still %d", now.KeeperPid)
		}
		return err
	})
	d.keeperPid = now.KeeperPid
	return now
}

// TestKeeperDeath: services live, none is doubled, supervision goes on, and a second daemon is refused meanwhile.
func TestKeeperDeath(t *testing.T) {
	d := start(t, `[service.web]
command = "sh -c 'while :; do echo beat; sleep 0.05; done'"
instances = 2
[service.crash]
command = "sh -c 'echo here; exit 3'"
[service.user]
command = "sleep 1000"
needs = ["web"]`)
	d.until("crash", "waiting after some deaths", func(i api.Instance) bool { return i.State == api.Waiting && i.Restarts >= 3 })
	before := map[string]api.Instance{}
	for _, i := range d.status("") {
		before[i.Name] = i
	}
	now := d.killKeeper()
	for _, name := range []string{"web", "web.2", "user"} {
		if i := d.one(name); i.Pid != before[name].Pid || i.State != api.Running || !alive(i.Pid) {
			t.Errorf("%s was %+v, is %+v", name, before[name], i)
		}
	}
	if i := d.one("crash"); i.Restarts < before["crash"].Restarts {
		t.Errorf("restarts of crash were lost: %+v", i)
	}
	second := exec.Command(filepath.Join(binaries, "stayd"), "keeper", "--file", filepath.Join(d.dir, "stay.toml"))
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), fmt.Sprintf("already running on %q (pid %d)", d.dir+"/.stay", now.KeeperPid)) {
		t.Errorf("a second daemon: %v %s", err, out)
	}
	// Survivors are watched: one that dies comes back, as a child of the new keeper.
	web := before["web"]
	if err := syscall.Kill(web.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	back := d.running("web", web.Generation)
	if parent := parentOf(t, back.Pid); parent != now.KeeperPid {
		t.Errorf("the new web is a child of %d, not of the keeper %d", parent, now.KeeperPid)
	}
	// And they obey.
	d.do(api.Stop, "web.2")
	if alive(before["web.2"].Pid) {
		t.Error("web.2 was stopped and is alive")
	}
	lines := strings.Count(d.output("web.2"), "beat")
	if lines == 0 {
		t.Error("no output of web.2")
	}
	// An engine that dies under the new keeper is replaced like any other, and a second keeper's death is as good.
	d.killEngine()
	if i := d.one("user"); i.Pid != before["user"].Pid || i.State != api.Running {
		t.Errorf("user was %+v, is %+v", before["user"], i)
	}
	d.killKeeper()
	if i := d.one("user"); i.Pid != before["user"].Pid || i.State != api.Running {
		t.Errorf("user was %+v, is %+v", before["user"], i)
	}
	if err := syscall.Kill(d.keeperPid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.wait("nothing left", d.left)
}

func parentOf(t testing.TB, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var ppid int
	_, rest, _ := strings.Cut(string(data), ") ")
	if _, err := fmt.Sscanf(rest[2:], "%d", &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// TestEscapeeOfAnAdoptedTree: who left the session of a service and is nobody's child any more, because the keeper that
// would have been given it is dead, is still found: it goes with its generation, and none starts beside it.
func TestEscapeeOfAnAdoptedTree(t *testing.T) {
	d := start(t, `[service.web]
command = "sh -c 'setsid setsid sh -c \"trap : TERM; echo \\$\\$ >escapee; exec >/dev/null 2>&1; while :; do sleep 1; done\" & exec sleep 1000'"
stop = { timeout = "300ms" }`)
	web := d.running("web", 0)
	var escapee int
	d.wait("the escapee", func() error {
		data, err := os.ReadFile(filepath.Join(d.dir, "escapee"))
		if err == nil {
			escapee, err = parsePid(data)
		}
		return err
	})
	d.killKeeper()
	if !alive(escapee) || !alive(web.Pid) {
		t.Fatal("it did not outlive the keeper")
	}
	d.do(api.Stop, "web")
	if alive(escapee) {
		t.Errorf("stop has returned and %d is alive", escapee)
	}
}

// TestKeeperKilledAgainAndAgain: every keeper is killed as soon as it is there; the services notice nothing.
func TestKeeperKilledAgainAndAgain(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"
instances = 3`)
	before := []api.Instance{d.running("web", 0), d.running("web.2", 0), d.running("web.3", 0)}
	for range 8 {
		d.killKeeper()
	}
	for _, b := range before {
		if i := d.one(b.Name); i.Pid != b.Pid || i.State != api.Running || i.Restarts != 0 {
			t.Errorf("%s was %+v, is %+v", b.Name, b, i)
		}
	}
	d.do(api.Restart, "web")
	if i := d.one("web"); parentOf(t, i.Pid) != d.keeperPid {
		t.Errorf("the new web is no child of the keeper: %+v", i)
	}
}

// TestKeeperStopped: a keeper that somebody has stopped is let go on, by an engine that needs it.
func TestKeeperStopped(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"`)
	web := d.running("web", 0)
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(v.KeeperPid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.do(api.Restart, "web") // takes as long as it takes to notice
	if now, err := d.version(); err != nil || now.KeeperPid != v.KeeperPid || now.EnginePid != v.EnginePid {
		t.Errorf("they were %+v, are %+v %v", v, now, err)
	}
	if i := d.one("web"); i.Pid == web.Pid || i.State != api.Running {
		t.Errorf("web was %+v, is %+v", web, i)
	}
}

// TestExitCodesOfSurvivors: how a process ended whose keeper had been killed is known all the same, if it can be seen before
// whoever reaps orphans has reaped it, or Linux is 6.15 or newer.
func TestExitCodesOfSurvivors(t *testing.T) {
	d := prepare(t, "")
	good, bad := fifo(t, d.dir, "good"), fifo(t, d.dir, "bad")
	d.write(steps(t, "good", "open", good, "exit", "0") + "restart = { when = \"on-failure\" }\n" +
		steps(t, "bad", "open", bad, "exit", "7") + "restart = { when = \"never\" }\n")
	d.up()
	d.running("good", 0)
	d.running("bad", 0)
	d.killKeeper()
	release(t, good)
	release(t, bad)
	if i := d.until("bad", "ended", func(i api.Instance) bool { return i.Pid == 0 }); !strings.Contains(i.Why, "7") {
		t.Errorf("bad ended with 7, and is %+v", i)
	}
	if i := d.until("good", "ended", func(i api.Instance) bool { return i.Pid == 0 }); i.Restarts != 0 || strings.Contains(i.Why, "keeper") {
		t.Errorf("good ended well, and is %+v", i)
	}
}
