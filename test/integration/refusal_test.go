package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
)

// This file: what cannot work, and the exact line that says so.

func TestServiceThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	plain := file(t, filepath.Join(dir, "plain"), "#!/bin/sh\n", 0o644)
	garbage := file(t, filepath.Join(dir, "garbage"), "no program at all\n", 0o755)
	orphan := file(t, filepath.Join(dir, "orphan"), "#!/no/such/interpreter\n", 0o755)
	dos := file(t, filepath.Join(dir, "dos"), "#!/bin/sh\r\necho\r\n", 0o755)
	as := "sandbox = { no_new_privileges = true }" // has it go through the exec stage
	cases := []struct{ name, config, want string }{
		{"missing", `command = "no-such-program"`, `program "no-such-program" not found in its PATH`},
		{"missingpath", `command = "/no/such/program"`, `program "/no/such/program" not found`},
		{"notexecutable", `command = "./plain"`, `program "` + plain + `" is not executable: chmod +x it, or give its interpreter as the program`},
		{"isdirectory", `command = "/tmp"`, `program "/tmp" is a directory`},
		{"nodirectory", "command = \"sleep 1000\"\ndirectory = \"/no/such/place\"", `chdir "/no/such/place": no such file or directory`},
		{"nodirectory2", "command = \"sleep 1000\"\ndirectory = \"/no/such/place\"\n" + as, `chdir "/no/such/place": no such file or directory`},
		{"filedirectory", "command = \"sleep 1000\"\ndirectory = \"plain\"", `chdir "` + plain + `": not a directory`},
		{"format", `command = "./garbage"`, `exec "` + garbage + `": not a program: no #! line, and no binary of this machine`},
		{"format2", "command = \"./garbage\"\n" + as, `exec "` + garbage + `": not a program: no #! line, and no binary of this machine`},
		{"interpreter", `command = "./orphan"`, `exec "` + orphan + `": interpreter "/no/such/interpreter": no such file or directory`},
		{"interpreter2", "command = \"./orphan\"\n" + as, `exec "` + orphan + `": interpreter "/no/such/interpreter": no such file or directory`},
		{"windows", `command = "./dos"`, `exec "` + dos + `": interpreter "/bin/sh\r": no such file or directory`},
	}
	if os.Geteuid() == 0 {
		cases = append(cases, []struct{ name, config, want string }{
			{"nouser", "command = \"sleep 1000\"\nuser = \"no-such-user\"", `no such user "no-such-user"`},
			{"nogroup", "command = \"sleep 1000\"\ngroup = \"no-such-group\"", `no such group "no-such-group"`},
			{"nogroups", "command = \"sleep 1000\"\ngroups = [\"no-such-group\"]", `no such group "no-such-group"`},
			{"nochroot", "command = \"sleep 1000\"\nsandbox = { chroot = \"/no/such/root\" }", `program "sleep" not found in its PATH`},
		}...)
	} else {
		cases = append(cases, struct{ name, config, want string }{
			"notroot", "command = \"sleep 1000\"\nuser = \"root\"",
			`only root can run a program as another user: start stayd as root, or remove user "root"`,
		})
	}
	config := ""
	for _, c := range cases {
		config += "[service." + c.name + "]\n" + c.config + "\n"
	}
	d := prepareAt(t, dir, config)
	d.up()
	for _, c := range cases {
		if i := d.why(c.name, regexp.QuoteMeta(c.want)+", retry in .*"); i.State != api.Waiting || i.Pid != 0 {
			t.Errorf("%s is %+v", c.name, i)
		}
	}
	r, err := d.try(api.Command{Verb: api.Start, Target: "missing"})
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Message != cases[0].want {
		t.Errorf("start: %v, %+v; want the failure %q", err, r.Failures, cases[0].want)
	}
	// What was missing comes: the next try finds it.
	if err := os.Chmod(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	d.until("notexecutable", "started once it can be", func(i api.Instance) bool { return strings.HasPrefix(i.Why, "exit code 0") })
}

func TestConfigurationRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, config, want string }{
		{"circle", `[service.a]
command = "sleep 1"
needs = ["b"]
[service.b]
command = "sleep 1"
after = ["c"]
[service.c]
command = "sleep 1"
wants = ["a"]
`, `dependencies go in a circle: `},
		{"unknown key", "[service.a]\ncomand = \"sleep 1\"\n", `stay.toml:2:1: `},
		{"no TOML", "[service.a\n", `stay.toml:1:`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := prepare(t, c.config)
			said := d.refused()
			if !strings.Contains(said, c.want) {
				t.Errorf("it says %q, want %q in it", said, c.want)
			}
			for _, name := range []string{"a", "b", "c"} { // spelled out
				if c.name == "circle" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(said) {
					t.Errorf("%q does not name %q", said, name)
				}
			}
			if err := d.left(); err != nil {
				t.Error(err)
			}
		})
	}
	d := prepare(t, "")
	if err := os.Remove(filepath.Join(d.dir, "stay.toml")); err != nil {
		t.Fatal(err)
	}
	if said := d.refused(); !strings.Contains(said, "stay.toml") || !strings.Contains(said, "no such file") {
		t.Errorf("without a file it says %q", said)
	}
}

// TestApplyRefused: a bad file changes nothing.
func TestApplyRefused(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	before := d.running("web", 0)
	for _, bad := range []string{
		"[service.web]\ncommand = \"sleep 1000\"\nneeds = [\"web\"]\n",
		"[service.web]\ncommand = \"sleep 1000\"\nneeds = [\"nobody\"]\n",
		"[service.web]\n",
		"nonsense",
	} {
		if changes, err := d.apply(bad); !isRefused(err, "refused") || len(changes) > 0 {
			t.Errorf("apply %q: %v, %v", bad, changes, err)
		}
	}
	if now := d.one("web"); now.Pid != before.Pid || now.State != api.Running {
		t.Errorf("it was %+v, it is %+v", before, now)
	}
}

// TestSecondDaemon: the directory's lock keeps it out, and the first one does not notice.
func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	before := d.running("web", 0)
	second := prepareAt(t, d.dir, "[service.web]\ncommand = \"sleep 1000\"\n")
	want := fmt.Sprintf("stay: a daemon is already running on %q (pid %d)\n  use it: stay status, stay up; or end it first: stay down",
		d.dir+"/.stay", d.keeper.Process.Pid)
	check(t, "the refusal", second.refused(), want)
	if now := d.one("web"); now.Pid != before.Pid {
		t.Errorf("it was %+v, it is %+v", before, now)
	}
}

// TestGarbageOnControlSocket: who talks nonsense is told so or hung up on, and nobody else notices.
func TestGarbageOnControlSocket(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	before := d.running("web", 0)
	engine := mustVersion(t, d).EnginePid
	for _, c := range []struct{ name, text, want string }{
		{"noise", "\x00\xff\x16\x03\x01\x02\x00garbage\r\n\r\n", "400 Bad Request"},
		{"long header", "GET /v1/version HTTP/1.1\r\nHost: stay\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431"},
		{"large body", "POST /v1/run HTTP/1.1\r\nHost: stay\r\nContent-Length: 1000000000\r\n\r\n{", ""},
		{"no JSON", "POST /v1/run HTTP/1.1\r\nHost: stay\r\nContent-Length: 4\r\n\r\n<xml", "400"},
		{"unknown field", "POST /v1/run HTTP/1.1\r\nHost: stay\r\nContent-Length: 15\r\n\r\n{\"comand\":[\"x\"]", "400"},
		{"unknown path", "GET /v2/services HTTP/1.1\r\nHost: stay\r\n\r\n", "404"},
		{"unknown method", "BREW /v1/services HTTP/1.1\r\nHost: stay\r\n\r\n", "405"},
		{"unknown verb", "POST /v1/services/web/explode HTTP/1.1\r\nHost: stay\r\nContent-Length: 2\r\n\r\n{}", "400"},
		{"half a request", "GET /v1/serv", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("unix", d.client.Socket())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, c.text) // it may hang up on us before the end
			if c.want == "" {
				return
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.Contains(line, c.want) {
				t.Errorf("it answers %q (%v), want %q", line, err, c.want)
			}
		})
	}
	if now := d.one("web"); now.Pid != before.Pid || mustVersion(t, d).EnginePid != engine {
		t.Errorf("it was %+v, it is %+v; engine was %d, is %d", before, now, engine, mustVersion(t, d).EnginePid)
	}
}

// TestWireVersions: an engine that meets a keeper of another version says which is which, and leaves.
func TestWireVersions(t *testing.T) {
	t.Parallel()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	end := os.NewFile(uintptr(other), "engine's end")
	var stderr bytes.Buffer
	c := exec.Command(filepath.Join(binaries, "stayd"), "engine", "--conn", "3", "--runtime-dir", t.TempDir(), "--memory", t.TempDir(), "--id", "x")
	c.ExtraFiles, c.Stderr = []*os.File{end}, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	m, _, err := conn.Receive()
	if err != nil || m.Kind != keeper.Hello || m.Version != keeper.Version {
		t.Fatalf("its first message is %+v, %v", m, err)
	}
	if err := conn.Send(&keeper.Message{Kind: keeper.Hello, Version: 99, About: &keeper.About{}}); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	want := fmt.Sprintf("the keeper speaks version 99 of the wire, this engine %d: the stayd files were mixed", keeper.Version)
	if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), want) {
		t.Errorf("exit code %d, %q; want 1 and %q", code, stderr.String(), want)
	}
}
