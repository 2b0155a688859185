package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
	"example.com/stay/client"
)

// prepareAt is prepare in a directory that every user can reach, which those of t.TempDir are not.
func prepareAt(t testing.TB, dir, config string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: dir, stderr: &strings.Builder{}}
	d.write(config)
	d.client = client.Dial(filepath.Join(dir, ".stay", "stay.sock"))
	return d
}

// shared makes a directory that every user can reach.
func shared(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stay-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// private makes a directory below dir that belongs to uid and gid, if the test may give something away.
func private(t testing.TB, dir, name string, uid, gid int) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// file writes a file of the test.
func file(t testing.TB, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort is a TCP port of the loopback that nobody listened on a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// kill sends SIGKILL to a process.
func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// family is a process and all that descend from it.
func family(pid int) []int {
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i]))
		for _, task := range tasks {
			data, _ := os.ReadFile(task)
			for _, word := range strings.Fields(string(data)) {
				if child, err := strconv.Atoi(word); err == nil {
					list = append(list, child)
				}
			}
		}
	}
	return list
}

// living are those of the processes that are there and no zombies.
func living(pids []int) []int {
	var list []int
	for _, pid := range pids {
		if alive(pid) {
			list = append(list, pid)
		}
	}
	return list
}

// field is one line of /proc/PID/status.
func field(t testing.TB, pid int, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut("\n"+string(data), "\n"+name+":")
	if !ok {
		t.Fatalf("/proc/%d/status has no %s", pid, name)
	}
	line, _, _ := strings.Cut(after, "\n")
	return strings.Join(strings.Fields(line), " ")
}

// lines are all lines of output that are kept of an instance.
func (d *daemon) lines(name string) []string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var list []string
	err := d.client.Logs(ctx, api.LogQuery{Targets: []string{name}, N: -1}, func(l api.LogLine) error {
		list = append(list, l.Text)
		return nil
	})
	if err != nil {
		d.t.Fatalf("logs %q: %v", name, err)
	}
	return list
}

// says waits until an instance has written that line, and returns all up to now.
func (d *daemon) says(name, line string) []string {
	d.t.Helper()
	var list []string
	d.wait(fmt.Sprintf("%s to say %q", name, line), func() error {
		list = d.lines(name)
		for _, l := range list {
			if l == line {
				return nil
			}
		}
		return fmt.Errorf("it said %q", list)
	})
	return list
}

// why waits until an instance's why is as the pattern, from its beginning to its end.
func (d *daemon) why(name, pattern string) api.Instance {
	d.t.Helper()
	re := regexp.MustCompile(`^(?:` + pattern + `)$`)
	return d.until(name, "explained by "+pattern, func(i api.Instance) bool { return re.MatchString(i.Why) })
}

// events are the events so far.
func (d *daemon) events() []api.Event {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var list []api.Event
	if err := d.client.Events(ctx, 0, false, func(e api.Event) error { list = append(list, e); return nil }); err != nil {
		d.t.Fatalf("events: %v", err)
	}
	return list
}

// became is when an instance got into a state, on the monotonic clock, for each time that it did.
func (d *daemon) became(name string, state api.State) []int64 {
	d.t.Helper()
	var list []int64
	for _, e := range d.events() {
		if e.Name == name && e.Kind == "state" && e.To == state {
			list = append(list, e.MonoNS)
		}
	}
	return list
}

// apply writes a configuration and has the daemon read it.
func (d *daemon) apply(config string) (map[string]api.Change, error) {
	d.t.Helper()
	d.write(config)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	changes, err := d.client.Apply(ctx)
	byName := map[string]api.Change{}
	for _, c := range changes {
		byName[c.Service] = c
	}
	return byName, err
}

// isRefused says whether err is a refusal with that code.
func isRefused(err error, code string) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == code
}

// refused starts a keeper that must not come up, and returns what it says.
func (d *daemon) refused(args ...string) string {
	d.t.Helper()
	d.stderr = &strings.Builder{}
	cmd := d.command(args...)
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		d.t.Errorf("exit code %d (%v), want 1", code, err)
	}
	return strings.TrimSuffix(d.stderr.String(), "\n")
}

// fifo makes a named pipe, for a service to wait at.
func fifo(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// release lets go who waits at a named pipe; it waits for who is not there yet.
func release(t testing.TB, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// output runs a program of the system and returns what it says, without the last newline.
func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

// mustVersion says who answers.
func mustVersion(t testing.TB, d *daemon) api.Daemon {
	t.Helper()
	v, err := d.version()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tidy has another daemon take over what a killed one has left, and leave in good order.
func (d *daemon) tidy() {
	d.t.Helper()
	d.write("")
	d.up()
}

var errNotYet = errors.New("not yet")

const sigterm = syscall.SIGTERM

// terminate sends SIGTERM.
func terminate(pid int) error { return syscall.Kill(pid, sigterm) }
