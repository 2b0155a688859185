package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// TestMain is also a daemon: a process that answers, and ends when its standard input does.
func TestMain(m *testing.M) {
	if socket := os.Getenv("CLIENT_TEST_DAEMON"); socket != "" {
		daemon(socket)
		return
	}
	os.Exit(m.Run())
}

func daemon(socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("listening")
	s := &script{steps: []http.HandlerFunc{answer(api.Daemon{KeeperPid: os.Getpid()}), func(w http.ResponseWriter, r *http.Request) {
		l.Close() // nobody answers any more, and still the process is there
		answer(struct{}{})(w, r)
		fmt.Println("answered")
	}}}
	go func() { _ = http.Serve(l, s) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// helper starts a daemon that ends when its returned input is closed, and returns its client, and what it says: a line
// when it listens, which was read, and one when it answered a shutdown.
func helper(t *testing.T) (cl *client.Client, leash io.Closer, says *bufio.Reader) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CLIENT_TEST_DAEMON="+socket, "GORACE=atexit_sleep_ms=0")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	says = bufio.NewReader(out)
	if line, err := says.ReadString('\n'); line != "listening\n" {
		t.Fatalf("the daemon says %q, %v", line, err)
	}
	return client.Dial(socket), in, says
}

// TestShutdownWaitsForProcess: neither the answer nor a socket that refuses is the end, that of the keeper's process is.
func TestShutdownWaitsForProcess(t *testing.T) {
	cl, leash, says := helper(t)
	ended := make(chan error, 1)
	go func() { ended <- cl.Shutdown(t.Context(), true) }()
	if line, err := says.ReadString('\n'); line != "answered\n" {
		t.Fatalf("the daemon says %q, %v", line, err)
	}
	select {
	case err := <-ended:
		t.Errorf("it ended before the process did: %v", err)
	case <-time.After(100 * time.Millisecond): // nothing says that it still waits, but that it has not ended
	}
	leash.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownContext(t *testing.T) {
	cl, _, says := helper(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cl.Shutdown(ctx, false) }()
	if line, err := says.ReadString('\n'); line != "answered\n" {
		t.Fatalf("the daemon says %q, %v", line, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestShutdownWithoutProcess: where the keeper's pid says nothing, as it is of another pid namespace, the end of the socket
// does. Process 1 is there, and is not who made the socket.
func TestShutdownWithoutProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{steps: []http.HandlerFunc{answer(api.Daemon{KeeperPid: 1}), answer(struct{}{})}}
	server := &http.Server{Handler: s}
	looked := make(chan struct{}, 100)
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			looked <- struct{}{}
		}
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	ended := make(chan error, 1)
	go func() { ended <- client.Dial(socket).Shutdown(t.Context(), true) }()
	for range 5 { // two questions, a look who made it, and two whether it is still there
		<-looked
	}
	select {
	case err := <-ended:
		t.Errorf("it ended while the socket was there: %v", err)
	default:
	}
	server.Close()
	<-served
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if asked := s.questions(); len(asked) != 2 || asked[1] != "POST /v1/shutdown?now=1" {
		t.Errorf("asked %q", asked)
	}
}

// TestShutdownAnswerLost: a daemon that has gone before its answer was read is down all the same.
func TestShutdownAnswerLost(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{steps: []http.HandlerFunc{answer(api.Daemon{}), func(http.ResponseWriter, *http.Request) {
		l.Close()
		panic(http.ErrAbortHandler)
	}}}
	server := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	if err := client.Dial(socket).Shutdown(t.Context(), false); err != nil {
		t.Error(err)
	}
	server.Close()
	<-served
}

// TestShutdownOfQuickDaemon: one that ends at once, before anybody waits for it, is not missed. It took some twenty times.
func TestShutdownOfQuickDaemon(t *testing.T) {
	for range 40 {
		cl, leash, says := helper(t)
		go func() { _, _ = says.ReadString('\n'); leash.Close() }()
		if err := cl.Shutdown(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShutdownRefused(t *testing.T) {
	_, cl := run(t, answer(api.Daemon{}), refuse(403, api.Error{Code: "forbidden", Message: "no"}))
	var refused *api.Error
	if err := cl.Shutdown(t.Context(), false); !errors.As(err, &refused) || refused.Code != "forbidden" {
		t.Errorf("%v", err)
	}
}
