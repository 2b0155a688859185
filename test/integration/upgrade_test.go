package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: the daemon becomes another version of itself, and services notice nothing. Each step of it fails once on purpose
// in cmd/stayd; here are the real programs.

// version builds a stayd of that version, once for all tests of it.
func (d *daemon) stayd(version string) string {
	d.t.Helper()
	if os.Getenv("STAY_TEST_BINARIES") != "" {
		d.t.Skip("needs to build: STAY_TEST_BINARIES is for who cannot")
	}
	path := filepath.Join(d.t.TempDir(), "stayd")
	build := exec.Command("go", "build", "-ldflags", "-X example.com/stay/api.Version="+version, "-o", path, "example.com/stay/cmd/stayd")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// upgrade asks for an upgrade and returns what came of it.
func (d *daemon) upgrade(path string) api.Upgrade {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun, err := d.client.Upgrade(ctx, path)
	if err != nil {
		d.t.Fatal(err)
	}
	var now api.Daemon
	d.wait("the end of the upgrade", func() error {
		if now, err = d.version(); err != nil {
			return err
		}
		if now.Upgrade == nil || now.Upgrade.ID != begun.ID || !now.Upgrade.Over {
			return fmt.Errorf("it is %+v", now.Upgrade)
		}
		return nil
	})
	return *now.Upgrade
}

// refusedUpgrade asks for an upgrade that is to be refused, and returns why.
func (d *daemon) refusedUpgrade(path string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun, err := d.client.Upgrade(ctx, path)
	if err == nil {
		d.t.Fatalf("the upgrade to %q has begun: %+v", path, begun)
	}
	return err.Error()
}

// pids are the processes of all instances, which run.
func (d *daemon) pids() map[string]int {
	d.t.Helper()
	pids := map[string]int{}
	d.wait("all running", func() error {
		for _, i := range d.status("") {
			if i.State != api.Running {
				return fmt.Errorf("%s is %s (%s)", i.Name, i.State, i.Why)
			}
		}
		return nil
	})
	for _, i := range d.status("") {
		if i.State != api.Running || i.Pid <= 1 || !alive(i.Pid) { // who calls may signal it
			d.t.Fatalf("%s is %s (%s), pid %d", i.Name, i.State, i.Why, i.Pid)
		}
		pids[i.Name] = i.Pid
	}
	return pids
}

// same checks that all instances have the processes that they had, as children of who was their parent.
func (d *daemon) same(before map[string]int, parent int) {
	d.t.Helper()
	for name, pid := range d.pids() {
		if pid != before[name] {
			d.t.Errorf("%s had pid %d, has %d", name, before[name], pid)
		} else if p := parentOf(d.t, pid); p != parent {
			d.t.Errorf("%s is a child of %d, not of %d", name, p, parent)
		}
	}
}

// TestUpgrade: another version, ten times in a row, under a service that writes as fast as it can.
func TestUpgrade(t *testing.T) {
	d := prepare(t, fmt.Sprintf(`[service.numbers]
command = [%q]
env = { STAY_TEST_ROLE = "numbers" }
log = { max_size = "1GB" }
[service.web]
command = "sh -c 'setsid sleep 1001 & exec sleep 1000'"
instances = 3
[service.signals]
command = ["sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done"]
`, os.Args[0]))
	d.up()
	before := d.pids()
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	limits := d.inherited(v.KeeperPid)
	next := d.stayd("9.9.9")
	files := [2]string{next, filepath.Join(binaries, "stayd")}
	for n := range 10 {
		u := d.upgrade(files[n%2])
		if u.Error != "" || n%2 == 0 && u.To != "9.9.9" || u.GapMS <= 0 {
			t.Fatalf("upgrade %d: %+v", n, u)
		}
	}
	d.same(before, v.KeeperPid)
	now, err := d.version()
	if err != nil || now.KeeperPid != v.KeeperPid || now.EnginePid == v.EnginePid || now.Started != v.Started {
		t.Errorf("was %+v, is %+v, %v", v, now, err)
	}
	if after := d.inherited(v.KeeperPid); after != limits {
		t.Errorf("the keeper was\n%s\nis\n%s", limits, after)
	}
	// Supervision goes on: what is started now inherits nothing of it, who dies comes back, who is stopped goes with all it has.
	if err := syscall.Kill(before["web"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	back := d.running("web", 1)
	for _, name := range []string{"SigBlk", "SigIgn"} {
		if was, is := statusField(t, before["web.2"], name), statusField(t, back.Pid, name); was != is {
			t.Errorf("%s of a process made before is %s, after %s", name, was, is)
		}
	}
	if was, is := nofile(t, before["web.2"]), nofile(t, back.Pid); was != is {
		t.Errorf("limit of descriptors of a process made before is %s, after %s", was, is)
	}
	d.do(api.Stop, "web.2")
	d.do(api.Stop, "numbers")
	l := readLedger(t, filepath.Join(d.dir, ".stay", "log"), "numbers")
	t.Log(l)
	if l.missing+l.mangled > 0 || l.end != l.last+1 || l.repeats > 10 {
		t.Errorf("%v, the writer says %d: %v", l, l.end, l.odd)
	}
}

// inherited is what an exec may have changed of a process.
func (d *daemon) inherited(pid int) string {
	d.t.Helper()
	text := nofile(d.t, pid)
	for _, name := range []string{"Name", "SigIgn", "SigCgt", "Umask"} {
		text += " " + name + "=" + statusField(d.t, pid, name)
	}
	for fd := range 3 {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		text += " " + link
	}
	return text
}

func statusField(t testing.TB, pid int, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(data), "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}

func nofile(t testing.TB, pid int) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "Max open files")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Join(strings.Fields(line), " ")
}

// TestUpgradeOfMany: a thousand services notice nothing, a client that comes meanwhile is served, and so is who waits.
func TestUpgradeOfMany(t *testing.T) {
	instances := 1000
	if testing.Short() {
		instances = 100
	}
	d := start(t, fmt.Sprintf("[service.pause]\ncommand = \"sleep 1000\"\ninstances = %d\n", instances))
	before := d.pids()
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	next := d.stayd("9.9.9")
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan int)
	go func() { // none of these is refused
		n := 0
		for ; ctx.Err() == nil; n++ {
			if list, err := d.client.Status(context.Background(), "pause.7"); err != nil || len(list) != 1 || list[0].Pid != before["pause.7"] {
				t.Errorf("a client that came meanwhile: %v %v", list, err)
				break
			}
		}
		asked <- n
	}()
	u := d.upgrade(next)
	cancel()
	n := <-asked
	t.Logf("%d services: no engine for %.0f ms; %d questions meanwhile", instances, u.GapMS, n)
	if u.Error != "" || u.To != "9.9.9" || n == 0 || u.Went != instances {
		t.Errorf("%+v, %d questions", u, n)
	}
	d.same(before, v.KeeperPid)
	began := time.Now()
	d.do(api.Stop, "pause")
	t.Logf("all stopped in %v", time.Since(began))
}

// TestUpgradeRefused: what is no stayd that can take over is refused, and nothing changes.
func TestUpgradeRefused(t *testing.T) {
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	before := d.pids()
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):   "no such file",
		dir:                          "not a regular file",
		file("plain", "text", 0o600): "not executable",
		file("text", "no program of any kind", 0o700): "exec format error",
		file("loose", "x", 0o777):                     "everybody can write to it",
		"/bin/true":                                   "no stayd",
		"/bin/false":                                  "exit status 1",
	} {
		if why := d.refusedUpgrade(path); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", path, why, want)
		}
	}
	d.same(before, v.KeeperPid)
	if now, err := d.version(); err != nil || now.EnginePid != v.EnginePid {
		t.Errorf("the engine was %d, is %d, %v", v.EnginePid, now.EnginePid, err)
	}
}

// TestUpgradeOfAdoptedKeeper: a keeper that an engine has started is upgraded like any other, and so is the one after it.
func TestUpgradeOfAdoptedKeeper(t *testing.T) {
	d := start(t, "[service.web]\ncommand = \"sh -c 'setsid sleep 1001 & exec sleep 1000'\"\ninstances = 2\n")
	before := d.pids()
	adopted := d.killKeeper()
	for range 2 {
		if u := d.upgrade(filepath.Join(binaries, "stayd")); u.Error != "" {
			t.Fatalf("%+v", u)
		}
	}
	if pids := d.pids(); pids["web"] != before["web"] || pids["web.2"] != before["web.2"] {
		t.Errorf("the processes were %v, are %v", before, pids)
	}
	if now, err := d.version(); err != nil || now.KeeperPid != adopted.KeeperPid {
		t.Errorf("the keeper was %d, is %+v, %v", adopted.KeeperPid, now, err)
	}
	if err := syscall.Kill(before["web"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.running("web", 1)
	d.do(api.Stop, "all")
	if err := syscall.Kill(adopted.KeeperPid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.wait("nothing left", d.left)
}

// TestUpgradeKeepsWhatIsKnownOfTrees: who has left its session, and has no mark and no output of its tree, is known to belong to
// it because it was seen to, and still is after an upgrade.
func TestUpgradeKeepsWhatIsKnownOfTrees(t *testing.T) {
	d := start(t, `[service.web]
command = ["sh", "-c", "env -i setsid sleep 1003 >/dev/null 2>&1 & exec sleep 1000"]
stop = { timeout = "1s" }`)
	main := d.pids()["web"]
	if u := d.upgrade(filepath.Join(binaries, "stayd")); u.Error != "" {
		t.Fatalf("%+v", u)
	}
	if got := d.pids()["web"]; got != main {
		t.Fatalf("web had pid %d, has %d", main, got)
	}
	d.do(api.Stop, "web") // cleanup finds whoever is left
}

// TestUpgradeTold: the journal and the version say what came of it.
func TestUpgradeTold(t *testing.T) {
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	next := d.stayd("9.9.9")
	d.upgrade(next)
	v, err := d.version()
	if err != nil || v.Version != "9.9.9" {
		t.Errorf("%+v, %v", v, err)
	}
	var texts []string
	err = d.client.Events(context.Background(), 0, false, func(a api.Event) error {
		texts = append(texts, a.Message)
		return nil
	})
	if err != nil || !slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, "upgraded from "+api.Version+" to 9.9.9") }) {
		data, _ := json.Marshal(texts)
		t.Errorf("%v, events: %s", err, data)
	}
}

// TestUpgradeInForeground: what it says goes where it went, before and after.
func TestUpgradeInForeground(t *testing.T) {
	d := prepare(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	d.up("--foreground")
	before := d.pids()
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	limits := d.inherited(v.KeeperPid)
	if u := d.upgrade(filepath.Join(binaries, "stayd")); u.Error != "" {
		t.Fatalf("%+v", u)
	}
	d.same(before, v.KeeperPid)
	if after := d.inherited(v.KeeperPid); after != limits {
		t.Errorf("the keeper was\n%s\nis\n%s", limits, after)
	}
}
