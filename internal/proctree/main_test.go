package proctree

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nodeArg makes the test binary a process of a tree, described by the next argument.
const nodeArg = "stay-test-node"

// The main goroutine keeps the first thread, so that it never forks: orphans are told from children by that.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == nodeArg {
		runNode(os.Args[2])
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A node is one process of a tree, and the processes below it. It tells its pid on descriptor 3 when it has done all that
// is asked, children first.
type node struct {
	Setsid bool   // leads a session of its own (the main process always does)
	Deaf   bool   // ignores TERM, HUP and INT
	Mute   bool   // closes 0, 1 and 2
	Erase  bool   // overwrites its environment, as setproctitle does
	Bare   bool   // is started without any environment
	Comm   string // its name
	Leave  bool   // ends as soon as it is done
	Nodes  []node
}

func runNode(arg string) {
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(3)
		}
	}
	var n node
	die(json.Unmarshal([]byte(arg), &n))
	told := os.NewFile(3, "told")
	if n.Deaf {
		signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	}
	for _, child := range n.Nodes {
		r, w, err := os.Pipe()
		die(err)
		data, err := json.Marshal(child)
		die(err)
		cmd := exec.Command("/proc/self/exe", nodeArg, string(data))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{w}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: child.Setsid}
		if child.Bare {
			cmd.Env = []string{}
		}
		die(cmd.Start())
		w.Close()
		_, err = io.Copy(told, r)
		die(err)
	}
	if n.Comm != "" {
		runtime.LockOSThread()
		die(os.WriteFile("/proc/self/comm", []byte(n.Comm), 0))
	}
	if n.Erase {
		die(eraseEnvironment())
	}
	if n.Mute {
		for fd := range 3 {
			unix.Close(fd)
		}
	}
	fmt.Fprintln(told, os.Getpid())
	told.Close()
	if n.Leave {
		os.Exit(0)
	}
	for {
		unix.Pause()
	}
}

// eraseEnvironment overwrites what /proc/PID/environ shows.
func eraseEnvironment() error {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')'):]))
	from, err := strconv.ParseInt(f[48], 10, 64) // env_start is field 50
	if err != nil {
		return err
	}
	to, err := strconv.ParseInt(f[49], 10, 64)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt(make([]byte, to-from), from)
	return err
}

// A planted is a tree with processes in it.
type planted struct {
	*Tree
	root Root
	pids []int // of all nodes, the main process last
}

// openForest opens a forest that is gone when the test ends, with every process of the test.
func openForest(t *testing.T, cgroup bool) *Forest {
	t.Helper()
	f, err := Open(Options{ID: testID(), NoCgroup: !cgroup})
	if err != nil {
		t.Fatal(err)
	}
	if cgroup && f.base == "" {
		t.Skip("needs a cgroup2 that can be written: " + f.Kind())
	}
	t.Cleanup(func() {
		killAll(t)
		for _, tree := range f.trees {
			if err := tree.Remove(); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if f.base != "" {
			if _, err := os.Stat(string(f.base)); !os.IsNotExist(err) {
				t.Errorf("group %s is still there (%v)", f.base, err)
			}
		}
	})
	return f
}

func testID() string { return "test-" + strconv.Itoa(os.Getpid()) }

var counter int // trees planted so far

// plant starts a tree of processes and waits until all have told their pids.
func plant(t *testing.T, f *Forest, n node) *planted {
	t.Helper()
	counter++
	tree, err := f.Plant(fmt.Sprintf("web.%d-g17", counter))
	if err != nil {
		t.Fatal(err)
	}
	p := &planted{Tree: tree}
	data, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	r := p.start(t, []string{"/proc/self/exe", nodeArg, string(data)})
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		p.pids = append(p.pids, pid)
	}
	if len(p.pids) == 0 || p.pids[len(p.pids)-1] != p.root.Pid {
		t.Fatalf("tree has pids %v, its main process is %d", p.pids, p.root.Pid)
	}
	eventually(t, "those who leave have left", func() bool { return len(live(p.pids)) == n.stays() })
	return p
}

// stays counts the nodes that do not leave.
func (n node) stays() int {
	count := 1
	if n.Leave {
		count = 0
	}
	for _, child := range n.Nodes {
		count += child.stays()
	}
	return count
}

// start starts the main process. What it and its children write to descriptor 3 can be read from the result.
func (p *planted) start(t *testing.T, argv []string) *os.File {
	t.Helper()
	logR, logW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logR.Close() }) // nobody reads: the nodes write nothing
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer logW.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(logW.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	p.root = Root{Mark: "STAY_TREE=" + p.name + "-" + strconv.Itoa(os.Getpid()), Out: st.Ino}
	attr := &syscall.SysProcAttr{Setsid: true}
	if fd, ok := p.CgroupFD(); ok {
		attr.UseCgroupFD, attr.CgroupFD = true, fd
		defer unix.Close(fd)
	}
	proc, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Env: []string{"PATH=/usr/bin:/bin", "GORACE=atexit_sleep_ms=0", p.root.Mark},
		Files: []*os.File{nil, logW, logW, w}, Sys: attr})
	if err != nil {
		t.Fatal(err)
	}
	p.root.Pid = proc.Pid
	if err := proc.Release(); err != nil { // reap does it
		t.Error(err)
	}
	if p.root.Start, err = StartTime(p.root.Pid); err != nil {
		t.Fatal(err)
	}
	p.Rooted(p.root)
	return r
}

// reap waits for everybody who has ended, and tells the trees of their main processes.
func reap(trees ...*planted) (ended []int) {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return ended
		}
		ended = append(ended, pid)
		for _, p := range trees {
			if p.root.Pid == pid {
				p.Ended()
			}
		}
	}
}

// eventually waits for a fact that nothing tells of.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !fact(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s until %s", what)
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
}

// alive says whether a pid of this test is a process that is no zombie.
func alive(pid int) bool {
	p, err := readProc(pid)
	return err == nil && p.live()
}

// killAll ends what a test has left, by descent: this process is subreaper, so all descend from it.
func killAll(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is left", func() bool {
		left := children(os.Getpid())
		for i := 0; i < len(left); i++ {
			left = append(left, children(left[i])...)
		}
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL) // or it has just gone
		}
		reap()
		return len(children(os.Getpid())) == 0
	})
}
