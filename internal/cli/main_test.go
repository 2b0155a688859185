package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/control"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// TestMain is the tests, or, called by the name of stayd, a daemon for them, or, by that of stay, the command itself.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "stayd" {
		os.Exit(fakeStayd(os.Getenv("STAYD_TEST_DIR"), os.Args[1:]))
	}
	if os.Args[0] == "stay" {
		os.Exit(Main(os.Args[1:]))
	}
	for _, name := range []string{"STAY_SOCKET", "NO_COLOR"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// A screen is what a command prints, and waits until it has printed something.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
	broken  bool // whoever read it has gone
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, &os.PathError{Op: "write", Path: "terminal", Err: syscall.EIO}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the text is on the screen n times.
func (s *screen) await(t *testing.T, text string, n int) {
	t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		there, changed := strings.Count(s.text.String(), text) >= n, s.changed
		s.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%q was not printed %d times; what was: %s", text, n, s)
		}
	}
}

// A session is one command that runs.
type session struct {
	*app
	out, err *screen
	signals  chan chan<- os.Signal // gets the channel that the command listens on
	code     chan int
}

// begin starts a command; end waits for it.
func begin(args ...string) *session { return beginAs(func(*app) {}, args...) }

func beginAs(change func(*app), args ...string) *session {
	s := &session{out: newScreen(), err: newScreen(), signals: make(chan chan<- os.Signal, 1), code: make(chan int, 1)}
	s.app = newApp(nil, s.out, s.err)
	s.tick = time.Millisecond
	s.notify = func(c chan<- os.Signal, _ ...os.Signal) { s.signals <- c }
	change(s.app)
	go func() { s.code <- s.main(args) }()
	return s
}

func (s *session) end(t *testing.T) (code int, out, err string) {
	t.Helper()
	select {
	case code = <-s.code:
	case <-time.After(patience):
		t.Fatalf("the command does not end; it printed %s%s", s.out, s.err)
	}
	return code, s.out.String(), s.err.String()
}

// press sends a signal to the command, which listens by then.
func (s *session) press(t *testing.T, sig os.Signal) {
	t.Helper()
	select {
	case c := <-s.signals:
		c <- sig
		s.signals <- c
	case <-time.After(patience):
		t.Fatalf("the command does not listen for signals; it printed %s%s", s.out, s.err)
	}
}

// run runs a command to its end.
func run(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	return begin(args...).end(t)
}

// serve serves an engine on a socket of its own until the test ends, or the engine was taken down.
func serve(t *testing.T, e *fakeEngine) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli") // short: t.TempDir may be too long for an address
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "stay.sock")
	t.Cleanup(func() { os.RemoveAll(dir) })
	serveOn(t, socket, e)
	return socket
}

// serveOn serves an engine until the test ends, or the engine was taken down.
func serveOn(t *testing.T, socket string, e *fakeEngine) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.onDown = func() { go cancel() }
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- listenAndServe(ctx, socket, e, func() { close(listening) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-listening:
	case err := <-ended:
		t.Fatal(err)
	}
}

// listenAndServe calls up as soon as clients can connect.
func listenAndServe(ctx context.Context, socket string, e *fakeEngine, up func()) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	up()
	return control.Serve(ctx, l, e)
}

// A yard is a directory with a fake stayd in PATH, in which commands run.
type yard struct {
	dir    string
	socket string
	report report
}

// newYard makes a yard with a configuration of the services named, and makes it the working directory.
func newYard(t *testing.T, services ...string) *yard {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(exe), "stayd")); err == nil {
		t.Fatal("the real stayd is beside the test's program, and would be started: move one of them")
	}
	for _, d := range []string{"bin", ".stay", ".stay/log"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(exe, filepath.Join(dir, "bin", "stayd")); err != nil {
		t.Fatal(err)
	}
	leash, err := net.Listen("unix", filepath.Join(dir, "leash"))
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := leash.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}()
	t.Cleanup(func() { // ends the daemons of this yard that are still there, and waits for them
		leash.Close()
		<-accepted
		for _, c := range held {
			_ = c.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	})
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("STAYD_TEST_DIR", dir)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each stayd takes a second to end under -race
	t.Chdir(dir)
	y := &yard{dir: dir, socket: filepath.Join(dir, ".stay", "stay.sock")}
	y.report = report{File: filepath.Join(dir, "stay.toml"), LogDir: filepath.Join(dir, ".stay", "log"), Socket: y.socket, Services: services}
	y.save(t, "report", y.report)
	return y
}

// save writes a value where the fake stayd reads it.
func (y *yard) save(t *testing.T, name string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(y.dir, name), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// calls are the arguments of each call of stayd so far.
func (y *yard) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(y.dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// fakeStayd is stayd for the tests of dir.
func fakeStayd(dir string, args []string) int {
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(calls, strings.Join(args, " "))
	calls.Close()
	switch args[0] {
	case "check":
		text, _ := os.ReadFile(filepath.Join(dir, "report"))
		os.Stdout.Write(text)
		var r report
		if json.Unmarshal(text, &r) != nil || len(r.Errors) > 0 {
			return 1
		}
		return 0
	case "logs":
		fmt.Println("a line of a file")
		return 0
	case "events":
		text, err := os.ReadFile(filepath.Join(dir, "events"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "stay: no journal")
			return 1
		}
		os.Stdout.Write(text)
		return 0
	case "incidents":
		text, err := os.ReadFile(filepath.Join(dir, "incidents"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "stay: no incidents")
			return 1
		}
		os.Stdout.Write(text)
		return 0
	}
	return fakeKeeper(dir)
}

// fakeKeeper refuses with the text of the file "refuse", or serves the instances of the file "list" until it is taken
// down or the test has ended.
func fakeKeeper(dir string) int {
	var refusal string
	if text, err := os.ReadFile(filepath.Join(dir, "refuse")); err == nil {
		_ = json.Unmarshal(text, &refusal)
		fmt.Fprint(os.Stderr, refusal)
		return 1
	}
	leash, err := net.Dial("unix", filepath.Join(dir, "leash"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer leash.Close()
	e := newEngine()
	if text, err := os.ReadFile(filepath.Join(dir, "list")); err == nil {
		_ = json.Unmarshal(text, &e.list)
	}
	for _, in := range e.list {
		if in.State == api.Failed {
			e.do = func(_ context.Context, c api.Command) (api.Result, error) {
				return api.Result{Instances: e.list, Failures: []api.Failure{{Name: in.Name, Message: in.Why, Log: []string{"its last words"}}}}, nil
			}
		}
	}
	e.daemon.KeeperPid, e.daemon.Started = os.Getpid(), time.Now()
	e.logs = []api.LogLine{{Name: "web", Time: time.Now().Add(-time.Hour), Text: "of an hour ago"}, {Name: "web", Time: time.Now().Add(time.Second), Text: "of now"}}
	ctx, cancel := context.WithCancel(context.Background())
	e.onDown = func() { go cancel() }
	go func() { _, _ = io.Copy(io.Discard, leash); os.Exit(0) }()
	err = listenAndServe(ctx, filepath.Join(dir, ".stay", "stay.sock"), e, func() {
		null, _ := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		for fd := 1; fd <= 2; fd++ {
			_ = syscall.Dup3(int(null.Fd()), fd, 0)
		}
	})
	if err != nil {
		return 1
	}
	return 0
}
