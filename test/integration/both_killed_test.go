package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// killBoth kills keeper and engine, stopped first, so that neither sees the other die.
func (d *daemon) killBoth() {
	d.t.Helper()
	v, err := d.version()
	if err != nil {
		d.t.Fatal(err)
	}
	pids := []int{v.EnginePid, v.KeeperPid}
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range pids {
			if err := syscall.Kill(pid, sig); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	for _, pid := range pids {
		d.wait("the end of both", func() error {
			if alive(pid) {
				return fmt.Errorf("%d is there", pid)
			}
			return nil
		})
	}
	if d.keeperPid == 0 {
		<-d.ended
	}
	d.keeperPid = 0
}

// TestBothKilled: the next start carries on with what lives, as it was, and starts nothing twice.
func TestBothKilled(t *testing.T) {
	d := start(t, `[service.web]
command = "sh -c 'while :; do echo beat; sleep 0.05; done'"
instances = 2
[service.crash]
command = "sh -c 'echo here; exit 3'"
[service.halted]
command = "sleep 1000"
[service.user]
command = "sleep 1000"
needs = ["web"]`)
	d.until("crash", "waiting after some deaths", func(i api.Instance) bool { return i.State == api.Waiting && i.Restarts >= 3 })
	d.running("web", 0)
	d.running("web.2", 0)
	d.running("user", 0)
	d.running("halted", 0)
	d.do(api.Stop, "halted")
	before := map[string]api.Instance{}
	for _, i := range d.status("") {
		before[i.Name] = i
	}
	d.killBoth()
	for _, name := range []string{"web", "web.2", "user"} {
		if !alive(before[name].Pid) {
			t.Fatalf("%s did not outlive its daemon", name)
		}
	}
	d.up()
	for _, name := range []string{"web", "web.2", "user"} {
		i := d.one(name)
		if i.Pid != before[name].Pid || i.State != api.Running || i.Generation != before[name].Generation || !alive(i.Pid) {
			t.Errorf("%s was %+v, is %+v", name, before[name], i)
		}
	}
	if i := d.one("crash"); i.Restarts < before["crash"].Restarts {
		t.Errorf("restarts of crash were lost: %+v", i)
	}
	if i := d.one("halted"); i.State != api.Stopped || i.Pid != 0 {
		t.Errorf("halted was stopped, and is %+v", i)
	}
	// Output goes on, from the same pipe.
	lines := strings.Count(d.output("web"), "beat")
	d.wait("more output", func() error {
		if now := strings.Count(d.output("web"), "beat"); now <= lines {
			return fmt.Errorf("%d lines, as before", now)
		}
		return nil
	})
	// Survivors are watched and obey.
	if err := syscall.Kill(before["web"].Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	back := d.running("web", before["web"].Generation)
	if v, err := d.version(); err != nil || parentOf(t, back.Pid) != v.KeeperPid {
		t.Errorf("the new web is a child of %d, not of the keeper %+v %v", parentOf(t, back.Pid), v, err)
	}
	d.do(api.Stop, "web.2")
	if alive(before["web.2"].Pid) {
		t.Error("web.2 was stopped and is alive")
	}
	// Once more, and after the death of an engine and of a keeper: what they leave is as good.
	d.killEngine()
	d.killKeeper()
	d.killBoth()
	d.up()
	if i := d.one("user"); i.Pid != before["user"].Pid || i.State != api.Running {
		t.Errorf("user was %+v, is %+v", before["user"], i)
	}
	if i := d.one("web.2"); i.State != api.Stopped {
		t.Errorf("web.2 was stopped, and is %+v", i)
	}
	if i := d.one("web"); i.Pid != back.Pid {
		t.Errorf("web was %+v, is %+v", back, i)
	}
}

// TestBothKilledAndServicesToo: an end that nobody saw is noted, and the service comes back.
func TestBothKilledAndServicesToo(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"`)
	web := d.running("web", 0)
	d.killBoth()
	if err := syscall.Kill(web.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.up()
	if i := d.running("web", web.Generation); i.Restarts != 1 {
		t.Errorf("web is %+v, want one restart", i)
	}
}

// TestBothKilledStranger: a process of the daemon that no row explains is ended, by name, before anything starts.
func TestBothKilledStranger(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"
[service.stubborn]
command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1000; done"]
stop = { timeout = "200ms" }`)
	old := []int{d.running("web", 0).Pid, d.running("stubborn", 0).Pid}
	d.killBoth()
	mirror := filepath.Join(d.memory(), ".mirror")
	data, err := os.ReadFile(mirror)
	if err != nil {
		t.Fatal(err)
	}
	torn := strings.Replace(string(data), `"unit":"stubborn","`, `"unit":"stubborn",,`, -1) // all of them: of some only the magic is gone
	if torn == string(data) {
		t.Fatal("no row of stubborn in the mirror")
	}
	if err := os.WriteFile(mirror, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	d.up()
	if i := d.running("web", 0); i.Pid != old[0] {
		t.Errorf("web was %d, is %+v", old[0], i)
	}
	if i := d.running("stubborn", 0); i.Pid == old[1] || alive(old[1]) {
		t.Errorf("stubborn was %d, is %+v, old one alive: %v", old[1], i, alive(old[1]))
	}
	if !strings.Contains(d.log(), fmt.Sprintf(`pid="[%d`, old[1])) {
		t.Errorf("the log does not name %d:\n%s", old[1], d.log())
	}
}

// TestBothKilledWithoutMirror: where the mirror is not to be believed, what is left is ended, and all starts anew.
func TestBothKilledWithoutMirror(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"gone": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"garbage": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("garbage", 1000)), 0o600))
		},
		"of everybody": func(t *testing.T, path string) { must(t, os.Chmod(path, 0o666)) },
		"a link":       func(t *testing.T, path string) { must(t, os.Rename(path, path+".x"), os.Symlink(path+".x", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, "[service.web]\ncommand = \"sh -c 'setsid setsid sleep 1001 & exec sleep 1000'\"")
			old := d.running("web", 0)
			d.killBoth()
			spoil(t, filepath.Join(d.memory(), ".mirror"))
			d.up()
			if i := d.running("web", 0); i.Pid == old.Pid || alive(old.Pid) {
				t.Errorf("web was %+v, is %+v", old, i)
			}
		})
	}
}

// TestBothKilledConfiguration: what was applied counts until apply, whatever the file says by now.
func TestBothKilledConfiguration(t *testing.T) {
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"")
	web := d.running("web", 0)
	d.killBoth()
	d.write("[service.web]\ncommand = \"sleep 1001\"\n[service.new]\ncommand = \"sleep 1002\"")
	d.up()
	if !strings.Contains(d.stderr.String(), "stay apply") {
		t.Errorf("it does not say that the file has changed: %q", d.stderr)
	}
	if list := d.status(""); len(list) != 1 || list[0].Pid != web.Pid {
		t.Errorf("it was %+v, is %+v", web, list)
	}
	if _, err := d.client.Apply(context.Background()); err != nil {
		t.Fatal(err)
	}
	if i := d.running("web", 0); i.Pid == web.Pid {
		t.Errorf("web was not changed by apply: %+v", i)
	}
	d.running("new", 0)
}

// TestBothKilledGoingDown: a down goes on where it was.
func TestBothKilledGoingDown(t *testing.T) {
	d := start(t, `[service.slow]
command = ["sh", "-c", "trap 'echo asked' TERM; echo deaf; while :; do sleep 0.05; done"]
stop = { timeout = "60s" }
[service.quick]
command = "sleep 1000"`)
	slow := d.running("slow", 0)
	d.running("quick", 0)
	d.wait("a trap", func() error {
		if !strings.Contains(d.output("slow"), "deaf") {
			return errors.New("no output yet")
		}
		return nil
	})
	if err := syscall.Kill(d.keeper.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.until("slow", "stopping", func(i api.Instance) bool { return i.State == api.Stopping })
	d.until("quick", "stopped", func(i api.Instance) bool { return i.State == api.Stopped })
	d.killBoth()
	d.up()
	if i := d.one("slow"); i.Pid != slow.Pid || i.State != api.Stopping {
		t.Errorf("slow was stopping as %d, is %+v", slow.Pid, i)
	}
	if i := d.one("quick"); i.State != api.Stopped {
		t.Errorf("quick was stopped, is %+v", i)
	}
	if err := syscall.Kill(slow.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.ended // the down is done
}

// memory is the daemon's memory directory, as its lock says.
func (d *daemon) memory() string {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, ".stay", "lock"))
	if err != nil {
		d.t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) < 2 || lines[1] == "" {
		d.t.Fatalf("the lock is %q", data)
	}
	return lines[1]
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestBothKilledSignsOfLife: pulse pages, notify sockets and readiness pipes are found again: who beats is let live, who is
// still starting can say that it is ready, and who hangs is found.
func TestBothKilledSignsOfLife(t *testing.T) {
	d := prepare(t, "")
	fifo := filepath.Join(d.dir, "go")
	must(t, syscall.Mkfifo(fifo, 0o600), syscall.Mkfifo(fifo+"2", 0o600))
	d.write(beating("web", "2 20ms", `pulse = "500ms"`) +
		steps(t, "note", "open", fifo, "send", "READY=1;STATUS=told", "forever") + "ready = \"notify\"\n" +
		steps(t, "pipe", "open", fifo+"2", "newline", "3", "forever") + "ready = \"fd:3\"\n")
	d.up()
	before := map[string]api.Instance{"web": d.running("web", 0)}
	d.pulses("web", 2)
	for _, name := range []string{"note", "pipe"} {
		before[name] = d.until(name, "starting", func(i api.Instance) bool { return i.State == api.Starting && i.Pid != 0 })
	}
	d.killBoth()
	d.up()
	for i, name := range []string{"note", "pipe"} {
		if i := d.one(name); i.Pid != before[name].Pid || i.State != api.Starting {
			t.Errorf("%s was %+v, is %+v", name, before[name], i)
		}
		f, err := os.OpenFile([]string{fifo, fifo + "2"}[i], os.O_WRONLY, 0) // waits for the service
		must(t, err, f.Close())
		if i := d.until(name, "running", func(i api.Instance) bool { return i.State == api.Running }); i.Pid != before[name].Pid {
			t.Errorf("%s was %+v, is %+v", name, before[name], i)
		}
	}
	for _, p := range d.pulses("web", 2) {
		if p.Source != "page" || p.LimitMS != 500 {
			t.Errorf("pulse %+v", p)
		}
	}
	if i := d.one("web"); i.Pid != before["web"].Pid {
		t.Errorf("web was %+v, is %+v", before["web"], i)
	}
	d.signal(before["web"], syscall.SIGUSR1)
	if i := d.incident("web", 0); i.Cause != api.CauseHang || i.Pid != before["web"].Pid {
		t.Errorf("incident %+v", i)
	}
}

// TestBothKilledOften: again and again, while services come and go; each takes a lock that no other generation may have.
func TestBothKilledOften(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("needs flock")
	}
	const script = `exec 8>>$STAY_INSTANCE.lock; flock -n 8 || echo $STAY_TREE >>doubles; `
	d := start(t, fmt.Sprintf(`[defaults]
restart = { delay = "0s", step = "10ms", max_delay = "20ms" }
[service.calm]
command = ["sh", "-c", %q]
instances = 3
[service.busy]
command = ["sh", "-c", %q]
instances = 3`, script+"exec sleep 1000", script+"exit 1"))
	calm := d.running("calm", 0)
	for range 10 {
		deaths := d.one("busy").Restarts
		d.until("busy", "dead once more", func(i api.Instance) bool { return i.Restarts > deaths })
		d.killBoth()
		d.up()
		if i := d.one("calm"); i.Pid != calm.Pid || i.State != api.Running {
			t.Fatalf("calm was %+v, is %+v", calm, i)
		}
	}
	if doubles, err := os.ReadFile(filepath.Join(d.dir, "doubles")); err == nil {
		t.Errorf("two generations lived at once: %s", doubles)
	}
}

// TestNoLineIsLostOverBoth: services that write as fast as they can wait while nobody reads, and all that they wrote is in the
// log. Each time one piece may be there twice, and one line be divided: where it was just being taken out of the pipe.
func TestNoLineIsLostOverBoth(t *testing.T) {
	d := start(t, numbers(t))
	const times = 5
	for range times {
		d.grown("raw", 100_000)
		d.grown("stamped", 100_000)
		d.killBoth()
		d.up()
	}
	d.grown("raw", 100_000)
	for name, l := range d.ledgers() {
		t.Logf("%s: %s", name, l)
		divided := l.mangled / 2 // a divided line is two that nobody knows, and one that is not there as a whole
		if l.end != l.last+1 || divided > times || l.missing > divided || l.repeats > times || l.most > 64<<10 {
			t.Errorf("of %d lines the last is %d; %d divided, %d missing, %d repeats up to %d bytes: %q", l.end, l.last, divided, l.missing, l.repeats, l.most, l.odd)
		}
	}
}

// TestBothKilledAfterUpgrade: the program that came last leaves a mirror like the first.
func TestBothKilledAfterUpgrade(t *testing.T) {
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"")
	web := d.running("web", 0)
	if u := d.upgrade(d.stayd("9.9.9-mirror")); u.Error != "" {
		t.Fatalf("upgrade %+v", u)
	}
	d.killBoth()
	d.up()
	if i := d.one("web"); i.Pid != web.Pid || i.State != api.Running || i.Restarts != 0 {
		t.Errorf("web was %+v, is %+v", web, i)
	}
}
