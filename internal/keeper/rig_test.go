package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
