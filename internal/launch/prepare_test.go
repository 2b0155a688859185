package launch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A fake is a preparer of a machine with known accounts. uid and gid are those of the asking process.
func fake(t *testing.T, uid, gid int, have ...int) *preparer {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return &preparer{
		accounts: accounts{
			passwd: file("passwd", "# comment:x:1", "root:x:0:0:root:/root:/bin/bash", "broken", "anna:x:1001:2001:Anna:/home/anna:",
				"7:x:1007:2007::/home/seven:/bin/zsh", "bad:x:12x:2001::/:", "+::::::"),
			group: file("group", "root:x:0:", "anna:x:2001:", "video:x:44:otto,anna", "audio:x:45:anna", "web:x:2002:"),
			ask: func(database, key string) (string, error) {
				switch database + " " + key {
				case "passwd far", "passwd 5000":
					return "far:*:5000:5001:Far Away:/home/far:/bin/ksh", nil
				case "initgroups far":
					return "far                   5001 44 5002", nil
				case "group distant":
					return "distant:*:5002:", nil
				case "passwd slow", "group slow":
					return "", errors.New("the name service did not answer within 5s")
				}
				return "", nil
			},
		},
		uid: uid, gid: gid,
		groups: func() ([]int, error) { return have, nil },
	}
}

// request is a plain one.
func request(command ...string) Request {
	return Request{Command: command, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}, Umask: -1}
}

func TestPrepareIdentity(t *testing.T) {
	tests := []struct {
		name        string
		user, group string
		groups      []string
		uid, gid    int   // −1: left alone
		want        []int // supplementary
		env         string
	}{
		{"nobody else", "", "", nil, -1, -1, nil, ""},
		{"user", "anna", "", nil, 1001, 2001, []int{44, 45, 2001}, "HOME=/home/anna USER=anna LOGNAME=anna SHELL=/bin/sh"},
		{"user by number", "1001", "", nil, 1001, 2001, []int{44, 45, 2001}, "HOME=/home/anna USER=anna LOGNAME=anna SHELL=/bin/sh"},
		{"a name that is a number", "7", "", nil, 1007, 2007, []int{2007}, "HOME=/home/seven USER=7 LOGNAME=7 SHELL=/bin/zsh"},
		{"user and group", "anna", "web", nil, 1001, 2002, []int{44, 45, 2002}, "HOME=/home/anna USER=anna LOGNAME=anna SHELL=/bin/sh"},
		{"and groups", "anna", "", []string{"web", "77", "video"}, 1001, 2001, []int{44, 45, 77, 2001, 2002}, "HOME=/home/anna USER=anna LOGNAME=anna SHELL=/bin/sh"},
		{"no account", "4711", "4712", nil, 4711, 4712, []int{4712}, ""},
		{"name service", "far", "distant", nil, 5000, 5002, []int{44, 5001, 5002}, "HOME=/home/far USER=far LOGNAME=far SHELL=/bin/ksh"},
		{"number of the name service", "5000", "", nil, 5000, 5001, []int{44, 5001, 5002}, "HOME=/home/far USER=far LOGNAME=far SHELL=/bin/ksh"},
		{"group alone", "", "web", nil, 0, 2002, []int{2002}, ""},
		{"groups alone", "", "", []string{"web"}, 0, 0, []int{2002}, ""},
		{"itself", "root", "", nil, -1, -1, nil, "HOME=/root USER=root LOGNAME=root SHELL=/bin/bash"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("/bin/sh")
			r.User, r.Group, r.Groups = test.user, test.group, test.groups
			p, f := fake(t, 0, 0, 0).prepare(r)
			if f != nil {
				t.Fatal(f)
			}
			uid, gid := -1, -1
			if p.Plan.UID != nil && p.Plan.GID != nil {
				uid, gid = *p.Plan.UID, *p.Plan.GID
			}
			if uid != test.uid || gid != test.gid || !slices.Equal(p.Plan.Groups, test.want) {
				t.Errorf("ids %d %d %v, want %d %d %v", uid, gid, p.Plan.Groups, test.uid, test.gid, test.want)
			}
			if p.UID != max(uid, 0) || p.GID != max(gid, 0) {
				t.Errorf("owner %d %d, want %d %d", p.UID, p.GID, max(uid, 0), max(gid, 0))
			}
			if p.Direct != (uid < 0) {
				t.Errorf("direct is %v", p.Direct)
			}
			if got := strings.Join(p.Plan.Env[1:], " "); got != test.env {
				t.Errorf("env %q, want %q", got, test.env)
			}
		})
	}
}

func TestPrepareEnvironmentOfOperatorWins(t *testing.T) {
	r := request("/bin/sh")
	r.User = "anna"
	r.Env = []string{"SHELL=/bin/false", "HOMELY=1", "HOME="}
	p, f := fake(t, 0, 0).prepare(r)
	want := []string{"SHELL=/bin/false", "HOMELY=1", "HOME=", "USER=anna", "LOGNAME=anna"}
	if f != nil || !slices.Equal(p.Plan.Env, want) {
		t.Errorf("env %q, want %q (failure %v)", p.Plan.Env, want, f)
	}
	if len(r.Env) != 3 {
		t.Errorf("the request was changed: %q", r.Env)
	}
}

func TestPrepareRefusesIdentity(t *testing.T) {
	tests := []struct {
		name        string
		uid         int
		user, group string
		groups      []string
		stage       Stage
		text        string
	}{
		{"unknown user", 0, "foo", "", nil, StageUser, `no such user "foo"`},
		{"unknown group", 0, "anna", "foo", nil, StageGroup, `no such group "foo"`},
		{"unknown supplementary", 0, "", "", []string{"foo"}, StageGroup, `no such group "foo"`},
		{"number without group", 0, "4711", "", nil, StageUser, `user "4711" has no account: give its group too`},
		{"no id at all", 0, "4294967295", "web", nil, StageUser, `no such user "4294967295"`},
		{"negative", 0, "-1", "web", nil, StageUser, `no such user "-1"`},
		{"slow service", 0, "slow", "", nil, StageUser, `user "slow": the name service did not answer within 5s`},
		{"slow service, group", 0, "", "slow", nil, StageGroup, `group "slow": the name service did not answer within 5s`},
		{"other user", 1001, "root", "", nil, StageUser,
			`only root can run a program as another user: start stayd as root, or remove user "root"`},
		{"other group", 1001, "", "web", nil, StageGroup,
			`only root can run a program in another group: start stayd as root, or remove group "web"`},
		{"more groups", 1001, "anna", "", []string{"video", "web"}, StageGroup,
			`only root can add a group: start stayd as root, or remove "web" from groups`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("/bin/sh")
			r.User, r.Group, r.Groups = test.user, test.group, test.groups
			_, f := fake(t, test.uid, 2001, 44).prepare(r)
			if f == nil || f.Stage != test.stage || f.Error() != test.text {
				t.Errorf("failure %#v, want stage %s: %s", f, test.stage, test.text)
			}
		})
	}
	r := request("/bin/sh")
	r.User = "bad"
	if _, f := fake(t, 0, 0).prepare(r); f == nil || f.Error() != `user "bad": its account has no number` {
		t.Errorf("a broken line: failure %v", f)
	}
}

func TestPrepareAsOneself(t *testing.T) {
	r := request("/bin/sh")
	r.User, r.Group, r.Groups = "anna", "2001", []string{"video"}
	p, f := fake(t, 1001, 2001, 44, 2001).prepare(r)
	if f != nil || !p.Direct || p.UID != 1001 || p.GID != 2001 {
		t.Errorf("got %+v, failure %v; want direct as 1001, 2001", p, f)
	}
}

func TestPrepareLookup(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"a", "b", "b/tool", "root", "root/bin"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"a/plain": 0o644, "b/plain": 0o755, "a/only": 0o644, "b/prog": 0o755, "root/bin/prog": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/bin/prog", filepath.Join(dir, "root/bin/link")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, command, path, chroot string
		want                        string
		fails                       string
	}{
		{"in PATH", "prog", dir + "/a:" + dir + "/b", "", dir + "/b/prog", ""},
		{"one that is not executable is passed over", "plain", dir + "/a:" + dir + "/b", "", dir + "/b/plain", ""},
		{"relative entry", "prog", "a:b", "", dir + "/b/prog", ""},
		{"relative program", "b/prog", "", "", dir + "/b/prog", ""},
		{"above", "./a/../b/prog", "", "", dir + "/b/prog", ""},
		{"absolute", dir + "/b/prog", "", "", dir + "/b/prog", ""},
		{"in a root", "prog", "/bin", dir + "/root", "/bin/prog", ""},
		{"a link in a root", "/bin/link", "", dir + "/root", "/bin/link", ""},
		{"not in a root", "sh", "/bin", dir + "/root", "", `program "sh" not found in its PATH`},
		{"not there", "foo", "/usr/bin:/bin", "", "", `program "foo" not found in its PATH`},
		{"a directory is no program", "tool", dir + "/b", "", "", `program "tool" not found in its PATH`},
		{"not executable", "only", dir + "/a:" + dir + "/b", "", "",
			`program "` + dir + `/a/only" is not executable: chmod +x it, or give its interpreter as the program`},
		{"directory", dir, "", "", "", `program "` + dir + `" is a directory`},
		{"missing, by its whole path", dir + "/nix/foo", "", "", "", `program "` + dir + `/nix/foo" not found`},
		{"missing", "./foo", "", "", "", `program "./foo" not found (looked for ` + dir + `/foo)`},
		{"below a file", "b/prog/x", "", "", "", `program "b/prog/x" not found (looked for ` + dir + `/b/prog/x)`},
		{"device", "/dev/null", "", "", "",
			`program "/dev/null" is not executable: chmod +x it, or give its interpreter as the program`},
		{"empty", "", "", "", "", "no program: the command is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request(test.command, "arg")
			r.Dir, r.Env, r.Chroot = dir, []string{"PATH=" + test.path, "PATH=/never"}, test.chroot
			p, f := Prepare(r)
			if test.fails != "" {
				if f == nil || f.Stage != StageLookup || f.Error() != test.fails {
					t.Fatalf("failure is %v, want %s", f, test.fails)
				}
				return
			}
			if f != nil || p.Plan.Path != test.want || p.Plan.Argv[0] != test.command {
				t.Errorf("path %q argv %q, want %q (failure %v)", p.Plan.Path, p.Plan.Argv, test.want, f)
			}
		})
	}
}

func TestPrepareWithoutPath(t *testing.T) {
	r := request("sh")
	r.Env = nil
	if p, f := Prepare(r); f != nil || filepath.Base(p.Plan.Path) != "sh" {
		t.Errorf("got %q, failure %v", p.Plan.Path, f)
	}
}

func TestPrepareDirect(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shell := write("shell", "#! /bin/sh -e\n")
	second := write("second", "#!"+shell+"\n")
	tests := []struct {
		name   string
		change func(*Request)
		want   bool
	}{
		{"binary", func(r *Request) {}, true},
		{"script", func(r *Request) { r.Command = []string{shell} }, true},
		{"script of a script", func(r *Request) { r.Command = []string{second} }, true},
		{"relative interpreter", func(r *Request) { r.Command = []string{write("rel", "#!sh\n")} }, false},
		{"endless", func(r *Request) { r.Command = []string{write("self", "#!"+dir+"/self\n")} }, false},
		{"directory in proc", func(r *Request) { r.Dir = "/proc" }, false},
		{"umask", func(r *Request) { r.Umask = 0 }, false},
		{"nice", func(r *Request) { r.Nice = intp(0) }, false},
		{"oom score", func(r *Request) { r.OOMScoreAdj = intp(0) }, false},
		{"limit", func(r *Request) { r.Rlimits = []Limit{{"core", 0}} }, false},
		{"no new privileges", func(r *Request) { r.NoNewPrivs = true }, false},
		{"chroot", func(r *Request) { r.Chroot = "/" }, false},
	}
	if !local(dir) {
		t.Skip("the directory for temporary files is not on a local file system")
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("sh")
			test.change(&r)
			for range 2 { // the second time from the cache
				p, f := Prepare(r)
				if f != nil || p.Direct != test.want {
					t.Errorf("direct is %v, want %v (failure %v)", p.Direct, test.want, f)
				}
			}
		})
	}
}

func TestPrepareNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	write := func(text string) {
		if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("#!/no/such/interp\n")
	_, f := Prepare(request(script))
	want := `exec "` + script + `": interpreter "/no/such/interp": no such file or directory`
	if f == nil || f.Error() != want {
		t.Errorf("failure is %v, want %s", f, want)
	}
	write("#!/bin/sh\n# a new version must be seen\n")
	if p, f := Prepare(request(script)); f != nil || p.Plan.Path != script {
		t.Errorf("after the repair: failure %v", f)
	}
	r := request("sh")
	r.Dir = dir + "/gone"
	if _, f := Prepare(r); f == nil || *f != (Failure{StageChdir, int(unix.ENOENT), r.Dir}) {
		t.Errorf("directory: failure %v", f)
	}
	r.Dir = script
	if _, f := Prepare(r); f == nil || *f != (Failure{StageChdir, int(unix.ENOTDIR), script}) {
		t.Errorf("directory that is a file: failure %v", f)
	}
	r = request("sh")
	r.Rlimits = []Limit{{"open_flies", 1}}
	if _, f := Prepare(r); f == nil || f.Stage != "rlimit open_flies" {
		t.Errorf("unknown limit: failure %v", f)
	}
}

// What Prepare says, the stage does.
func TestPrepareThenStage(t *testing.T) {
	r := request("sh", "-c", "umask; ulimit -c; pwd")
	r.Dir, r.Umask, r.Rlimits, r.NoNewPrivs = "/usr", 0o077, []Limit{{"core", 0}}, true
	p, f := Prepare(r)
	if f != nil {
		t.Fatal(f)
	}
	prints(t, p.Plan, "0077\n0\n/usr")
}

func BenchmarkPreparePlain(b *testing.B) {
	r := request("/bin/sh", "-c", "true")
	for b.Loop() {
		if p, f := Prepare(r); f != nil || !p.Direct {
			b.Fatal(p, f)
		}
	}
}

func BenchmarkPreparePath(b *testing.B) {
	r := request("sh", "-c", "true")
	r.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for b.Loop() {
		if p, f := Prepare(r); f != nil || !p.Direct {
			b.Fatal(p, f)
		}
	}
}
