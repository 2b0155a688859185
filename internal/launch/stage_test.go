package launch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStageRunsProgram(t *testing.T) {
	p := shell(`echo "$0 $1 $A $(pwd)"`)
	p.Argv = append(p.Argv, "zero", "one two")
	p.Env = append(p.Env, "A=b c")
	p.Dir = "/usr"
	prints(t, p, "zero one two b c /usr")
}

func TestStageReadsPlanFromPipe(t *testing.T) {
	p := shell("echo $#")
	p.Env = append(p.Env, "BIG="+strings.Repeat("x", 100_000)) // more than one read
	if o := (stage{pipe: true}).run(t, p); o.failure != nil || o.out != "0\n" {
		t.Errorf("got %q, failure %v", o.out, o.failure)
	}
}

func TestStageIsTheSameProcess(t *testing.T) {
	o := stage{}.run(t, shell("echo $$"))
	if got := strings.TrimSpace(o.out); got != strconv.Itoa(o.state.Pid()) {
		t.Errorf("program runs as pid %s, the stage was %d", got, o.state.Pid())
	}
}

func TestStageSettings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Plan)
		script string
		want   string
	}{
		{"umask", func(p *Plan) { p.Umask = intp(0o027) }, "umask", "0027"},
		{"umask zero", func(p *Plan) { p.Umask = intp(0) }, "umask", "0000"},
		{"nice", func(p *Plan) { p.Nice = intp(7) }, "nice", "7"},
		{"oom score", func(p *Plan) { p.OOMScoreAdj = intp(900) }, "cat /proc/self/oom_score_adj", "900"},
		{"no new privileges", func(p *Plan) { p.NoNewPrivs = true }, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"},
		{"without", func(p *Plan) {}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0"},
		{"listen pid", func(p *Plan) { p.ListenPID = true; p.Env = append(p.Env, "LISTEN_PID=1") },
			`test "$LISTEN_PID" = $$ && env | grep -c LISTEN_PID`, "1"},
	}
	for _, l := range []struct {
		name, key, option string
		value             uint64
	}{
		{"core", "core", "-c", 0}, {"open files", "open_files", "-n", 77}, {"cpu time", "cpu_time", "-t", 1000},
		{"stack", "stack", "-s", 4096 << 10}, {"locked memory", "locked_memory", "-l", 16 << 10},
		{"address space", "address_space", "-v", 512 << 20}, {"data", "data", "-d", 256 << 20},
	} {
		unit := map[string]uint64{"-n": 1, "-t": 1, "-c": 512}[l.option]
		if unit == 0 {
			unit = 1024
		}
		want := strconv.FormatUint(l.value/unit, 10)
		tests = append(tests, struct {
			name   string
			change func(*Plan)
			script string
			want   string
		}{l.name, func(p *Plan) {
			if f := p.addLimits([]Limit{{Name: l.key, Value: l.value}}); f != nil {
				t.Error(f)
			}
		}, "ulimit -S " + l.option + "; ulimit -H " + l.option, want + "\n" + want})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := shell(test.script)
			test.change(&p)
			prints(t, p, test.want)
		})
	}
}

// What a program finds must be what this process was started with (the test runs it directly, too).
func TestStageLeaksNothing(t *testing.T) {
	script := `grep -E "^(SigBlk|SigIgn|SigCgt|CapEff|Threads)" /proc/self/status; cat /proc/self/limits; ls /proc/$$/fd; nice; umask`
	direct := stageless(t, script)
	o := stage{}.run(t, shell(script))
	if o.failure != nil {
		t.Fatal(o.failure)
	}
	if o.out != direct {
		t.Errorf("through the stage:\n%s\ndirectly:\n%s", o.out, direct)
	}
	if !strings.Contains(o.out, "SigBlk:\t0000000000000000") {
		t.Errorf("signals are blocked:\n%s", o.out)
	}
}

// The Go runtime raises the soft limit of open files for itself; the program must find the one the stage was born with.
func TestStageKeepsSoftLimit(t *testing.T) {
	p := shell("ulimit -S -n")
	o := stage{wrap: "ulimit -S -n 321"}.run(t, p)
	if o.failure != nil || o.out != "321\n" {
		t.Errorf("soft limit is %q, want 321 (failure %v)", o.out, o.failure)
	}
	p.Rlimits = []Rlimit{{unix.RLIMIT_NOFILE, 123}}
	if o := (stage{wrap: "ulimit -S -n 321"}).run(t, p); o.failure != nil || o.out != "123\n" {
		t.Errorf("soft limit is %q, want the 123 of the plan (failure %v)", o.out, o.failure)
	}
}

func TestStageUnblocksSignals(t *testing.T) {
	p := shell("grep SigBlk /proc/self/status")
	o := stage{blocked: true}.run(t, p)
	if o.failure != nil || o.out != "SigBlk:\t0000000000000000\n" {
		t.Errorf("got %q, want an empty mask (failure %v)", o.out, o.failure)
	}
}

func TestStageFailures(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := write("text", "echo hello\n", 0o755)
	script := write("script", "#!/no/such/interpreter -x\n", 0o755)
	plain := write("plain", "#!/bin/sh\n", 0o644)
	tests := []struct {
		name   string
		change func(*Plan)
		want   Failure
		text   string
	}{
		{"directory", func(p *Plan) { p.Dir = "/no/such" }, Failure{"chdir", int(unix.ENOENT), "/no/such"},
			`chdir "/no/such": no such file or directory`},
		{"not a directory", func(p *Plan) { p.Dir = "/bin/sh" }, Failure{"chdir", int(unix.ENOTDIR), "/bin/sh"},
			`chdir "/bin/sh": not a directory`},
		{"program", func(p *Plan) { p.Path = "/no/such" }, Failure{"exec", int(unix.ENOENT), "/no/such"},
			`exec "/no/such": no such file or directory`},
		{"text", func(p *Plan) { p.Path = text }, Failure{"exec", int(unix.ENOEXEC), text},
			`exec "` + text + `": not a program: no #! line, and no binary of this machine`},
		{"interpreter", func(p *Plan) { p.Path = script },
			Failure{"exec", int(unix.ENOENT), script + ": interpreter /no/such/interpreter"},
			`exec "` + script + `": interpreter "/no/such/interpreter": no such file or directory`},
		{"mode", func(p *Plan) { p.Path = plain }, Failure{"exec", int(unix.EACCES), plain},
			`exec "` + plain + `": permission denied (the file must be executable for the user, its file system not mounted noexec)`},
		{"umask", func(p *Plan) { p.Umask = intp(0o1000) }, Failure{"umask", int(unix.EINVAL), "1000"},
			`umask "1000": invalid argument`},
		{"oom score", func(p *Plan) { p.OOMScoreAdj = intp(5000) }, Failure{"oom_score_adj", int(unix.EINVAL), "5000"},
			`oom_score_adj "5000": invalid argument`},
		{"resource", func(p *Plan) { p.Rlimits = []Rlimit{{Resource: 99, Value: 1}} },
			Failure{"rlimit 99", int(unix.EINVAL), "1"}, `rlimit 99 "1": invalid argument`},
		{"chroot", func(p *Plan) { p.Chroot = "/no/such" }, Failure{"chroot", int(unix.ENOENT), "/no/such"},
			`chroot "/no/such": no such file or directory`},
		{"nothing left", func(p *Plan) {
			p.Path = "/no/such"
			p.Rlimits = []Rlimit{{unix.RLIMIT_AS, 4096}, {unix.RLIMIT_DATA, 4096}, {unix.RLIMIT_NPROC, 0}, {unix.RLIMIT_NOFILE, 0}}
		}, Failure{"exec", int(unix.ENOENT), "/no/such"}, `exec "/no/such": no such file or directory`},
		{"no program", func(p *Plan) { p.Argv = nil }, Failure{"plan", int(unix.EINVAL), "plan: no program"}, "plan: no program"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := shell("echo must not run")
			test.change(&p)
			o := stage{}.run(t, p)
			if o.failure == nil {
				t.Fatalf("no failure; output %q, %v", o.out, o.state)
			}
			if *o.failure != test.want {
				t.Errorf("failure is %#v, want %#v", *o.failure, test.want)
			}
			if got := o.failure.Error(); got != test.text {
				t.Errorf("it reads\n%s\nwant\n%s", got, test.text)
			}
			if o.state.ExitCode() != exitFailed || o.out != "" {
				t.Errorf("%v, output %q; want status %d and none", o.state, o.out, exitFailed)
			}
		})
	}
}

func TestStageRefusesNonsense(t *testing.T) {
	for _, plan := range []string{"", "{", "null", "[]", `{"path":"/bin/sh"}`, `{"argv":["sh"]}`, `{"path":7}`} {
		o := stage{}.runJSON(t, []byte(plan))
		if o.failure == nil || o.failure.Stage != StagePlan || o.failure.Error() == "" {
			t.Errorf("plan %q: failure %v, want one of stage plan", plan, o.failure)
		}
	}
	for _, args := range [][]string{nil, {"3"}, {"3", "x"}, {"3", "987"}} {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Env = []string{roleEntry}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(string(out), "stayd exec: ") {
			t.Errorf("arguments %q: %v, %q; want status %d and a line", args, err, out, exitFailed)
		}
	}
}

func TestStageIgnoresUnknownFields(t *testing.T) {
	data, err := json.Marshal(shell("echo fine"))
	if err != nil {
		t.Fatal(err)
	}
	data = append([]byte(`{"of_tomorrow":1,`), data[1:]...)
	if o := (stage{}).runJSON(t, data); o.failure != nil || o.out != "fine\n" {
		t.Errorf("got %q, failure %v", o.out, o.failure)
	}
}

func TestStageIdentity(t *testing.T) {
	asRoot(t)
	script := `echo $(id -u) $(id -g) $(id -G); grep -E "^(Uid|Gid|CapPrm|CapEff)" /proc/self/status`
	tests := []struct {
		name   string
		uid    *int
		gid    *int
		groups []int
		want   string
	}{
		{"user", intp(12345), intp(12346), []int{12346, 777}, "12345 12346 12346 777"},
		{"no groups", intp(12345), intp(12346), nil, "12345 12346 12346"},
		{"group alone", nil, intp(12346), []int{}, "0 12346 12346"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := shell(script)
			p.UID, p.GID, p.Groups = test.uid, test.gid, test.groups
			o := stage{}.run(t, p)
			ids, status, _ := strings.Cut(o.out, "\n")
			if o.failure != nil || ids != test.want {
				t.Fatalf("ids are %q, want %q (failure %v)", ids, test.want, o.failure)
			}
			if test.uid == nil {
				return
			}
			for _, want := range []string{"Uid:\t12345\t12345\t12345\t12345", "Gid:\t12346\t12346\t12346\t12346",
				"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"} {
				if !strings.Contains(status, want) {
					t.Errorf("status is\n%s\nwant %q in it", status, want)
				}
			}
		})
	}
}

// Everything at once: each stage must come before the rights for it are gone.
func TestStageOrder(t *testing.T) {
	asRoot(t)
	closed := t.TempDir() // 0700, root's
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	p := shell("id -u; nice; cat /proc/self/oom_score_adj; ulimit -n; umask; grep NoNewPrivs /proc/self/status")
	p.UID, p.GID = intp(12345), intp(12345)
	p.Dir, p.Umask, p.Nice, p.OOMScoreAdj, p.NoNewPrivs = closed, intp(0o077), intp(-3), intp(500), true
	p.Rlimits = []Rlimit{{unix.RLIMIT_AS, 1 << 30}, {unix.RLIMIT_SIGPENDING, 0}, {unix.RLIMIT_NOFILE, 99}, {unix.RLIMIT_NPROC, 5}}
	prints(t, p, "12345\n-3\n500\n99\n0077\nNoNewPrivs:\t1")
}

func TestStageChroot(t *testing.T) {
	asRoot(t)
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := shell("echo")
	p.Chroot, p.Dir = root, "/inside"
	o := stage{}.run(t, p)
	want := Failure{Stage: StageExec, Errno: int(unix.ENOENT), Detail: "/bin/sh"} // chroot and chdir were passed
	if o.failure == nil || *o.failure != want {
		t.Errorf("failure is %v, want %v", o.failure, want)
	}
	p.Dir = filepath.Dir(root)
	if o := (stage{}).run(t, p); o.failure == nil || o.failure.Stage != StageChdir {
		t.Errorf("a directory outside: failure is %v, want one of chdir", o.failure)
	}
}

func TestStageRefusedWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs to be unprivileged")
	}
	var have syscall.Rlimit
	if err := syscall.Getrlimit(unix.RLIMIT_NOFILE, &have); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		stage  string
		change func(*Plan)
	}{
		{StageNice, func(p *Plan) { p.Nice = intp(-20) }},
		{StageChroot, func(p *Plan) { p.Chroot = "/" }},
		{StageGroups, func(p *Plan) { p.Groups = []int{0} }},
		{StageGID, func(p *Plan) { p.GID = intp(0) }},
		{"rlimit open_files", func(p *Plan) { p.Rlimits = []Rlimit{{unix.RLIMIT_NOFILE, have.Max + 1}} }},
	}
	for _, test := range tests {
		p := shell("echo must not run")
		test.change(&p)
		o := stage{}.run(t, p)
		if o.failure == nil || o.failure.Stage != test.stage || o.out != "" {
			t.Errorf("%s: failure %v, output %q", test.stage, o.failure, o.out)
		}
	}
}
