package sysv

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience ends what would otherwise hang the test.
const patience = 30 * time.Second

// roles are what the test's own program does as another process, with SYSV_TEST_ROLE set: the key is the first argument.
var roles = map[string]func(key Key, rounds int) error{
	"hold": func(key Key, _ int) error {
		s, err := OpenSemaphore(key)
		if err == nil {
			err = s.P(context.Background(), 1)
		}
		if err == nil {
			fmt.Println("held")
			asked := make(chan os.Signal, 1)
			signal.Notify(asked, syscall.SIGTERM)
			<-asked
		}
		return err
	},
	"count":                 countRole,
	"produce":               func(key Key, _ int) error { return produce(key, true) },
	"produce and take back": func(key Key, _ int) error { return produce(key, false) },
	"init": func(key Key, rounds int) error {
		s, err := MakeSemaphore(key, 1, 0o600)
		if err == nil {
			err = s.P(context.Background(), 1)
		}
		if err == nil {
			err = s.V(1)
		}
		return err
	},
}

func TestMain(m *testing.M) {
	role := roles[os.Getenv("SYSV_TEST_ROLE")]
	if role == nil {
		code := m.Run()
		os.RemoveAll(peerDir)
		os.Exit(code)
	}
	key, rounds := arguments()
	if err := role(key, rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(key Key, noUndo bool) error {
	s, err := OpenSemaphore(key)
	if err != nil {
		return err
	}
	s.NoUndo = noUndo
	return s.V(5)
}

func arguments() (key Key, rounds int) {
	if len(os.Args) > 1 {
		n, _ := strconv.ParseUint(os.Args[1], 0, 32)
		key = Key(n)
	}
	if len(os.Args) > 2 {
		rounds, _ = strconv.Atoi(os.Args[2])
	}
	return key, rounds
}

// goRole is the test's own program in another role.
func goRole(t *testing.T, role string, key Key, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{key.String()}, args...)...)
	cmd.Env = append(os.Environ(), "SYSV_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

var (
	peerOnce sync.Once
	peerDir  string
	peerErr  error
)

// peer is testdata/peer.c with arguments. Where there is no C compiler the test is skipped.
func peer(t *testing.T, what string, args ...string) *exec.Cmd {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc, for the C program on the other side")
	}
	peerOnce.Do(func() {
		if peerDir, peerErr = os.MkdirTemp("", "sysv-test-"); peerErr != nil {
			return
		}
		if out, err := exec.Command(cc, "-Wall", "-Wextra", "-O2", "-o", filepath.Join(peerDir, "peer"), "testdata/peer.c").CombinedOutput(); err != nil {
			peerErr = fmt.Errorf("gcc: %v\n%s", err, out)
		}
	})
	if peerErr != nil {
		t.Fatal(peerErr)
	}
	return exec.Command(filepath.Join(peerDir, "peer"), append([]string{what}, args...)...)
}

// run runs a command to its good end and returns what it wrote.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Stderr = nil
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return string(out)
}

// begin starts a command and waits until it has written line. It is killed when the test ends.
func begin(t *testing.T, cmd *exec.Cmd, line string) *exec.Cmd {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	if got, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(got) != line {
		t.Fatalf("%v wrote %q (%v), not %q", cmd.Args, got, err, line)
	}
	go io.Copy(io.Discard, out)
	return cmd
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// freeKey is a key that nobody has. Whatever has it when the test ends is removed.
func freeKey(t testing.TB) Key {
	t.Helper()
	for {
		key := Key(rand.Uint32()>>8 | uint32(os.Getpid())<<24)
		if key == Private {
			continue
		}
		_, m := OpenMemory(key)
		_, s := OpenSemaphore(key)
		_, q := OpenQueue(key)
		if m == nil || s == nil || q == nil {
			continue
		}
		t.Cleanup(func() { removeAll(t, key) })
		return key
	}
}

// removeAll removes all that has the key, and fails the test if something is still there.
func removeAll(t testing.TB, key Key) {
	if m, err := OpenMemory(key); err == nil {
		m.Remove()
	}
	if s, err := OpenSemaphore(key); err == nil {
		s.Remove()
	}
	if q, err := OpenQueue(key); err == nil {
		q.Remove()
	}
	_, m := OpenMemory(key)
	_, s := OpenSemaphore(key)
	_, q := OpenQueue(key)
	if m == nil || s == nil || q == nil {
		t.Errorf("something with key %s is left: memory %v, semaphore %v, queue %v", key, m, s, q)
	}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until asks again and again until it is true: for what the kernel does not tell.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s", what)
		}
	}
}
