package keeper

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPidOne runs the real stayd as PID 1 of a container: it reaps whatever is left to it, and TERM brings all down.
func TestPidOne(t *testing.T) {
	needsRoot(t, "a pid namespace and a /proc of its own")
	for _, tool := range []string{"unshare", "nsenter", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if out, err := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("needs pid namespaces: %v: %s", err, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "example.com/stay/cmd/stayd").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "stay.toml"), `[service.web]
command = "sh -c 'for i in 1 2 3; do (setsid sh -c \"sleep 0.02 & exit\" &) ; done; echo $$ >web; exec sleep 1000'"
`, 0o644)
	stderr := new(lockedBuffer)
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", filepath.Join(dir, "stayd"), "keeper",
		"--file", filepath.Join(dir, "stay.toml"), "--foreground")
	cmd.Env = append(os.Environ(), mark+"="+dir)
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, log: stderr, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-r.ended })

	r.until("the service", func() bool { data, err := os.ReadFile(filepath.Join(dir, "web")); return err == nil && len(data) > 0 })
	first := childrenOf(cmd.Process.Pid)
	if len(first) != 1 {
		t.Fatalf("children of unshare: %v\n%s", first, stderr)
	}
	keeper := first[0]
	inside := func(script string) string {
		out, err := exec.Command("nsenter", "-t", fmt.Sprint(keeper), "-p", "-m", "sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("nsenter: %v: %s", err, out)
		}
		return string(out)
	}
	if out := inside("readlink /proc/1/exe"); !strings.Contains(out, "stayd") {
		t.Errorf("PID 1 is %q", out)
	}
	// Strangers that nobody in there has started, of whom PID 1 becomes the parent.
	inside("for i in 1 2 3 4 5; do (sh -c 'exit 3' & sh -c 'sleep 0.02; exit 4' & exit) & done; exit 0")
	r.until("no zombies and only engine and service", func() bool {
		children := childrenOf(keeper)
		for _, pid := range children {
			if !alive(pid) {
				return false
			}
		}
		return len(children) == 2
	})
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGPIPE, syscall.SIGHUP} { // PID 1 lives on
		if err := unix.Kill(keeper, sig); err != nil {
			t.Fatal(err)
		}
	}
	r.until("HUP to be acted on", func() bool { return bytes.Contains([]byte(stderr.String()), []byte("hangup")) })
	if err := unix.Kill(keeper, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatalf("PID 1 does not end at TERM:\n%s", stderr)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	r.until("nothing left", func() bool { return len(r.marked()) == 0 })
}
