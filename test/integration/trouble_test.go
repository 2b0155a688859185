package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// This file: a machine that refuses what it is asked for.

// stranger is an account that owns nothing else, so that its limits touch nobody: each test takes another number.
func stranger(t *testing.T, number uint32) *syscall.Credential {
	t.Helper()
	needsRoot(t, "becomes another user")
	return &syscall.Credential{Uid: number, Gid: number, NoSetGroups: false}
}

// privateMounts has the keeper of d started in a mount namespace of its own, after the shell commands.
func (d *daemon) privateMounts(t *testing.T, commands string) {
	t.Helper()
	needsRoot(t, "a mount namespace of its own")
	if out, err := output("unshare", "-m", "true"); err != nil {
		t.Skipf("no mount namespace here: %v %s", err, out)
	}
	d.wrap = []string{"unshare", "-m", "sh", "-ec", "cd " + d.dir + "; " + commands + `; exec "$@"`, "sh"}
}

// TestEndlessSuccess: a program that ends at once, and well, is started again and again, with a growing delay, and costs
// next to nothing.
func TestEndlessSuccess(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.web]
command = "true"
restart = { step = "50ms", jitter = 0.0 }
`)
	v := mustVersion(t, d)
	d.until("web", "restarted 6 times", func(i api.Instance) bool { return i.Restarts >= 6 })
	if i := d.why("web", `exit code 0( after .*)?, retry in .*`); i.State != api.Waiting {
		t.Errorf("it is %+v", i)
	}
	starts := d.became("web", api.Starting)
	for n := 4; n < len(starts); n++ {
		if gap, before := starts[n]-starts[n-1], starts[n-1]-starts[n-2]; gap < before*3/2 {
			t.Errorf("start %d came %d ms after the one before, that one %d ms", n+1, gap/1e6, before/1e6)
		}
	}
	ticks := process{t, v.KeeperPid}.ticks() + process{t, v.EnginePid}.ticks()
	if ticks > 50 {
		t.Errorf("keeper and engine have used %d hundredths of a second for %d starts", ticks, len(starts))
	}
}

// ticks is the processor time of a process, in hundredths of a second.
func (p process) ticks() int {
	user, _ := strconv.Atoi(p.stat(14))
	system, _ := strconv.Atoi(p.stat(15))
	return user + system
}

// TestForkRefused: with no process left for the user, a start waits, says why, and works when there is room again.
func TestForkRefused(t *testing.T) {
	as := stranger(t, 31001)
	t.Parallel()
	dir := shared(t)
	d := prepareAt(t, private(t, dir, "d", 31001, 31001), "[service.web]\ncommand = \"sleep 1000\"\nenabled = false\n[service.other]\ncommand = \"sleep 1000\"\n")
	d.as = as
	d.up()
	other := d.running("other", 0)
	limit := func(soft string) error { // as that user, who may: root needs a capability for the limits of others
		out, err := output("setpriv", "--reuid=31001", "--regid=31001", "--clear-groups", "prlimit",
			"--pid", strconv.Itoa(d.keeper.Process.Pid), "--nproc="+soft+":")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	if err := limit("1"); err != nil {
		t.Skipf("no limit can be set here: %v", err)
	}
	r, err := d.try(api.Command{Verb: api.Start, Target: "web"})
	want := "fork: resource temporarily unavailable"
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Message != want {
		t.Errorf("start: %v, %+v; want the failure %q", err, r.Failures, want)
	}
	d.why("web", regexp.QuoteMeta(want)+", retry in .*")
	if now := d.one("other"); now.Pid != other.Pid {
		t.Errorf("the other was %+v, is %+v", other, now)
	}
	if err := limit("1000"); err != nil {
		t.Fatal(err)
	}
	d.running("web", 0)
}

func TestLogDirectoryRefused(t *testing.T) {
	as := stranger(t, 31002)
	t.Parallel()
	dir := shared(t)
	private(t, dir, "theirs", 0, 0)
	for _, c := range []struct{ name, logs, want string }{
		{"another's", filepath.Join(dir, "theirs"), `"` + filepath.Join(dir, "theirs") + `" belongs to uid 0, not to 31002: run as that user, or name another with log_dir`},
		{"not to be made", filepath.Join(dir, "new"), `make directory "` + filepath.Join(dir, "new") + `": no permission: run as its owner, or set log_dir in [stay] to a place that can be written`},
		{"its own, read only", filepath.Join(dir, "own", "logs"), `cannot write to "` + filepath.Join(dir, "own", "logs") + `": chmod u+rwx it, or name another with log_dir`},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "own"
			if c.name != "its own, read only" {
				name = strings.ReplaceAll(c.name, " ", "-")
			}
			d := prepareAt(t, private(t, dir, name, 31002, 31002), fmt.Sprintf("[stay]\nlog_dir = %q\n", c.logs))
			if name == "own" {
				if err := os.Mkdir(c.logs, 0o500); err != nil {
					t.Fatal(err)
				}
				if err := os.Chown(c.logs, 31002, 31002); err != nil {
					t.Fatal(err)
				}
			}
			d.as = as
			check(t, "the refusal", d.refused(), "stay: "+c.want)
			if err := d.left(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	for _, c := range []struct{ name, mount, config, want string }{
		{"runtime", "mkdir .stay; mount -t tmpfs -o ro,mode=0755 none .stay", "",
			`cannot write to "DIR/.stay": the disk is read-only: set runtime_dir in [stay] to a place that can be written`},
		{"runtime alone", "mkdir .stay logs; mount -t tmpfs -o ro,mode=0755 none .stay", "[stay]\nlog_dir = \"logs\"\n",
			`cannot write to "DIR/.stay": the disk is read-only: set runtime_dir in [stay] to a place that can be written`},
		{"logs", "mkdir -p .stay/log; mount -t tmpfs -o ro,mode=0750 none .stay/log", "",
			`cannot write to "DIR/.stay/log": the disk is read-only: set log_dir in [stay] to a place that can be written`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := prepare(t, c.config)
			d.privateMounts(t, c.mount)
			check(t, "the refusal", d.refused(), "stay: "+strings.ReplaceAll(c.want, "DIR", d.dir))
			if err := d.left(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFullDisk: a service whose log cannot grow waits in its writing, and says so; others go on; when there is room
// again, every line is there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const lines = 30000
	d := prepare(t, fmt.Sprintf(`[service.loud]
command = "seq -f 'line number %%.0f of those that fill the disk' %d"
restart = { when = "never" }
enabled = false
log = { max_size = 0, timestamps = false }
[service.quiet]
command = "sleep 1000"
`, lines))
	d.privateMounts(t, "mkdir -p .stay/log; mount -t tmpfs -o size=4m,mode=0750 none .stay/log; dd if=/dev/zero of=.stay/log/ballast bs=1k count=3500 2>/dev/null")
	d.up()
	d.root = fmt.Sprintf("/proc/%d/root", d.keeper.Process.Pid)
	d.running("quiet", 0)
	if _, err := d.try(api.Command{Verb: api.Start, Target: "loud", NoWait: true}); err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(d.root, d.dir, ".stay", "log")
	said := func(text string) func() error {
		return func() error {
			for _, e := range d.events() {
				if e.Kind == "log" && e.Name == "loud" && strings.Contains(e.Message, text) {
					return nil
				}
			}
			return fmt.Errorf("no such event")
		}
	}
	d.wait("word of the full disk", said("no space left on device"))
	if i := d.one("loud"); i.State != api.Running {
		t.Errorf("a service whose log is full is %+v", i)
	}
	quiet := d.one("quiet")
	d.do(api.Restart, "quiet")
	d.running("quiet", quiet.Generation)
	if err := os.Remove(filepath.Join(logs, "ballast")); err != nil {
		t.Fatal(err)
	}
	d.until("loud", "done", func(i api.Instance) bool { return i.State == api.Done })
	d.wait("the whole output", func() error {
		if n := strings.Count(d.output("loud"), "\n"); n < lines {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	n := 0
	for line := range strings.Lines(d.output("loud")) {
		n++
		if want := fmt.Sprintf("line number %d of those that fill the disk\n", n); line != want {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	if n != lines {
		t.Errorf("%d lines, want %d", n, lines)
	}
	d.wait("word that it goes on", said("its log is written again"))
}

// TestPowerCut: everything ends at once and what was in memory is gone; what lies about on the disk does not keep the next
// daemon from starting, which begins anew.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\ninstances = 2\n[service.told]\ncommand = \"sleep 1000\"\nready = \"notify\"\nstart_timeout = \"0s\"\n")
	d.running("web.2", 0)
	d.until("told", "started", func(i api.Instance) bool { return i.Pid != 0 })
	pids := d.processes()
	if len(pids) != 5 {
		t.Errorf("the processes are %v, want keeper, engine and three services", pids)
	}
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} { // stopped first, so that nobody sees another go
		for _, pid := range pids {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Errorf("kill %d: %v", pid, err)
			}
		}
	}
	<-d.ended
	d.wait("all to be gone", func() error {
		if left := living(pids); len(left) > 0 {
			return fmt.Errorf("%v are there", left)
		}
		return nil
	})
	memory, err := filepath.Glob("/dev/shm/stay-*-" + d.id())
	if err != nil || len(memory) != 1 {
		t.Fatalf("its memory is %v (%v)", memory, err)
	}
	if err := os.RemoveAll(memory[0]); err != nil {
		t.Fatal(err)
	}
	if d.left() == nil {
		t.Error("it left nothing behind: this tests nothing")
	}
	d.up()
	d.running("web.2", 0)
	d.until("told", "started", func(i api.Instance) bool { return i.Pid != 0 })
	if i := d.one("web"); i.Generation != 1 || i.Restarts != 0 {
		t.Errorf("after the start: %+v", i)
	}
}
