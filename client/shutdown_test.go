package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"example.com/stay/api"
	"example.com/stay/client"
)

// TestMain is also a process to wait for: it ends when its standard input does.
func TestMain(m *testing.M) {
	if os.Getenv("CLIENT_TEST_WAIT") != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// helper starts a process that ends when its returned input is closed.
func helper(t *testing.T) (pid int, leash io.Closer) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CLIENT_TEST_WAIT=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return cmd.Process.Pid, in
}

// TestShutdownWaitsForProcess: the answer alone is not the end, that of the keeper's process is.
func TestShutdownWaitsForProcess(t *testing.T) {
	pid, leash := helper(t)
	answered := make(chan struct{})
	s, cl := run(t, answer(api.Daemon{KeeperPid: pid}), func(w http.ResponseWriter, r *http.Request) {
		answer(struct{}{})(w, r)
		close(answered)
	})
	ended := make(chan error, 1)
	go func() { ended <- cl.Shutdown(t.Context(), true) }()
	<-answered
	select {
	case err := <-ended:
		t.Errorf("it ended before the process did: %v", err)
	default:
	}
	leash.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if asked := s.questions(); len(asked) != 2 || asked[1] != "POST /v1/shutdown?now=1" {
		t.Errorf("asked %q", asked)
	}
}

func TestShutdownContext(t *testing.T) {
	pid, _ := helper(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, cl := run(t, answer(api.Daemon{KeeperPid: pid}), func(w http.ResponseWriter, r *http.Request) {
		answer(struct{}{})(w, r)
		cancel()
	})
	if err := cl.Shutdown(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestShutdownWithoutProcess: where the keeper's pid says nothing, the end of the socket does.
func TestShutdownWithoutProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{steps: []http.HandlerFunc{answer(api.Daemon{}), answer(struct{}{})}}
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
	go func() { ended <- client.Dial(socket).Shutdown(t.Context(), false) }()
	for range 4 { // two questions, and two looks whether it is still there
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

func TestShutdownRefused(t *testing.T) {
	_, cl := run(t, answer(api.Daemon{}), refuse(403, api.Error{Code: "forbidden", Message: "no"}))
	var refused *api.Error
	if err := cl.Shutdown(t.Context(), false); !errors.As(err, &refused) || refused.Code != "forbidden" {
		t.Errorf("%v", err)
	}
}
