package integration

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// This file: what a service finds around it, read from the kernel's own account of a process that changes nothing.

// process is what /proc tells of one.
type process struct {
	t   testing.TB
	pid int
}

func (p process) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

func (p process) link(name string) string {
	p.t.Helper()
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", p.pid, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return to
}

// env is the environment it was started with; a name that is there twice is an error.
func (p process) env() map[string]string {
	p.t.Helper()
	env := map[string]string{}
	for _, entry := range strings.Split(strings.TrimSuffix(p.read("environ"), "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := env[name]; twice {
			p.t.Errorf("%s is in the environment twice", name)
		}
		env[name] = value
	}
	return env
}

// limit is the soft and hard value of one line of /proc/PID/limits.
func (p process) limit(name string) string {
	p.t.Helper()
	for line := range strings.Lines(p.read("limits")) {
		if rest, ok := strings.CutPrefix(line, name+"  "); ok {
			f := strings.Fields(rest)
			return f[0] + " " + f[1]
		}
	}
	p.t.Fatalf("no limit %q", name)
	return ""
}

// stat is one field of proc_pid_stat(5), counted from 1.
func (p process) stat(n int) string {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.read("stat"), ") ")
	return strings.Fields(rest)[n-3]
}

// service starts a daemon with one service and returns its process.
func service(t *testing.T, config string) (*daemon, process) {
	t.Helper()
	d := start(t, config)
	return d, d.asleep("web")
}

// asleep waits until a service sleeps: before, exec and the loader are still at work in it.
func (d *daemon) asleep(name string) process {
	d.t.Helper()
	p := process{d.t, d.running(name, 0).Pid}
	d.wait(name+" to sleep", func() error {
		if env, stat := p.read("environ"), p.read("stat"); env == "" || !strings.Contains(stat, "(sleep) S ") {
			return fmt.Errorf("it is %q", stat)
		}
		return nil
	})
	return p
}

func check(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %q, want %q", what, got, want)
	}
}

func TestPlainService(t *testing.T) {
	t.Parallel()
	for _, how := range []struct{ name, more string }{
		{"direct", ""},
		{"by the exec stage", "sandbox = { no_new_privileges = true }\n"}, // anything that cannot be done by fork and exec alone
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			d, p := service(t, "[service.web]\ncommand = \"sleep 1000\"\n"+how.more)
			check(t, "the session", p.stat(6), strconv.Itoa(p.pid))
			check(t, "the process group", p.stat(5), strconv.Itoa(p.pid))
			check(t, "the terminal", p.stat(7), "0")
			check(t, "the parent", p.stat(4), strconv.Itoa(d.keeper.Process.Pid))
			check(t, "the directory", p.link("cwd"), d.dir)
			check(t, "blocked signals", field(t, p.pid, "SigBlk"), "0000000000000000")
			check(t, "ignored signals", field(t, p.pid, "SigIgn"), "0000000000000000")
			check(t, "the umask", field(t, p.pid, "Umask"), field(t, os.Getpid(), "Umask"))
			check(t, "open files", p.limit("Max open files"), process{t, os.Getpid()}.originalFiles())
			check(t, "niceness", p.stat(19), process{t, os.Getpid()}.stat(19))
			check(t, "oom_score_adj", p.read("oom_score_adj"), process{t, os.Getpid()}.read("oom_score_adj"))
			p.plainFiles()
		})
	}
}

// originalFiles is the limit of open files that a child of this process gets that was not made by package os: Go raises
// the soft limit of itself at start and lowers it again for its children.
func (p process) originalFiles() string {
	p.t.Helper()
	out, err := output("sh", "-c", "echo $(ulimit -Sn) $(ulimit -Hn)")
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// plainFiles sees to it that a process has /dev/null to read from, one pipe to write to, and nothing else.
func (p process) plainFiles() {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	check(p.t, "the list of descriptors", strings.Join(names, " "), "0 1 2")
	check(p.t, "stdin", p.link("fd/0"), "/dev/null")
	check(p.t, "stderr", p.link("fd/2"), p.link("fd/1"))
	if !strings.HasPrefix(p.link("fd/1"), "pipe:") {
		p.t.Errorf("stdout is %s, not a pipe", p.link("fd/1"))
	}
}

func TestServiceVariables(t *testing.T) {
	t.Setenv("STAY_TEST_LEAK", "1")
	t.Setenv("LANG", "C.UTF-8")
	d := prepare(t, `[service.web]
command = "sleep 1000"
instances = 2
directory = "sub"
env_file = ["more.env"]
env = { A = "one two", EMPTY = "", LANG = "C" }
`)
	if err := os.Mkdir(filepath.Join(d.dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(d.dir, "more.env"), "A=lost\nB=\"kept\"\n", 0o644)
	d.up()
	p := d.asleep("web.2")
	env := p.env()
	for name, want := range map[string]string{
		"A": "one two", "B": "kept", "EMPTY": "", "LANG": "C", "PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"),
		"STAY_SERVICE": "web", "STAY_INSTANCE": "web.2", "STAY_NUMBER": "2", "STAY_SOCKET": d.client.Socket(),
		"STAY_TREE": d.id() + "/web.2/1",
	} {
		check(t, name, env[name], want)
	}
	for name := range env {
		switch name {
		case "A", "B", "EMPTY", "LANG", "PATH", "HOME", "TZ", "STAY_SERVICE", "STAY_INSTANCE", "STAY_NUMBER", "STAY_SOCKET", "STAY_TREE":
		default:
			t.Errorf("%s=%s is in the environment, and nobody has put it there", name, env[name])
		}
	}
	check(t, "the directory", p.link("cwd"), filepath.Join(d.dir, "sub"))
}

func TestServiceSettings(t *testing.T) {
	t.Parallel()
	d, p := service(t, `[service.web]
command = "sleep 1000"
umask = "027"
sandbox = { no_new_privileges = true }
limits = { open_files = 321, core = "0", nice = 7, oom_score_adj = 500, stack = "4MiB", processes = 5000, file_size = "1MB" }
`)
	check(t, "the umask", field(t, p.pid, "Umask"), "0027")
	check(t, "no_new_privileges", field(t, p.pid, "NoNewPrivs"), "1")
	check(t, "nice", p.stat(19), "7")
	check(t, "oom_score_adj", p.read("oom_score_adj"), "500\n")
	for name, want := range map[string]string{"Max open files": "321 321", "Max core file size": "0 0", "Max stack size": "4194304 4194304",
		"Max processes": "5000 5000", "Max file size": "1000000 1000000"} {
		check(t, name, p.limit(name), want)
	}
	check(t, "the keeper's niceness", process{t, d.keeper.Process.Pid}.stat(19), process{t, os.Getpid()}.stat(19))
	check(t, "the keeper's oom_score_adj", process{t, d.keeper.Process.Pid}.read("oom_score_adj"), process{t, os.Getpid()}.read("oom_score_adj"))
	p.plainFiles()
}

func TestServiceUser(t *testing.T) {
	needsRoot(t, "only root runs programs as another user")
	t.Parallel()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody")
	}
	mail, err := user.LookupGroup("mail")
	if err != nil {
		t.Skip("there is no group mail")
	}
	for _, c := range []struct{ name, config, gid, groups string }{
		{"user", `user = "nobody"`, u.Gid, u.Gid},
		{"number", fmt.Sprintf("user = %q", u.Uid), u.Gid, u.Gid},
		{"group", `user = "nobody"` + "\n" + `group = "mail"`, mail.Gid, mail.Gid},
		{"groups", `user = "nobody"` + "\n" + `groups = ["mail", "daemon"]`, u.Gid, "1 " + mail.Gid + " " + u.Gid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, p := service(t, "[service.web]\ncommand = \"sh -c 'echo reopened >/dev/stderr; exec sleep 1000'\"\n"+c.config)
			check(t, "the uids", field(t, p.pid, "Uid"), strings.Join([]string{u.Uid, u.Uid, u.Uid, u.Uid}, " "))
			check(t, "the gids", field(t, p.pid, "Gid"), strings.Join([]string{c.gid, c.gid, c.gid, c.gid}, " "))
			if got := field(t, p.pid, "Groups"); got != c.groups && !sameWords(got, c.groups) {
				t.Errorf("the groups are %s, want %s", got, c.groups)
			}
			check(t, "capabilities", field(t, p.pid, "CapEff"), "0000000000000000")
			env := p.env()
			check(t, "HOME", env["HOME"], u.HomeDir)
			check(t, "USER", env["USER"], "nobody")
			check(t, "LOGNAME", env["LOGNAME"], "nobody")
		})
	}
}

// sameWords says whether two lists have the same words, but for the gid of the user, which some keep in the list.
func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}

// TestServiceUserOutput: a service of another user may open its own output again (as /dev/stdout).
func TestServiceUserOutput(t *testing.T) {
	needsRoot(t, "only root runs programs as another user")
	t.Parallel()
	d, _ := service(t, `[service.web]
command = "sh -c 'echo again >/dev/stdout; echo also >/proc/self/fd/2; exec sleep 1000'"
user = "nobody"
`)
	d.says("web", "again")
	d.says("web", "also")
}

func TestServiceChroot(t *testing.T) {
	needsRoot(t, "chroot")
	t.Parallel()
	if to, err := os.Readlink("/lib64"); err != nil || to != "usr/lib64" {
		t.Skip("/usr is no root directory of its own here: /lib64 is no link into it")
	}
	d, p := service(t, `[service.web]
command = "sh -c 'pwd; test -d /usr || echo it is another root; exec sleep 1000'"
directory = "/bin"
sandbox = { chroot = "/usr" }
env = { PATH = "/bin" }
`)
	d.says("web", "/bin")
	d.says("web", "it is another root")
	check(t, "the root", p.link("root"), "/usr")
	check(t, "the directory", p.link("cwd"), "/usr/bin")
}

// TestInheritedBlemishes: a keeper that was itself started badly, with ignored and blocked signals, odd descriptors and a
// strange umask, passes none of it on but the umask.
func TestInheritedBlemishes(t *testing.T) {
	t.Parallel()
	d := prepare(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	// The shell ignores HUP, INT and USR1 and opens 7 and 9; env blocks TERM and WINCH where it can.
	block := ""
	if out, err := output("env", "--block-signal=WINCH", "true"); err == nil && out == "" {
		block = "env --block-signal=WINCH --block-signal=USR2"
	}
	d.wrap = []string{"sh", "-c", `trap "" HUP INT USR1 PIPE; umask 077; exec 7<"$0" 9<"$0"; exec ` + block + ` "$@"`, d.dir + "/stay.toml"}
	d.up()
	p := d.asleep("web")
	check(t, "blocked signals", field(t, p.pid, "SigBlk"), "0000000000000000")
	check(t, "ignored signals", field(t, p.pid, "SigIgn"), "0000000000000000")
	check(t, "the umask", field(t, p.pid, "Umask"), "0077")
	p.plainFiles()
	for _, pid := range []int{d.keeper.Process.Pid, mustVersion(t, d).EnginePid} {
		if strays := strayFiles(t, pid); len(strays) > 0 {
			t.Errorf("process %d of the daemon has kept %v", pid, strays)
		}
	}
}

// strayFiles are the descriptors of a process that are the configuration, as the test had opened them.
func strayFiles(t *testing.T, pid int) []string {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	var strays []string
	for _, e := range entries {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name())); err == nil && strings.HasSuffix(to, "/stay.toml") {
			strays = append(strays, e.Name())
		}
	}
	return strays
}

// TestOutputOutlivesDaemon: with keeper and engine killed at once, writing does not kill the service.
func TestOutputOutlivesDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sh -c 'while :; do echo line; sleep .01; done'\"\n")
	d.says("web", "line")
	p := process{t, d.one("web").Pid}
	version := mustVersion(t, d)
	if err := unix.Kill(version.EnginePid, unix.SIGSTOP); err != nil { // or it might see the keeper's end, and replace it
		t.Fatal(err)
	}
	kill(t, d.keeper.Process.Pid)
	kill(t, version.EnginePid)
	<-d.ended
	d.wait("the engine to be gone", func() error {
		if alive(version.EnginePid) {
			return fmt.Errorf("engine %d is alive", version.EnginePid)
		}
		return nil
	})
	before := p.written()
	d.wait("it to write on", func() error {
		if now := p.written(); now <= before {
			return fmt.Errorf("it has written %d bytes, before %d", now, before)
		}
		return nil
	})
	for _, pid := range family(p.pid) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	d.tidy()
}

// written is how many bytes a process has written, by its own account.
func (p process) written() int {
	p.t.Helper()
	found := regexp.MustCompile(`wchar: (\d+)`).FindStringSubmatch(p.read("io"))
	if found == nil {
		p.t.Fatal("/proc/PID/io has no wchar")
	}
	n, _ := strconv.Atoi(found[1])
	return n
}
