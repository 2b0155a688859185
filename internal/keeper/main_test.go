package keeper

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests run real keepers: the test binary itself, in the role "keeper". Its engine is the test: the process that the
// keeper starts, again the test binary, lends its connection to the test and waits to be killed.

// mark is in the environment of everything that a test starts.
const mark = "STAY_KEEPER_TEST"

func init() {
	if len(os.Args) > 1 && os.Args[0] == "stayd" && os.Args[1] == "keeper" {
		runtime.LockOSThread() // as cmd/stayd does: the first thread does nothing
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[0] == "stayd" {
		os.Exit(role(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func role(name string, args []string) int {
	switch name {
	case "keeper":
		return keeperRole(args[0])
	case "engine":
		return engineRole(args)
	case "exec":
		return stageRole(args)
	case "clean":
		exe, _ := os.Open("/proc/self/exe")
		fmt.Fprintln(os.Stderr, ExecClean(exe, []string{"stayd", "show"}))
	case "show":
		return showRole()
	case "dirty":
		return dirtyRole()
	}
	return 2
}

// A config is what a test wants of its keeper.
type config struct {
	Relay   string
	Limits  Limits
	NoFile  uint64 // RLIMIT_NOFILE
	NProc   uint64 // RLIMIT_NPROC
	UID     int    // to run as
	Clean   bool   // ExecClean is to be done first
	Dirty   bool   // it is started with ignored and blocked signals
	Stubs   bool   // a Plant fails for the unit "stub"
	EmptyAt string // file: no tree is empty before it exists
}

func keeperRole(arg string) int {
	var c config
	if err := json.Unmarshal([]byte(arg), &c); err != nil {
		panic(err)
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	if c.Clean {
		c.Clean = false
		again, _ := json.Marshal(c)
		panic(ExecClean(exe, []string{"stayd", "keeper", string(again)}))
	}
	fd, _ := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, 100)
	exe = os.NewFile(uintptr(fd), "exe")
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if c.UID != 0 {
		if err := syscall.Setuid(c.UID); err != nil {
			panic(err)
		}
	}
	for resource, limit := range map[int]uint64{unix.RLIMIT_NOFILE: c.NoFile, unix.RLIMIT_NPROC: c.NProc} {
		if limit == 0 {
			continue
		}
		// by number, so that Go does not take it for what children are to have
		if err := unix.Prlimit(os.Getpid(), resource, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
			panic(err)
		}
	}
	level := slog.NewTextHandler(os.Stderr, nil)
	done := make(chan error)
	go func() {
		done <- Run(Options{Exe: exe, EngineArgs: []string{"--relay", c.Relay}, Forest: pgroups{c}, Stderr: os.Stderr, Limits: c.Limits,
			Log: slog.New(level), Held: map[string]*os.File{"exe": exe}})
	}()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// engineRole lends the connection to the test and stays until it is killed.
func engineRole(args []string) int {
	signal.Ignore(syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	fd, _ := strconv.Atoi(args[1])
	relay := args[3]
	if relay == "none" {
		return 1
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 1
	}
	if err := unix.Connect(s, &unix.SockaddrUnix{Name: relay}); err != nil {
		return 1
	}
	if err := unix.Sendmsg(s, []byte(strings.Join(args, " ")), unix.UnixRights(fd), nil, 0); err != nil {
		return 1
	}
	unix.Close(fd)
	var b [1]byte
	_, _ = unix.Read(s, b[:]) // the test's end
	return 0
}

// stagePlan is what the tests' exec stage does.
type stagePlan struct {
	Exec
	Fail *Failure
	Gate string // a fifo to be read to its end first
	Die  bool   // of SIGKILL, before anything
	Junk string // for the report
}

func stageRole(args []string) int {
	in, _ := strconv.Atoi(args[0])
	out, _ := strconv.Atoi(args[1])
	unix.CloseOnExec(in)
	unix.CloseOnExec(out)
	data, err := ReadMemfd(in)
	if err != nil {
		return 3
	}
	var p stagePlan
	if err := json.Unmarshal(data, &p); err != nil {
		return 3
	}
	if p.Gate != "" {
		_, _ = os.ReadFile(p.Gate)
	}
	if p.Die {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	if p.Junk != "" {
		_, _ = unix.Write(out, []byte(p.Junk))
		return 127
	}
	if p.Fail == nil {
		p.Fail = &Failure{Stage: "exec", Detail: p.Path, Errno: int(syscall.Exec(p.Path, p.Argv, p.Env).(syscall.Errno))}
	}
	report, _ := json.Marshal(p.Fail)
	_, _ = unix.Write(out, report)
	return 127
}

// pgroups is a forest of process groups: whoever leaves his group is not in the tree. Enough for what the keeper does.
type pgroups struct{ c config }

func (pgroups) Kind() string { return "process groups" }

func (f pgroups) Plant(name string) (Tree, error) {
	if f.c.Stubs && strings.HasPrefix(name, "stub-") {
		return nil, unix.EDQUOT
	}
	return &pgroup{gate: f.c.EmptyAt}, nil
}

type pgroup struct {
	roots []int
	gate  string
}

func (g *pgroup) CgroupFD() (int, bool)              { return -1, false }
func (g *pgroup) Rooted(pid int, _ string, _ uint64) { g.roots = append(g.roots, pid) }
func (g *pgroup) Ended()                             {}
func (g *pgroup) Remember()                          {}
func (g *pgroup) Kill() error                        { return g.Signal(unix.SIGKILL, false) }
func (g *pgroup) Remove() error                      { return nil }

func (g *pgroup) Contains(pid int) bool {
	group, err := unix.Getpgid(pid)
	for _, r := range g.roots {
		if r == pid || err == nil && group == r {
			return true
		}
	}
	return false
}

func (g *pgroup) Empty() bool {
	if g.gate != "" {
		if _, err := os.Stat(g.gate); err != nil {
			return false
		}
	}
	for _, r := range g.roots {
		if unix.Kill(-r, 0) != unix.ESRCH {
			return false
		}
	}
	return true
}

func (g *pgroup) Signal(sig unix.Signal, _ bool) error {
	for _, r := range g.roots {
		_ = unix.Kill(-r, sig)
	}
	return nil
}

func (g *pgroup) Members() []Member { return []Member{{Pid: g.roots[0], Comm: "root"}} }

func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	return ok && !strings.HasPrefix(rest, "Z")
}

func needsRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("needs root: %s", why)
	}
}
