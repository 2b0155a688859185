package keeper

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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

// A rig is one keeper.
type rig struct {
	t     testing.TB
	c     config
	dir   string
	cmd   *exec.Cmd
	relay int
	log   *lockedBuffer
	ended chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// patience bounds every wait; on a quiet machine they take milliseconds.
const patience = 20 * time.Second

// start starts a keeper. Where a limit is not named, it is short enough for a test, or long enough never to be reached.
func start(t testing.TB, c config) *rig {
	t.Helper()
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Limits.Tick, 20*time.Millisecond)
	set(&c.Limits.Silence, time.Minute)
	set(&c.Limits.Start, time.Minute)
	set(&c.Limits.Ask, 100*time.Millisecond)
	set(&c.Limits.Refuse, 50*time.Millisecond)
	set(&c.Limits.Leave, time.Second)
	r := &rig{t: t, c: c, log: new(lockedBuffer), ended: make(chan struct{})}
	var err error
	if r.dir, err = os.MkdirTemp("", "keeper-"); err != nil { // t.TempDir is too long for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.dir) })
	if err := os.Chmod(r.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if r.c.Relay == "" {
		r.c.Relay = filepath.Join(r.dir, "relay")
		r.listen()
	}
	r.spawnKeeper()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) listen() {
	r.t.Helper()
	var err error
	if r.relay, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Bind(r.relay, &unix.SockaddrUnix{Name: r.c.Relay}); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Listen(r.relay, 16); err != nil {
		r.t.Fatal(err)
	}
	_ = os.Chmod(r.c.Relay, 0o777)
	r.t.Cleanup(func() { unix.Close(r.relay) })
}

func (r *rig) spawnKeeper() {
	r.t.Helper()
	arg, err := json.Marshal(r.c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd = exec.Command("/proc/self/exe")
	r.cmd.Args = []string{"stayd", "keeper", string(arg)}
	if r.c.Dirty {
		r.cmd.Args[1] = "dirty"
	}
	r.cmd.Env = append(os.Environ(), mark+"="+r.dir, "GORACE=atexit_sleep_ms=0")
	r.cmd.Stderr = r.log
	r.cmd.WaitDelay = time.Second // of a service that has its log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.ended) }()
}

func (r *rig) pid() int { return r.cmd.Process.Pid }

// stop ends the keeper by the way it has for this, and fails the test if anything is left.
func (r *rig) stop() {
	if r.t.Failed() {
		r.t.Logf("log of the keeper:\n%s", r.log)
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Errorf("the keeper does not end at SIGTERM:\n%s", r.log)
		_ = r.cmd.Process.Signal(syscall.SIGQUIT)
		_ = r.cmd.Process.Kill()
	}
	r.until("nothing left", func() bool {
		left := r.marked()
		for _, pid := range left {
			if r.t.Failed() {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		return len(left) == 0
	})
}

// marked are the live processes that this rig's keeper has brought about.
func (r *rig) marked() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if strings.Contains(string(env), mark+"="+r.dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// until asks again and again: for what has no better way to be waited for.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			r.t.Errorf("waited in vain for %s", what)
			return
		}
		<-time.After(2 * time.Millisecond)
	}
}

// logged waits until the keeper has logged something.
func (r *rig) logged(text string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(r.log.String(), text) })
}

// An engine is the test in the place of an engine.
type engine struct {
	*rig
	conn    *Conn
	own     int // pid of the engine's process
	relay   int
	args    string
	inbox   chan received
	ops     map[string]uint64
	reading bool
	mute    chan struct{} // closed: no ping is answered any more
}

type received struct {
	m   *Message
	fds []int
}

// accept takes the connection of the next engine. Nothing is read from it yet.
func (r *rig) accept() *engine {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.relay), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		if n == 1 {
			break
		}
		if err != unix.EINTR {
			r.t.Fatalf("no engine was started: %v\n%s", err, r.log)
		}
	}
	s, _, err := unix.Accept4(r.relay, unix.SOCK_CLOEXEC)
	if err != nil {
		r.t.Fatal(err)
	}
	cred, err := unix.GetsockoptUcred(s, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		r.t.Fatal(err)
	}
	var buf [4096]byte
	var oob [64]byte
	n, oobn, _, _, err := unix.Recvmsg(s, buf[:], oob[:], unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		r.t.Fatal(err)
	}
	e := &engine{rig: r, conn: NewConn(rights(oob[:oobn])[0]), own: int(cred.Pid), relay: s, args: string(buf[:n]),
		inbox: make(chan received, 1<<16), ops: map[string]uint64{}, mute: make(chan struct{})}
	r.t.Cleanup(func() {
		e.conn.Hangup()
		unix.Close(s)
		if e.reading {
			for got := range e.inbox {
				CloseAll(got.fds)
			}
		}
		e.conn.Close()
	})
	return e
}

// engine takes the next engine and has it introduce itself.
func (r *rig) engine() *engine {
	r.t.Helper()
	e := r.accept()
	e.read()
	e.send(&Message{Kind: Hello, Version: Version})
	e.want(Hello, "")
	return e
}

// ready is engine, and says that it is ready.
func (r *rig) ready() *engine {
	r.t.Helper()
	e := r.engine()
	e.send(&Message{Kind: Ready})
	return e
}

// read pumps what the keeper says into the inbox and answers pings.
func (e *engine) read() {
	e.reading = true
	go func() {
		defer close(e.inbox)
		for {
			m, fds, err := e.conn.Receive()
			if err != nil {
				return
			}
			if m.Kind != Ping {
				e.inbox <- received{m, fds}
				continue
			}
			select {
			case <-e.mute:
			default:
				_ = e.conn.Send(&Message{Kind: Ping})
			}
		}
	}()
}

func (e *engine) send(m *Message, fds ...int) {
	e.t.Helper()
	if err := e.conn.Send(m, fds...); err != nil {
		e.t.Fatalf("send %s: %v\n%s", m.Kind, err, e.log)
	}
}

// next is the next thing the keeper says, beside pings.
func (e *engine) next() received {
	e.t.Helper()
	select {
	case r, ok := <-e.inbox:
		if !ok {
			e.t.Fatalf("the keeper has hung up\n%s", e.log)
		}
		return r
	case <-time.After(patience):
		e.t.Fatalf("the keeper says nothing\n%s", e.log)
	}
	return received{}
}

// want takes the next message, which must be of that kind and unit.
func (e *engine) want(k Kind, unit string) received {
	e.t.Helper()
	r := e.next()
	if r.m.Kind != k || r.m.Unit != unit {
		e.t.Fatalf("want %s of %q, got %s\n%s", k, unit, dump(r.m), e.log)
	}
	return r
}

func dump(m *Message) string {
	data, _ := json.Marshal(m)
	return string(data)
}

// order sends an order with the next number of the unit.
func (e *engine) order(m *Message) {
	e.t.Helper()
	e.ops[m.Unit]++
	m.Op = e.ops[m.Unit]
	e.send(m)
}

// shell is a Spawn of a shell script.
func (e *engine) shell(script string) *Spawn {
	return &Spawn{UID: os.Geteuid(), GID: os.Getegid(), Exec: &Exec{Path: "/bin/sh", Argv: []string{"sh", "-c", script},
		Env: []string{mark + "=" + e.dir, "PATH=/usr/local/bin:/usr/bin:/bin"}, Dir: e.dir}}
}

// spawn orders a script and returns its Spawned, of which the first descriptor is the log.
func (e *engine) spawn(unit string, gen uint64, script string) (pid int, log *os.File) {
	e.t.Helper()
	e.order(&Message{Kind: SpawnOrder, Unit: unit, Gen: gen, Spawn: e.shell(script)})
	r := e.want(Spawned, unit)
	if r.m.Gen != gen || r.m.Pid <= 0 || len(r.fds) != 1 || r.m.Names[0] != fmt.Sprintf("log/%d", gen) {
		e.t.Fatalf("spawned: %s with %d descriptors", dump(r.m), len(r.fds))
	}
	f := os.NewFile(uintptr(r.fds[0]), "log")
	e.t.Cleanup(func() { f.Close() })
	return r.m.Pid, f
}

// list asks for the table.
func (e *engine) list() map[string]received {
	e.t.Helper()
	e.send(&Message{Kind: List})
	rows := map[string]received{}
	for {
		r := e.next()
		switch r.m.Kind {
		case Row:
			rows[r.m.Unit] = r
			for _, fd := range r.fds {
				e.t.Cleanup(func() { unix.Close(fd) })
			}
		case Listed:
			return rows
		default:
			CloseAll(r.fds)
		}
	}
}

// settled returns when the keeper has executed all that was sent before.
func (e *engine) settled() {
	e.t.Helper()
	e.send(&Message{Kind: Fetch, Name: "no such name"})
	for {
		r := e.next()
		CloseAll(r.fds)
		if r.m.Kind == Held {
			return
		}
	}
}

// die kills the engine's process, as it is.
func (e *engine) die() {
	e.t.Helper()
	if err := unix.Kill(e.own, unix.SIGKILL); err != nil {
		e.t.Fatal(err)
	}
}

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
