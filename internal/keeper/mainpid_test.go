package keeper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pidIn reads "NAME PID" lines of a log until one has that name.
func pidIn(t *testing.T, log *os.File, name string) int {
	t.Helper()
	text := readUntil(t, log, name+" ")
	for !strings.HasSuffix(text, "\n") {
		text += readUntil(t, log, "\n")
	}
	_, rest, _ := strings.Cut(text, name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("no pid of %s in %q", name, text)
	}
	return pid
}

func (e *engine) moveMain(unit string, gen uint64, pid int) *Message {
	e.t.Helper()
	e.order(&Message{Kind: Main, Unit: unit, Gen: gen, Pid: pid})
	m := e.want(MainMoved, unit).m
	if m.Gen != gen || m.Pid != pid {
		e.t.Errorf("moved: %s", dump(m))
	}
	return m
}

// TestMainMovesToAnOrphan is a daemon that forks: the launcher has ended when the order comes.
func TestMainMovesToAnOrphan(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	_, log := e.spawn("web", 1, "sleep 1000 & echo daemon $!; exit 0")
	daemon := pidIn(t, log, "daemon")
	if x := e.want(Exited, "web").m; x.Empty {
		t.Fatalf("exited: %s", dump(x))
	}
	if m := e.moveMain("web", 1, daemon); m.Missing {
		t.Fatal("refused")
	}
	if row := e.list()["web"].m; row.State != Alive || row.Pid != daemon || row.Exit != nil {
		t.Errorf("row %s", dump(row))
	}
	if m := e.moveMain("web", 1, daemon); m.Missing { // once more
		t.Error("refused what it is already")
	}
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGTERM), To: "main"})
	if x := e.want(Exited, "web").m; x.Pid != daemon || !x.Empty || unix.WaitStatus(x.Exit.Status).Signal() != unix.SIGTERM {
		t.Errorf("exited: %s", dump(x))
	}
}

// TestMainMovesToTheDead: the orphan ended before the order came; its status is remembered, and told after the move.
func TestMainMovesToTheDead(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	_, log := e.spawn("web", 1, `exec 3<gate; sleep 1000 & sh -c 'read x <&3; exit 5' & echo daemon $!; exit 0`)
	daemon := pidIn(t, log, "daemon")
	e.want(Exited, "web")
	if _, err := gate.WriteString("x\n"); err != nil {
		t.Fatal(err)
	}
	r.until("the daemon to be reaped", func() bool { return unix.Kill(daemon, 0) == unix.ESRCH })
	if m := e.moveMain("web", 1, daemon); m.Missing {
		t.Fatal("refused")
	}
	if x := e.want(Exited, "web").m; x.Pid != daemon || x.Empty || unix.WaitStatus(x.Exit.Status).ExitStatus() != 5 {
		t.Errorf("exited: %s", dump(x))
	}
	if m := e.moveMain("web", 1, daemon); !m.Missing {
		t.Error("its end was told twice")
	}
}

// TestMainDoesNotMove to what is not of that tree.
func TestMainDoesNotMove(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	web, _ := e.spawn("web", 1, "exec sleep 1000")
	db, _ := e.spawn("db", 1, "exec sleep 1000")
	for name, pid := range map[string]int{"another unit's": db, "the engine": e.own, "the keeper": r.pid(), "the test": os.Getpid(),
		"init": 1, "nobody": 1 << 22, "zero": 0, "negative": -web} {
		if m := e.moveMain("web", 1, pid); !m.Missing {
			t.Errorf("%s: moved to %d", name, pid)
		}
	}
	if m := e.moveMain("web", 2, web); !m.Missing {
		t.Error("moved in a generation that never was")
	}
	if m := e.moveMain("nobody", 1, web); !m.Missing {
		t.Error("moved in a unit that never was")
	}
	if row := e.list()["web"].m; row.State != Alive || row.Pid != web {
		t.Errorf("row %s", dump(row))
	}
}

// TestMainThatIsNotOurChild: its parent lives, and takes its status. The end is told all the same, at once.
func TestMainThatIsNotOurChild(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	base := openFiles(t, r.pid())
	launcher, log := e.spawn("web", 1, `sleep 1000 & echo daemon $!; wait $!; echo reaped; exec sleep 1000`)
	daemon := pidIn(t, log, "daemon")
	if m := e.moveMain("web", 1, daemon); m.Missing {
		t.Fatal("refused")
	}
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGTERM), To: "main"})
	x := e.want(Exited, "web").m
	if x.Pid != daemon || x.Empty || x.Exit != nil && unix.WaitStatus(x.Exit.Status).Signal() != unix.SIGTERM { // known since Linux 6.15
		t.Errorf("exited: %s", dump(x))
	}
	if row := e.list()["web"].m; row.State != Ended || row.Empty || row.Pid != daemon {
		t.Errorf("row %s", dump(row))
	}
	readUntil(t, log, "reaped\n")
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
	e.want(TreeEmpty, "web")
	if alive(launcher) {
		t.Error("the launcher lives")
	}
	e.send(&Message{Kind: Drop, Unit: "web", Name: LogPipe})
	e.settled()
	r.until("its descriptors to be closed", func() bool { return openFiles(t, r.pid()) <= base+2 })
}

// TestMainBecomesOurChild: its parent goes first, as daemons' launchers do, and the status is known.
func TestMainBecomesOurChild(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	launcher, log := e.spawn("web", 1, `exec 3<gate; sh -c 'read x <&3; exit 5' & echo daemon $!; exec sleep 1000`)
	daemon := pidIn(t, log, "daemon")
	if m := e.moveMain("web", 1, daemon); m.Missing {
		t.Fatal("refused")
	}
	if err := unix.Kill(launcher, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("the launcher to be reaped", func() bool { return unix.Kill(launcher, 0) == unix.ESRCH })
	if row := e.list()["web"].m; row.State != Alive || row.Pid != daemon {
		t.Errorf("row %s", dump(row))
	}
	if _, err := gate.WriteString("x\n"); err != nil {
		t.Fatal(err)
	}
	if x := e.want(Exited, "web").m; x.Pid != daemon || !x.Empty || unix.WaitStatus(x.Exit.Status).ExitStatus() != 5 {
		t.Errorf("exited: %s", dump(x))
	}
}

// TestStrangersAreReaped: orphans of nobody's tree leave no zombie.
func TestStrangersAreReaped(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	_, log := e.spawn("web", 1, `for i in 1 2 3 4 5; do (setsid sh -c 'sh -c "exit 3" & sleep 0.01; exit' &) ; done; echo up; exec sleep 1000`)
	readUntil(t, log, "up\n")
	r.until("no zombies", func() bool {
		for _, pid := range childrenOf(r.pid()) {
			if !alive(pid) && unix.Kill(pid, 0) == nil {
				return false
			}
		}
		return len(childrenOf(r.pid())) == 2 // engine and service
	})
}

// childrenOf lists the children of all threads of a process.
func childrenOf(pid int) []int {
	var pids []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}
