package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
)

// A bad stayd is a copy of the test binary under a name that begins so; how it is bad comes after it.
const badStayd = "bad-stayd-"

// The ways in which a stayd is bad.
const (
	refuses  = "refuses"  // the table
	locks    = "locks"    // itself: it answers, and cannot be executed any more
	crashes  = "crashes"  // right after it was executed in place of the old one
	unready  = "unready"  // its engine never gets ready
	dying    = "dying"    // its engine dies before it is ready
	forgets  = "forgets"  // to answer
	bitsOnly = "bitsonly" // its table is torn
)

// misbehave does in this role what a bad stayd does there; one that is not bad does nothing.
func misbehave(role string, args []string) {
	exe, _ := os.Readlink("/proc/self/exe")
	how, bad := strings.CutPrefix(filepath.Base(exe), badStayd)
	if !bad {
		return
	}
	switch role + " " + how {
	case "check-upgrade " + refuses:
		fmt.Fprintln(os.Stderr, "stay: record of \"web\": it makes no sense")
		os.Exit(1)
	case "check-upgrade " + forgets:
		os.Exit(0)
	case "check-upgrade " + locks:
		_ = os.Chmod(exe, 0)
	case "keeper " + crashes:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	case "keeper " + bitsOnly:
		i := slices.Index(args, "--handover")
		var fd int
		fmt.Sscan(args[i+1], &fd)
		_ = unix.Ftruncate(fd, 100)
	case "engine " + dying:
		os.Exit(1)
	case "engine " + unready:
		select {}
	}
}

// newBad makes a bad stayd.
func newBad(t *testing.T, how string) string {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(t.TempDir(), badStayd+how)
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := firstError(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const upgradeConfig = `[service.web]
command = "sleep 300"
instances = 3
[service.crash]
command = ["sh", "-c", "echo here; exit 3"]
restart = { delay = "30s" }
`

// upgrade asks for an upgrade and returns what came of it; why it was refused, if it was.
func (r *crashRun) upgrade(path string) (u api.Upgrade, refused error) {
	begun, err := r.client.Upgrade(r.ctx, path)
	if err != nil {
		return begun, err
	}
	r.until("it is known what came of the upgrade", func() error {
		d, err := r.client.Version(r.ctx)
		if err == nil && (d.Upgrade == nil || d.Upgrade.ID != begun.ID || !d.Upgrade.Over) {
			err = fmt.Errorf("it is %+v", d.Upgrade)
		}
		if err == nil {
			u = *d.Upgrade
		}
		return err
	})
	return u, nil
}

// TestUpgradeFails has each step fail, and everything goes on as before.
func TestUpgradeFails(t *testing.T) {
	for _, step := range []struct {
		how     string
		refused bool   // it was not begun
		engine  bool   // the engine is the same
		keeper  bool   // the keeper is the same process
		want    string // of what is said
	}{
		{refuses, true, true, true, `does not take what runs: record of "web"`},
		{forgets, true, true, true, "it gave no answer"},
		{locks, false, true, true, "exec: permission denied"},
		{crashes, false, true, false, "died before it had taken over"},
		{bitsOnly, false, true, false, "died before it had taken over"},
		{dying, false, false, true, "its engine died three times before it was ready"},
		{unready, false, false, true, "did not get ready in time"},
	} {
		t.Run(step.how, func(t *testing.T) {
			t.Setenv(startLimitVariable, "1s")
			r := newCrashRun(t, patience, upgradeConfig, nil)
			defer r.remove()
			r.ready("web")
			r.until("crash waits", func() error {
				if s := r.status()["crash"]; s.State != api.Waiting {
					return fmt.Errorf("it is %s", s.State)
				}
				return nil
			})
			before := r.status()
			was, err := r.client.Version(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			u, refused := r.upgrade(newBad(t, step.how))
			if step.refused != (refused != nil) {
				t.Errorf("refused: %v", refused)
			}
			if said := u.Error + fmt.Sprint(refused); !strings.Contains(said, step.want) {
				t.Errorf("said %q, want %q", said, step.want)
			}
			now, err := r.client.Version(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if (now.KeeperPid == was.KeeperPid) != step.keeper || (now.EnginePid == was.EnginePid) != step.engine {
				t.Errorf("keeper and engine were %d and %d, are %d and %d", was.KeeperPid, was.EnginePid, now.KeeperPid, now.EnginePid)
			}
			for name, i := range r.status() {
				if b := before[name]; i.Pid != b.Pid || i.State != b.State || i.Generation != b.Generation || i.Restarts != b.Restarts {
					t.Errorf("%s was %+v, is %+v", name, b, i)
				}
			}
			r.goesOn(before, was.KeeperPid)
			if err := r.client.Shutdown(r.ctx, false); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			r.until("nothing left", func() error {
				if left := r.left(); len(left) > 0 {
					return fmt.Errorf("%v", left)
				}
				return nil
			})
			if len(r.errs) > 0 {
				t.Errorf("%s\nstay.log:\n%s", strings.Join(r.errs, "\n"), r.read(".stay/log/stay.log"))
			}
		})
	}
}

// goesOn checks that a daemon still does what it is for: who dies comes back, and a good upgrade works.
func (r *crashRun) goesOn(before map[string]api.Instance, keeperPid int) {
	r.t.Helper()
	_ = unix.Kill(before["web.2"].Pid, unix.SIGKILL)
	var back api.Instance
	r.until("web.2 comes back", func() error {
		if back = r.status()["web.2"]; back.State != api.Running || back.Generation <= before["web.2"].Generation {
			return fmt.Errorf("it is %s", back.State)
		}
		return nil
	})
	if was, is := openFiles(before["web"].Pid), openFiles(back.Pid); was != is || was == "" {
		r.t.Errorf("the limit of descriptors of a service was %q, is %q for one that was made after it", was, is)
	}
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	if u, err := r.upgrade(self); err != nil || u.Error != "" {
		r.t.Errorf("a good upgrade after it: %+v, %v", u, err)
	}
	if now := r.status()["web"]; now.Pid != before["web"].Pid {
		r.t.Errorf("web was %d, is %d", before["web"].Pid, now.Pid)
	}
}

// openFiles is the line of proc_pid_limits(5).
func openFiles(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "Max open files") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

// startLimitVariable says how long engines of a test's keeper may take to get ready.
const startLimitVariable = "STAYD_TEST_START_LIMIT"

// testLimits are those of a test's keeper.
func testLimits() (l keeper.Limits) {
	if d, err := time.ParseDuration(os.Getenv(startLimitVariable)); err == nil {
		l.Start, l.Tick = d, d/10
	}
	return l
}

// TestEngineKilledDuringUpgrade: the engine that has said its last word is killed, and so is the new one as it begins; it is done
// all the same.
func TestEngineKilledDuringUpgrade(t *testing.T) {
	points := upgradePoints(t)
	for n := 1; n <= points; n += every() {
		r := newCrashRun(t, patience, upgradeConfig, []int{n})
		playUpgrade(r)
		killed := r.faults.killed()
		r.end(script{})
		if len(r.errs) > 0 {
			t.Errorf("killed at %q:\n%s\nstay.log:\n%s", killed, strings.Join(r.errs, "\n"), r.read(".stay/log/stay.log"))
		}
		r.remove()
	}
}

// upgradePoints is how many points a run has in which nobody is killed.
func upgradePoints(t *testing.T) int {
	r := newCrashRun(t, patience, upgradeConfig, nil)
	defer r.remove()
	playUpgrade(r)
	n := r.faults.passed()
	r.end(script{})
	if len(r.errs) > 0 {
		t.Fatal(strings.Join(r.errs, "\n"))
	}
	return n
}

// playUpgrade upgrades, again and again until it was done: an engine may be killed before the keeper has the order.
func playUpgrade(r *crashRun) {
	r.ready("web")
	before := r.status()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	r.until("it is upgraded", func() error {
		u, err := r.upgrade(self)
		if err == nil && u.Error != "" {
			err = fmt.Errorf("%s", u.Error)
		}
		return err
	})
	for name, i := range r.status() {
		if b := before[name]; strings.HasPrefix(name, "web") && (i.Pid != b.Pid || i.State != api.Running) {
			r.errorf("%s was %+v, is %+v", name, b, i)
		}
	}
}
