package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// patience is how long one run waits for what has to come.
const patience = 20 * time.Second

// serviceScript is the services but one. Each start leaves a line "name tree pid uptime" in the file starts; whoever finds
// its instance's lock taken, which no process of an earlier generation may hold any more, leaves one in doubles.
const serviceScript = `exec 8>>"$STAY_INSTANCE.lock"
flock -n 8 || echo "$STAY_INSTANCE $$ $STAY_TREE" >>doubles
read up idle </proc/uptime
echo "$STAY_INSTANCE $STAY_TREE $$ $up" >>starts
case $1 in
crash) exit 3;;
deaf) trap '' TERM;;
order) trap 'sleep .02; echo "$STAY_INSTANCE" >>ends; exit 0' TERM;;
esac
case $1 in once) ;; *) echo >&3; exec 3>&-;; esac
case $1 in order) sleep 300 & wait; exit 1;; esac
exec sleep 300
`

// A run is one daemon with a directory of its own, on which a script is played while engines die.
type crashRun struct {
	t      testing.TB
	dir    string
	faults faults
	client *client.Client
	keeper *exec.Cmd
	ended  chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	errs   []string // what went wrong
}

// A start is one line of the file starts.
type startLine struct {
	name string
	gen  uint64
	pid  int
	at   float64 // seconds since boot
}

// play starts a daemon, plays the script on it with engines dying at the points, and takes it down.
func play(t testing.TB, s script, points []int) (passed int, killed, errs []string) {
	t.Helper()
	r := newCrashRun(t, patience, s.config, points)
	defer r.remove()
	if r.errs == nil {
		s.play(r)
	}
	r.end(s)
	if r.errs != nil {
		r.errs = append(r.errs, "starts:\n"+r.read("starts"), "stay.log:\n"+r.read(".stay/log/stay.log"))
	}
	return r.faults.passed(), r.faults.killed(), r.errs
}

// newCrashRun starts a daemon whose engines die at the points. All that is asked of it takes limit at most.
func newCrashRun(t testing.TB, limit time.Duration, config string, points []int) *crashRun {
	t.Helper()
	dir, err := os.MkdirTemp("", "stayd-crash-")
	if err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(dir, "plan")
	r := &crashRun{t: t, dir: dir, faults: newFaults(t, plan, points), ended: make(chan struct{}),
		client: client.Dial(filepath.Join(dir, ".stay", socketName))}
	r.ctx, r.cancel = context.WithTimeout(t.Context(), limit)
	r.write("service.sh", serviceScript)
	r.write("stay.toml", config)
	r.start(plan)
	return r
}

// remove takes away what the test made, however it ended.
func (r *crashRun) remove() {
	r.cancel()
	select {
	case <-r.ended:
	default:
		_ = r.keeper.Process.Kill()
		<-r.ended
		r.killLeft(r.left())
	}
	r.faults.close()
	memory, _ := filepath.Glob("/dev/shm/stay-*-" + idOf(filepath.Join(r.dir, ".stay"))) // there if the keeper had to be killed
	for _, dir := range append(memory, r.dir) {
		_ = os.RemoveAll(dir)
	}
}

func (r *crashRun) write(name, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *crashRun) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(r.dir, name))
	return string(data)
}

func (r *crashRun) errorf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

func (r *crashRun) start(plan string) {
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	r.keeper = exec.Command(self)
	r.keeper.Args = []string{"stayd", "keeper", "--file", filepath.Join(r.dir, "stay.toml")}
	r.keeper.Env = append(os.Environ(), faultsVariable+"="+plan, "GORACE=atexit_sleep_ms=0")
	r.keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var stderr strings.Builder
	r.keeper.Stderr = &stderr
	if err := r.keeper.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = r.keeper.Wait(); close(r.ended) }()
	r.until("the daemon answers", func() error {
		select {
		case <-r.ended:
			return fmt.Errorf("the keeper ended: %s", stderr.String())
		default:
		}
		_, err := r.client.Version(r.ctx)
		return err
	})
}

// until asks again and again until there is no error: there is nobody who could tell when that is, because it is the
// daemon that is being asked and that dies meanwhile.
func (r *crashRun) until(what string, ask func() error) {
	pause := time.Millisecond
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-r.ctx.Done():
			r.errorf("waiting until %s: %v", what, err)
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// do carries out a command that has to succeed, however many engines die over it.
func (r *crashRun) do(c api.Command) {
	res, err := r.client.Do(r.ctx, c)
	if err != nil || len(res.Failures) > 0 {
		r.errorf("%s %s: %v %+v", c.Verb, c.Target, err, res.Failures)
	}
}

func (r *crashRun) ready(target string) {
	r.do(api.Command{Verb: api.Wait, Target: target, For: "ready"})
}

func (r *crashRun) status() map[string]api.Instance {
	list, err := r.client.Status(r.ctx, "")
	if err != nil {
		r.errorf("status: %v", err)
	}
	all := map[string]api.Instance{}
	for _, i := range list {
		all[i.Name] = i
	}
	return all
}

// settled waits until every instance is in the state that want says, and none is there that it does not name.
func (r *crashRun) settled(want map[string]api.State) map[string]api.Instance {
	var all map[string]api.Instance
	r.until("all is settled", func() error {
		all = r.status()
		var bad []string
		for name, state := range want {
			if all[name].State != state {
				bad = append(bad, fmt.Sprintf("%s is %q (%s), not %q", name, all[name].State, all[name].Why, state))
			}
		}
		for name, i := range all {
			if want[name] == "" {
				bad = append(bad, fmt.Sprintf("%s is there, %q", name, i.State))
			}
		}
		if bad != nil {
			return errors.New(strings.Join(bad, "; "))
		}
		return nil
	})
	return all
}

// end takes the daemon down, and notes whatever is left of it.
func (r *crashRun) end(s script) {
	select {
	case <-r.ended:
		if r.errs == nil {
			r.errorf("the keeper has gone")
		}
	default:
		if s.signal != 0 && r.errs == nil {
			_ = r.keeper.Process.Signal(s.signal)
		} else if err := r.client.Shutdown(r.ctx, r.errs != nil); err != nil {
			r.errorf("shutdown: %v", err)
			r.dump()
		}
		select {
		case <-r.ended:
		case <-r.ctx.Done():
			r.errorf("the keeper does not end")
			r.dump()
			<-r.ended
		}
	}
	if left := r.left(); len(left) > 0 {
		r.errorf("left when the daemon had gone: %v", left)
		r.killLeft(left)
	}
	if doubles := r.read("doubles"); doubles != "" {
		r.errorf("two generations lived at once: %s", doubles)
	}
	r.checkGenerations()
	r.checkJournal()
	if s.check != nil {
		s.check(r)
	}
}

// dump has keeper and engine write down what their goroutines do, and die of it.
func (r *crashRun) dump() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	list, err := r.client.Status(ctx, "")
	r.errorf("status: %+v %v", list, err)
	_ = r.keeper.Process.Signal(syscall.SIGABRT)
	for pid, args := range r.left() {
		if strings.HasPrefix(args, "stayd engine") {
			_ = syscall.Kill(pid, syscall.SIGABRT)
		}
	}
}

func (r *crashRun) killLeft(left map[int]string) {
	for pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// left are the processes that bear the mark of this daemon, or its directory in their arguments.
func (r *crashRun) left() map[int]string {
	mark := "STAY_TREE=" + idOf(filepath.Join(r.dir, ".stay")) + "/"
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.Contains(string(env), mark) || strings.Contains(string(args), r.dir) {
			found[pid] = strings.ReplaceAll(string(args), "\x00", " ")
		}
	}
	return found
}

// starts are the lines that services left, by instance.
func (r *crashRun) starts() map[string][]startLine {
	all := map[string][]startLine{}
	for line := range strings.Lines(r.read("starts")) {
		var l startLine
		var tree string
		if _, err := fmt.Sscan(line, &l.name, &tree, &l.pid, &l.at); err != nil {
			r.errorf("a torn line in starts: %q", line)
			continue
		}
		_, err := fmt.Sscan(tree[strings.LastIndex(tree, "/")+1:], &l.gen)
		if err != nil {
			r.errorf("a start without a generation: %q", line)
		}
		all[l.name] = append(all[l.name], l)
	}
	return all
}

// checkGenerations sees to it that no generation was made twice and none after a later one.
func (r *crashRun) checkGenerations() {
	for name, lines := range r.starts() {
		last := uint64(0)
		for _, l := range lines {
			if l.gen <= last {
				r.errorf("%s: generation %d after %d", name, l.gen, last)
			}
			last = l.gen
		}
	}
}

// started checks how often an instance was started, between least and most.
func (r *crashRun) started(name string, least, most int) {
	if n := len(r.starts()[name]); n < least || n > most {
		r.errorf("%s was started %d times, not %d to %d", name, n, least, most)
	}
}
