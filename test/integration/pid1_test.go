package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPidOne: as the first process of a container it runs services, reaps what nobody else does, and ends well at TERM.
func TestPidOne(t *testing.T) {
	needsRoot(t, "a pid namespace of its own")
	t.Parallel()
	if out, err := output("unshare", "--pid", "--fork", "--mount-proc", "true"); err != nil {
		t.Skipf("no pid namespace here: %v %s", err, out)
	}
	d := prepare(t, `[service.web]
command = "sleep 1000"
[service.mother]
command = "sh -c 'for i in 1 2 3 4 5; do (sh -c \"exit 0\" & sh -c \"exit 1\" &); done; echo all born; exec sleep 1000'"
[service.crash]
command = "sh -c 'exit 1'"
`)
	c := exec.Command("unshare", "--pid", "--fork", "--mount-proc", filepath.Join(binaries, "stayd"), "keeper", "--foreground", "--file", filepath.Join(d.dir, "stay.toml"))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		for _, pid := range family(c.Process.Pid) { // of a test that failed
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	d.wait("an engine that answers", func() error { _, err := d.version(); return err })
	if v := mustVersion(t, d); v.KeeperPid != 1 {
		t.Errorf("the keeper is %d", v.KeeperPid)
	}
	web := d.running("web", 0)
	d.says("mother", "all born")
	keeper := family(c.Process.Pid)[1]
	d.wait("the zombies to be reaped", func() error { return zombies(keeper) })
	d.killEngine1(t, keeper)
	if now := d.running("web", 0); now.Pid != web.Pid {
		t.Errorf("it was %+v, is %+v", web, now)
	}
	if err := syscall.Kill(keeper, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v\n%s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), "keeper started") {
		t.Errorf("in the foreground it says %q", stderr.String())
	}
	if err := d.left(); err != nil {
		t.Error(err)
	}
}

// killEngine1 kills the engine of a daemon in another pid namespace: the child of the keeper that is called so.
func (d *daemon) killEngine1(t *testing.T, keeper int) {
	t.Helper()
	for _, pid := range family(keeper) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) == "stayd-engine\n" {
			kill(t, pid)
			d.wait("the next engine", func() error {
				v, err := d.version()
				if err == nil && v.Engines < 2 {
					err = errNotYet
				}
				return err
			})
			return
		}
	}
	t.Error("there is no engine")
}

// zombies is an error that names the zombies among a process's descendants.
func zombies(pid int) error {
	for _, p := range family(pid) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if _, rest, ok := strings.Cut(string(stat), ") "); err == nil && ok && strings.HasPrefix(rest, "Z") {
			return fmt.Errorf("%d is a zombie", p)
		}
	}
	return nil
}
