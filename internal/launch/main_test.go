package launch

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// roleEntry in the environment makes the test binary the exec stage.
const roleEntry = "STAY_TEST_ROLE=exec"

func TestMain(m *testing.M) {
	if os.Getenv("STAY_TEST_ROLE") == "exec" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// asRoot skips a test that needs root.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: changes ids or root directory")
	}
}

// An outcome is what became of a stage.
type outcome struct {
	out     string // what the program wrote
	failure *Failure
	state   *os.ProcessState
}

// A stage is the exec stage as a child of the test.
type stage struct {
	pipe    bool   // the plan comes through a pipe
	wrap    string // a shell runs this before the stage
	blocked bool   // USR1 is blocked at the start of the stage
}

// run carries out the plan and waits for its end.
func (s stage) run(t *testing.T, p Plan) outcome {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return s.runJSON(t, data)
}

func (s stage) runJSON(t *testing.T, data []byte) outcome {
	t.Helper()
	plan := planFile(t, data, s.pipe)
	defer plan.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out strings.Builder
	cmd := exec.Command("/proc/self/exe", "3", "4")
	if s.wrap != "" {
		cmd = exec.Command("/bin/sh", "-c", s.wrap+`; exec "$0" 3 4`, executable(t))
	}
	cmd.Env = []string{roleEntry}
	cmd.ExtraFiles = []*os.File{plan, w}
	cmd.Stdout, cmd.Stderr = &out, &out
	if s.blocked {
		defer block(t, unix.SIGUSR1)()
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // the status is in ProcessState
	o := outcome{out: out.String(), state: cmd.ProcessState}
	if len(said) > 0 {
		o.failure = new(Failure)
		if err := json.Unmarshal(said, o.failure); err != nil {
			t.Fatalf("errors descriptor: %q: %v", said, err)
		}
	}
	return o
}

// block blocks a signal in this thread, whose mask a child is born with. The result undoes it.
func block(t *testing.T, sig unix.Signal) func() {
	t.Helper()
	runtime.LockOSThread()
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (uint(sig) - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// planFile returns a descriptor with the plan: a file with its offset at the end, as its writer leaves it, or a pipe.
func planFile(t *testing.T, data []byte, pipe bool) *os.File {
	t.Helper()
	if pipe {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer w.Close()
			_, _ = w.Write(data) // a reader that left is the test's business
		}()
		return r
	}
	f, err := os.CreateTemp(t.TempDir(), "plan")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f
}

// shell is a plan that runs a script.
func shell(script string) Plan {
	return Plan{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

// prints checks that a plan succeeds and what its program writes.
func prints(t *testing.T, p Plan, want string) {
	t.Helper()
	o := stage{}.run(t, p)
	if o.failure != nil {
		t.Fatalf("failed: %v", o.failure)
	}
	if got := strings.TrimSpace(o.out); got != want {
		t.Errorf("program wrote %q, want %q", got, want)
	}
}

func intp(n int) *int { return &n }

// stageless runs a script directly: what a parent in Go gives its children is the standard.
func stageless(t *testing.T, script string) string {
	t.Helper()
	p := shell(script)
	cmd := exec.Command(p.Path, p.Argv[1:]...)
	cmd.Args = p.Argv
	cmd.Env = p.Env
	var out strings.Builder // as in run: a pipe
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
