package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// This file: how services are made to end, and those that do not want to.

// frozen makes a group of the freezer of cgroup v1, whose processes do not even die of SIGKILL until they are let go, and
// puts a process there.
func frozen(t *testing.T, pid int) (thaw func()) {
	t.Helper()
	needsRoot(t, "makes a group of the freezer")
	group := fmt.Sprintf("/sys/fs/cgroup/freezer/stay-test-%d", pid)
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("no process can be frozen here: %v", err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(group, name), []byte(text), 0o644); err != nil {
			t.Errorf("freezer: %v", err)
		}
	}
	thaw = func() { write("freezer.state", "THAWED") }
	t.Cleanup(func() {
		thaw()
		deadline := time.Now().Add(patience)
		for err := unix.Rmdir(group); err != nil; err = unix.Rmdir(group) { // its process takes its time to go
			if time.Now().After(deadline) {
				t.Errorf("freezer: %v", err)
				return
			}
			<-time.After(time.Millisecond)
		}
	})
	write("cgroup.procs", strconv.Itoa(pid))
	write("freezer.state", "FROZEN")
	for range 1000 {
		state, err := os.ReadFile(filepath.Join(group, "freezer.state"))
		if err == nil && string(state) == "FROZEN\n" {
			return thaw
		}
		<-time.After(time.Millisecond)
	}
	t.Fatal("the process does not freeze")
	return nil
}

// TestRefusesToDie: a process that SIGKILL does not end is named, nothing is started beside it, others are not held up,
// and when it can die, stop is done.
func TestRefusesToDie(t *testing.T) {
	needsRoot(t, "freezes a process")
	t.Parallel()
	d := start(t, `[service.web]
command = "sleep 1000"
stop = { timeout = "100ms" }
[service.other]
command = "sleep 1000"
`)
	web, other := d.running("web", 0), d.running("other", 0)
	thaw := frozen(t, web.Pid)
	result := make(chan error, 1)
	go func() {
		r, err := d.try(api.Command{Verb: api.Restart, Target: "web"})
		if err == nil && len(r.Failures) > 0 {
			err = errors.New(r.Failures[0].Message)
		}
		result <- err
	}()
	i := d.until("web", "named", func(i api.Instance) bool { return len(i.Refusing) > 0 })
	r := i.Refusing[0]
	if i.State != api.Stopping || len(i.Refusing) != 1 || r.Pid != web.Pid || r.Comm != "sleep" || r.State == "" {
		t.Errorf("who refuses to die is %+v of %+v", r, i)
	}
	want := fmt.Sprintf("refuses to die: sleep (pid %d, state %s", web.Pid, r.State)
	if !strings.HasPrefix(i.Why, want) {
		t.Errorf("why is %q, want %q", i.Why, want)
	}
	d.killEngine()
	d.until("web", "named by the next engine", func(i api.Instance) bool { return len(i.Refusing) > 0 && i.State == api.Stopping })
	if n := d.one("web").Generation; n != web.Generation {
		t.Errorf("generation %d is there beside a process of generation %d", n, web.Generation)
	}
	d.do(api.Restart, "other")
	d.running("other", other.Generation)
	thaw()
	if err := <-result; err != nil {
		t.Errorf("restart: %v", err)
	}
	if now := d.running("web", web.Generation); alive(web.Pid) || now.Refusing != nil {
		t.Errorf("after it could die: %+v", now)
	}
}

func TestStopEscalates(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.deaf]
command = "sh -c 'trap \"\" TERM; echo here; while :; do sleep 1000; done'"
stop = { timeout = "300ms" }
[service.usr1]
command = "sh -c 'trap \"echo USR1; exit 0\" USR1; trap \"echo TERM\" TERM; echo here; while :; do sleep .01; done'"
stop = { signal = "USR1" }
[service.group]
command = ["sh", "-c", '''
trap "echo parent" TERM
(trap 'exit 0' TERM; echo here; while :; do sleep .01; done)
echo its child has gone
''']
stop = { to = "group" }
[service.stopped]
command = "sh -c 'trap \"echo TERM; exit 0\" TERM; echo here; while :; do sleep .01; done'"
`)
	for _, name := range []string{"deaf", "usr1", "group", "stopped"} {
		d.running(name, 0)
		d.says(name, "here")
	}
	begin := time.Now()
	d.do(api.Stop, "deaf")
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("a service that ignores TERM was killed after %v", took)
	}
	d.do(api.Stop, "usr1")
	d.do(api.Stop, "group")
	// A process that is stopped, as by job control, hears the signal all the same.
	if err := unix.Kill(d.one("stopped").Pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	d.do(api.Stop, "stopped")
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("a stopped process took %v to stop", took)
	}
	for name, want := range map[string]string{"usr1": "USR1", "group": "its child has gone", "stopped": "TERM"} {
		if lines := d.lines(name); lines[len(lines)-1] != want {
			t.Errorf("%s said %q, want %q at the end", name, lines, want)
		}
	}
	for _, i := range d.status("") {
		if i.State != api.Stopped || i.Pid != 0 {
			t.Errorf("after stop: %+v", i)
		}
	}
}

// TestSlowStopHoldsUpNobody: while one service takes its time to stop, others are commanded as ever, and so is this one.
func TestSlowStopHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "slow", "say", "here", "term", "say", "closing", "open", gate, "exit", "0") + "stop = { timeout = \"60s\" }\n" +
		"[service.quick]\ncommand = \"sleep 1000\"\n")
	d.up()
	d.running("slow", 0)
	d.says("slow", "here")
	quick := d.running("quick", 0)
	done := make(chan error, 1)
	go func() {
		_, err := d.try(api.Command{Verb: api.Stop, Target: "slow"})
		done <- err
	}()
	d.says("slow", "closing")
	for range 3 {
		d.do(api.Restart, "quick")
		quick = d.running("quick", quick.Generation)
	}
	d.do(api.Stop, "quick")
	d.do(api.Start, "quick")
	if _, err := d.apply(steps(t, "slow", "say", "here", "term", "say", "closing", "open", gate, "exit", "0") + "stop = { timeout = \"60s\" }\n" +
		"[service.quick]\ncommand = \"sleep 1000\"\n[service.new]\ncommand = \"sleep 1000\"\n"); err != nil {
		t.Errorf("apply: %v", err)
	}
	d.running("new", 0)
	select {
	case err := <-done:
		t.Errorf("stop is done (%v), and the process has not ended", err)
	default:
	}
	if i := d.one("slow"); i.State != api.Stopping || i.Why != "as asked" {
		t.Errorf("the slow one is %+v", i)
	}
	release(t, gate)
	if err := <-done; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestStartWhileStopping: wanting it back while it stops leads to a new generation, after the old one has gone.
func TestStartWhileStopping(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "say", "here", "term", "say", "closing", "open", gate, "exit", "0"))
	d.up()
	first := d.running("web", 0)
	d.says("web", "here")
	stopped := make(chan api.Result, 1)
	go func() {
		r, _ := d.try(api.Command{Verb: api.Stop, Target: "web"})
		stopped <- r
	}()
	d.says("web", "closing")
	if _, err := d.try(api.Command{Verb: api.Start, Target: "web", NoWait: true}); err != nil {
		t.Fatal(err)
	}
	if i := d.one("web"); i.Pid != first.Pid {
		t.Errorf("beside the old process: %+v", i)
	}
	release(t, gate)
	second := d.running("web", first.Generation)
	if second.Generation != first.Generation+1 || alive(first.Pid) {
		t.Errorf("after %+v came %+v", first, second)
	}
	d.wait("its second generation to speak", func() error {
		if n := strings.Count(d.output("web"), "here"); n != 2 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	if _, err := d.try(api.Command{Verb: api.Stop, Target: "web", NoWait: true}); err != nil {
		t.Fatal(err)
	}
	release(t, gate)
	d.until("web", "stopped", func(i api.Instance) bool { return i.State == api.Stopped })
	<-stopped
}

// TestShutdownNow: with now, nobody is waited for.
func TestShutdownNow(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.deaf]
command = "sh -c 'trap \"\" TERM; echo here; while :; do sleep 1000; done'"
stop = { timeout = "60s" }
[service.web]
command = "sleep 1000"
needs = ["deaf"]
`)
	d.says("deaf", "here")
	d.running("web", 0)
	slow := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { slow <- d.client.Shutdown(ctx, false) }()
	d.until("deaf", "asked to end", func(i api.Instance) bool { return i.State == api.Stopping })
	if _, err := d.try(api.Command{Verb: api.Start, Target: "web"}); !isRefused(err, "going-down") {
		t.Errorf("start while going down: %v", err)
	}
	d.killEngine()
	if mode := mustVersion(t, d).Mode; mode != "going down" {
		t.Errorf("the next engine is %q", mode)
	}
	begin := time.Now()
	if err := d.client.Shutdown(ctx, true); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	<-d.ended
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := <-slow; err != nil {
		t.Errorf("the shutdown before: %v", err)
	}
	if code := d.keeper.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestDownEndsWhatNobodyOwns: a process that has left everything behind by which it could be known does not outlive the
// daemon, with cgroups or without.
func TestDownEndsWhatNobodyOwns(t *testing.T) {
	d := start(t, `[service.web]
command = "sh -c '(exec env -i /bin/sh -c \"echo \\$\\$ >stray; exec setsid sleep 987\" </dev/null >/dev/null 2>&1 &); exec sleep 1000'"`)
	d.running("web", 0)
	var stray int
	d.wait("the stray", func() error {
		data, err := os.ReadFile(filepath.Join(d.dir, "stray"))
		if err == nil {
			stray, err = parsePid(data)
		}
		return err
	})
	if err := d.keeper.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	if alive(stray) {
		t.Errorf("%d has outlived the daemon", stray)
	}
}

// TestApplyOfAnEmptyFile: a file that was cut off takes nothing down.
func TestApplyOfAnEmptyFile(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"`)
	web := d.running("web", 0)
	d.write("")
	if _, err := d.client.Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "names no service") {
		t.Errorf("apply of an empty file: %v", err)
	}
	if now := d.one("web"); now.Pid != web.Pid {
		t.Errorf("it was %+v, is %+v", web, now)
	}
}
