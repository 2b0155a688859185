// Package integration runs whole daemons: the real stayd with real processes, each in a directory of its own. It tests
// what only a kernel can answer; everything else is tested in the package that decides it.
package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// patience is how long a test waits for something that has to come; on a quiet machine it takes milliseconds.
const patience = 30 * time.Second

// binaries is where TestMain puts stay and stayd.
var binaries string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if role := os.Getenv("STAY_TEST_ROLE"); role != "" {
		return roles[role](os.Args[1:])
	}
	if given := os.Getenv("STAY_TEST_BINARIES"); given != "" {
		binaries = given // for a user who cannot build
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "stay-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", dir, "example.com/stay/cmd/stayd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
}

// roles are programs that tests run as services: the test binary itself, with STAY_TEST_ROLE set.
var roles = map[string]func(args []string) int{}

// A daemon is one stayd with a directory of its own.
type daemon struct {
	t      testing.TB
	dir    string // has stay.toml and .stay
	client *client.Client
	keeper *exec.Cmd
	stderr *strings.Builder

	keeperPid int // of a keeper that came after a killed one; 0: there was none
	ended     chan struct{}

	wrap []string            // a command that execs what stands after it, to start the keeper with; none by default
	as   *syscall.Credential // whom the keeper runs as; nil: who runs the test
	root string              // the keeper's view of the file system, for what is mounted there only; "": the test's
}

// start writes config as stay.toml into a new directory and starts a keeper on it. When the test ends, the daemon is
// shut down, and it is an error if anything of it is left.
func start(t testing.TB, config string) *daemon {
	t.Helper()
	d := prepare(t, config)
	d.up()
	return d
}

// prepare is start without starting.
func prepare(t testing.TB, config string) *daemon {
	t.Helper()
	dir := t.TempDir()
	d := &daemon{t: t, dir: dir}
	d.write(config)
	d.client = client.Dial(filepath.Join(dir, ".stay", "stay.sock"))
	return d
}

// write writes the configuration.
func (d *daemon) write(config string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "stay.toml"), []byte(config), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// up starts the keeper and waits until an engine answers.
func (d *daemon) up(args ...string) {
	d.t.Helper()
	d.stderr = &strings.Builder{}
	d.keeper = d.command(args...)
	if err := d.keeper.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func() { d.keeper.Wait(); close(d.ended) }()
	d.t.Cleanup(d.cleanup)
	d.wait("an engine that answers", func() error {
		select {
		case <-d.ended:
			d.t.Fatalf("keeper ended: %s\n%s", d.stderr, d.log())
		default:
		}
		_, err := d.version()
		return err
	})
}

// command is the keeper, not started.
func (d *daemon) command(args ...string) *exec.Cmd {
	argv := slices.Concat(d.wrap, []string{filepath.Join(binaries, "stayd"), "keeper", "--file", filepath.Join(d.dir, "stay.toml")}, args)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = d.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: d.as}
	return cmd
}

func (d *daemon) version() (api.Daemon, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.client.Version(ctx)
}

// cleanup ends the daemon, and fails the test if anything of it is left.
func (d *daemon) cleanup() {
	d.t.Helper()
	if d.t.Failed() || os.Getenv("STAY_TEST_LOG") != "" {
		d.t.Logf("stay.log:\n%s", d.log())
	}
	if d.keeperPid != 0 {
		_ = syscall.Kill(d.keeperPid, syscall.SIGTERM)
	}
	select {
	case <-d.ended:
	default:
		_ = d.keeper.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(patience):
			d.t.Errorf("the keeper does not end at SIGTERM; stay.log:\n%s", d.log())
			_ = d.keeper.Process.Kill()
		}
	}
	d.wait("nothing left", d.left)
}

// left is an error that names what of the daemon is still there.
func (d *daemon) left() error {
	if pids := d.processes(); len(pids) > 0 {
		return fmt.Errorf("processes left: %v", pids)
	}
	for _, f := range []string{"stay.sock", "lock", "mem"} {
		if _, err := os.Lstat(filepath.Join(d.dir, ".stay", f)); err == nil {
			return fmt.Errorf("%s is left", f)
		}
	}
	for _, pattern := range []string{"/dev/shm/stay-*-" + d.id(), "/sys/fs/cgroup/*/stay-" + d.id(), "/sys/fs/cgroup/stay-" + d.id()} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return fmt.Errorf("left: %v", found)
		}
	}
	return nil
}

// processes are the live processes that name this daemon's directory in their arguments or environment: keeper, engine
// and services.
func (d *daemon) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		d.t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.Contains(string(env), "STAY_TREE="+d.id()+"/") || strings.Contains(string(args), d.dir+"/.stay\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// id is the daemon's short name, as stayd makes it of the runtime directory.
func (d *daemon) id() string { return idOf(filepath.Join(d.dir, ".stay")) }

func (d *daemon) log() string {
	data, _ := os.ReadFile(filepath.Join(d.root, d.dir, ".stay", "log", "stay.log"))
	return string(data)
}

// output is what a service has written, with the time stamps.
func (d *daemon) output(name string) string {
	data, _ := os.ReadFile(filepath.Join(d.root, d.dir, ".stay", "log", name+".log"))
	return string(data)
}

// wait asks again and again until there is no error: for what has no better way to be waited for.
func (d *daemon) wait(what string, ask func() error) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	var last error
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if last = ask(); last == nil {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("waiting for %s: %v\n%s", what, last, d.log())
		}
		<-time.After(pause)
	}
}

// one is the status of one instance.
func (d *daemon) one(name string) api.Instance {
	d.t.Helper()
	list := d.status(name)
	for _, i := range list {
		if i.Name == name {
			return i
		}
	}
	d.t.Fatalf("no instance %q in %+v", name, list)
	return api.Instance{}
}

func (d *daemon) status(target string) []api.Instance {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := d.client.Status(ctx, target)
	if err != nil {
		d.t.Fatalf("status %q: %v\n%s", target, err, d.log())
	}
	return list
}

// until waits until an instance is as is says.
func (d *daemon) until(name string, what string, is func(api.Instance) bool) api.Instance {
	d.t.Helper()
	var last api.Instance
	d.wait(name+" to be "+what, func() error {
		last = d.one(name)
		if !is(last) {
			return fmt.Errorf("it is %+v", last)
		}
		return nil
	})
	return last
}

// running waits until an instance is running with a generation above after.
func (d *daemon) running(name string, after uint64) api.Instance {
	d.t.Helper()
	return d.until(name, "running", func(i api.Instance) bool { return i.State == api.Running && i.Generation > after })
}

// do carries out a command that must succeed.
func (d *daemon) do(verb api.Verb, target string) api.Result {
	d.t.Helper()
	r, err := d.try(api.Command{Verb: verb, Target: target})
	if err != nil || len(r.Failures) > 0 {
		d.t.Fatalf("%s %s: %v %+v\n%s", verb, target, err, r.Failures, d.log())
	}
	return r
}

func (d *daemon) try(c api.Command) (api.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.client.Do(ctx, c)
}

// killEngine kills the engine and waits until another answers. It returns how long that took.
func (d *daemon) killEngine() time.Duration {
	d.t.Helper()
	before, err := d.version()
	if err != nil {
		d.t.Fatal(err)
	}
	begin := time.Now()
	if err := syscall.Kill(before.EnginePid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	d.wait("the next engine", func() error {
		v, err := d.version()
		if err == nil && v.EnginePid == before.EnginePid {
			err = errors.New("the old one answers")
		}
		return err
	})
	return time.Since(begin)
}

// alive says whether a process is there and no zombie.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	return ok && !strings.HasPrefix(rest, "Z")
}

// needsRoot skips a test that only root can run, and says why.
func needsRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("needs root: %s", why)
	}
}

func parsePid(data []byte) (int, error) { return strconv.Atoi(strings.TrimSpace(string(data))) }
