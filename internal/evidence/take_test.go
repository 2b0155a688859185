package evidence

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

func TestMain(m *testing.M) {
	switch os.Getenv("EVIDENCE_TEST_ROLE") {
	case "threads":
		threadsRole()
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "pipe":
		pipeRole()
	}
	os.Exit(m.Run())
}

// threadsRole is a process with a thread blocked in a read of descriptor 0, and one of its own that spins; it prints both.
func threadsRole() {
	ids := make(chan int)
	for _, work := range []func(){
		func() { _, _ = syscall.Read(0, make([]byte, 1)) },
		func() {
			for n := 0; n >= 0; n = (n + 1) % 7 {
			}
		},
	} {
		go func() {
			runtime.LockOSThread()
			ids <- syscall.Gettid()
			work()
		}()
		fmt.Println(<-ids)
	}
	select {}
}

// pipeRole fills its output, which nobody reads.
func pipeRole() {
	fmt.Fprintln(os.Stderr, "begun")
	for {
		_, _ = syscall.Write(1, make([]byte, 4096))
	}
}

// role starts this test as a process of that role, and ends it with the test.
func role(t testing.TB, name string) (*exec.Cmd, *bufio.Reader, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EVIDENCE_TEST_ROLE="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := cmd.StdoutPipe()
	stderr, _ := cmd.StderrPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		in.Close()
	})
	return cmd, bufio.NewReader(out), bufio.NewReader(stderr)
}

func number(t testing.TB, r *bufio.Reader) int {
	t.Helper()
	line, err := r.ReadString('\n')
	n, err2 := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || err2 != nil {
		t.Fatalf("%q: %v %v", line, err, err2)
	}
	return n
}

// until asks until it is so: for what the kernel tells nobody.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func take(t *testing.T, r Request) *api.Evidence {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return Take(ctx, r)
}

func TestTake(t *testing.T) {
	cmd, out, _ := role(t, "threads")
	blocked, spins := number(t, out), number(t, out)
	until(t, "the blocked thread to sleep", func() bool { return Look(LookRequest{Main: cmd.Process.Pid, Tids: []int{blocked}})[0].State == 'S' })
	e := take(t, Request{Main: cmd.Process.Pid, Late: []LateThread{{Tid: blocked, Pulse: "reader"}}})
	if len(e.Processes) != 1 {
		t.Fatalf("%+v", e)
	}
	p := e.Processes[0]
	if p.Pid != cmd.Process.Pid || p.Parent != os.Getpid() || p.Comm == "" || p.Open < 3 || len(p.Files) < 3 || p.RSS == 0 || len(p.Command) != 1 || p.Count < 3 {
		t.Errorf("process %+v", p)
	}
	first := p.Threads[0]
	if first.Tid != blocked || first.Pulse != "reader" || first.State != "S" {
		t.Errorf("the late thread comes first: %+v", first)
	}
	said := strings.Join(e.Missing, "; ")
	if !strings.HasPrefix(first.Syscall, "read(0, ") && !strings.Contains(said, "system calls") {
		t.Errorf("it is in %q, missing %q", first.Syscall, said)
	}
	if len(first.Stack) == 0 && !strings.Contains(said, "kernel stacks") {
		t.Errorf("no stack, missing %q", said)
	}
	if i := slices.IndexFunc(p.Threads, func(th api.Thread) bool { return th.Tid == spins }); i < 0 {
		t.Errorf("no thread %d in %+v", spins, p.Threads)
	}
	if !slices.ContainsFunc(p.Files, func(f string) bool { return strings.HasPrefix(f, "0 pipe:[") }) || e.Load == "" || len(e.Memory) < 3 || e.TookMS <= 0 {
		t.Errorf("%+v", e)
	}
}

func TestLookStates(t *testing.T) {
	cmd, out, _ := role(t, "threads")
	blocked, spins := number(t, out), number(t, out)
	until(t, "one that sleeps and one that runs", func() bool {
		l := Look(LookRequest{Main: cmd.Process.Pid, Tids: []int{blocked, spins, 0}})
		return l[0].State == 'S' && l[1].State == 'R' && l[1].Ran > 0 && l[2].State == 'R' && l[2].Ran >= l[1].Ran && !l[0].Gone && l[0].At > 0
	})
	for _, tid := range []int{os.Getpid(), 1, 1 << 22} { // of another tree, of nobody
		if l := Look(LookRequest{Main: cmd.Process.Pid, Tids: []int{tid}})[0]; !l.Gone {
			t.Errorf("thread %d: %+v", tid, l)
		}
	}
}

func TestLookStopped(t *testing.T) {
	cmd, _, _ := role(t, "stop")
	until(t, "the stop", func() bool {
		l := Look(LookRequest{Main: cmd.Process.Pid, Tids: []int{0}})[0]
		return l.State == 'T' && !l.Traced && !l.Frozen
	})
}

func TestLookPipe(t *testing.T) {
	cmd, _, stderr := role(t, "pipe")
	if _, err := stderr.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	until(t, "the block", func() bool { return Look(LookRequest{Main: cmd.Process.Pid, Tids: []int{0}})[0].PipeWrite })
}

func TestLookTraced(t *testing.T) {
	cmd, _, _ := role(t, "stop")
	pid := cmd.Process.Pid
	until(t, "the stop", func() bool { st, ok := readStat(procFile(pid, "stat")); return ok && st.state == 'T' })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		t.Skipf("may not trace a child here: %v", err)
	}
	defer unix.PtraceDetach(pid)
	if l := Look(LookRequest{Main: pid, Tids: []int{0}})[0]; !l.Traced {
		t.Errorf("%+v", l)
	}
}

// TestTakeOfTheDying: processes that end while they are read leave no trace, and no error.
func TestTakeOfTheDying(t *testing.T) {
	for range 30 {
		cmd := exec.Command("sh", "-c", "sh -c : & sh -c : & wait")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		e := take(t, Request{Main: cmd.Process.Pid})
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, m := range e.Missing {
			if strings.Contains(m, "no such") {
				t.Errorf("missing %q", m)
			}
		}
	}
	if e := take(t, Request{Main: os.Getpid(), Start: 1}); len(e.Processes) != 0 || len(e.Missing) != 1 {
		t.Errorf("another process with its pid: %+v", e)
	}
}

// TestTakeEndsInTime: with no time left there is nothing but the reason.
func TestTakeEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e := Take(ctx, Request{Main: os.Getpid()}); len(e.Processes) != 0 || !slices.Contains(e.Missing, "the rest: there was no more time") {
		t.Errorf("%+v", e)
	}
}

// TestMemoryOfWhoCannotBeRead: one reading under the memory lock at a time, and none of who sleeps uninterruptibly.
func TestMemoryOfWhoCannotBeRead(t *testing.T) {
	tk := newTaker(t.Context())
	s := api.Seen{Pid: os.Getpid()}
	locked <- struct{}{}
	if tk.memory(&s); s.Command != nil || s.RSS == 0 || len(tk.out.Missing) != 1 {
		t.Errorf("%+v, missing %q", s, tk.out.Missing)
	}
	<-locked
	if tk.memory(&s); s.Command == nil || s.PSS == 0 {
		t.Errorf("%+v, missing %q", s, tk.out.Missing)
	}
}

func BenchmarkLook(b *testing.B) {
	for b.Loop() {
		Look(LookRequest{Main: os.Getpid(), Tids: []int{os.Getpid()}})
	}
}

func BenchmarkTake(b *testing.B) {
	for b.Loop() {
		Take(b.Context(), Request{Main: os.Getpid()})
	}
}
