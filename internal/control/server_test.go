package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/stay/api"
)

// TestMain is also the other user of TestPeerOfOtherUser: it asks one question and prints the answer's first line.
func TestMain(m *testing.M) {
	socket := os.Getenv("CONTROL_TEST_SOCKET")
	if socket == "" {
		os.Exit(m.Run())
	}
	c, err := net.Dial("unix", socket)
	if err == nil {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: stay\r\nConnection: close\r\n\r\n", os.Getenv("CONTROL_TEST_PATH"))
		_, err = io.Copy(os.Stdout, c)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func TestGarbage(t *testing.T) {
	s := serve(t, &fake{})
	for _, garbage := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello in TLS\r\n\r\n",
		"stop everything\r\n\r\n",
		"GET /v1/version HTTP/1.1\r\nHost stay\r\n\r\n",
		"GET /v1/version HTTP/9.9\r\n\r\n",
		"GET /v1/version HTTP/1.1\r\nHost: stay\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n",
	} {
		c := s.dial(t)
		if _, err := io.WriteString(c, garbage); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c) // to the end: the connection is closed
		if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%.30q: %v", garbage, err)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 4") && !strings.HasPrefix(string(answer), "HTTP/1.1 505") {
			t.Errorf("%.30q: answer %.60q", garbage, answer)
		}
	}
	if status, _ := s.ask(t, "GET", "/v1/version", ""); status != 200 {
		t.Errorf("after the garbage: %d", status)
	}
}

func TestPanicBecomesInternal(t *testing.T) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	defer slog.SetDefault(before)
	f := &fake{
		status: func(context.Context, string) ([]api.Instance, error) { panic("oh no") },
		events: func(_ context.Context, _ api.EventFilter, emit func(api.Event) error) error {
			_ = emit(api.Event{Seq: 1})
			panic("oh no")
		},
	}
	s := serve(t, f)
	if status, answer := s.ask(t, "GET", "/v1/services", ""); status != 500 || !strings.Contains(answer, "internal error: oh no") {
		t.Errorf("%d %s", status, answer)
	}
	_, answer := s.ask(t, "GET", "/v1/events", "")
	if lines := strings.Split(strings.TrimSpace(answer), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "internal error: oh no") {
		t.Errorf("the stream is %s", answer)
	}
	if status, _ := s.ask(t, "GET", "/v1/version", ""); status != 200 {
		t.Errorf("after the panic: %d", status)
	}
}

func TestStreamIsFlushed(t *testing.T) {
	more := make(chan struct{})
	f := &fake{logs: func(ctx context.Context, _ api.LogQuery, emit func(api.LogLine) error) error {
		if err := emit(api.LogLine{Name: "web", Text: "one"}); err != nil {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(api.LogLine{Name: "web", Text: "two"})
	}}
	s := serve(t, f)
	resp, err := s.client.Get("http://stay/v1/logs?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("the content is %q", kind)
	}
	r := bufio.NewReader(resp.Body)
	for i, want := range []string{"one", "two"} {
		text, err := r.ReadBytes('\n')
		var line api.LogLine
		if err != nil || json.Unmarshal(text, &line) != nil || line.Text != want || line.Name != "web" {
			t.Fatalf("line %d: %s, %v", i, text, err)
		}
		if i == 0 {
			close(more) // the first line was here before the second was made
		}
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
}

func TestStreamErrors(t *testing.T) {
	gone := &api.Error{Code: "not-found", Message: "it has gone"}
	f := &fake{
		events: func(context.Context, api.EventFilter, func(api.Event) error) error { return gone },
		logs: func(_ context.Context, _ api.LogQuery, emit func(api.LogLine) error) error {
			return errors.Join(emit(api.LogLine{Text: "one"}), gone)
		},
	}
	s := serve(t, f)
	if status, answer := s.ask(t, "GET", "/v1/events", ""); status != 404 || !strings.Contains(answer, "it has gone") {
		t.Errorf("before the first line: %d %s", status, answer)
	}
	want := `{"name":"","text":"one"}` + "\n" + `{"error":{"code":"not-found","message":"it has gone"}}` + "\n"
	if status, answer := s.ask(t, "GET", "/v1/logs", ""); status != 200 || answer != want {
		t.Errorf("after the first line: %d %s", status, answer)
	}
}

func TestClientGoneEndsContext(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	f := &fake{do: func(ctx context.Context, _ api.Command) (api.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return api.Result{}, ctx.Err()
	}}
	s := serve(t, f)
	c := s.dial(t)
	fmt.Fprintf(c, "POST /v1/services/web/stop HTTP/1.1\r\nHost: stay\r\nContent-Length: 2\r\n\r\n{}")
	<-began
	c.Close()
	<-ended
}

// TestEndBreaksRequests: to a client, an engine that leaves looks like one that died.
func TestEndBreaksRequests(t *testing.T) {
	began := make(chan struct{}, 2)
	f := &fake{
		do: func(ctx context.Context, _ api.Command) (api.Result, error) {
			began <- struct{}{}
			<-ctx.Done()
			return api.Result{}, ctx.Err()
		},
		events: func(ctx context.Context, _ api.EventFilter, emit func(api.Event) error) error {
			err := emit(api.Event{Seq: 1})
			began <- struct{}{}
			<-ctx.Done()
			return err // as an engine that takes the end of ctx for a good end
		},
	}
	s := serve(t, f)
	broke := make(chan error, 2)
	go func() {
		_, err := s.client.Post("http://stay/v1/services/web/stop", "", nil)
		broke <- err
	}()
	go func() {
		resp, err := s.client.Get("http://stay/v1/events?follow=1")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		broke <- err
	}()
	<-began
	<-began
	s.cancel()
	for range 2 {
		if err := <-broke; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a request under way got %v", err)
		}
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("unix", s.socket); err == nil {
		t.Error("the socket still answers")
	}
}

// TestEndLetsAnswersOut: what an engine answered before the end arrives.
func TestEndLetsAnswersOut(t *testing.T) {
	var s *server
	f := &fake{do: func(context.Context, api.Command) (api.Result, error) {
		return api.Result{}, &api.Error{Code: "refused", Message: "no"}
	}}
	s = serve(t, f)
	if status, _ := s.ask(t, "POST", "/v1/services/a/stop", ""); status != 422 {
		t.Errorf("status %d", status)
	}
	s.cancel()
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeReturnsListenerError(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, &fake{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}

// TestLimit: above its limit a listener does not accept, and goes on when a connection is closed.
func TestLimit(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	inner, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 2)
	accepted := make(chan net.Conn)
	ended := make(chan error)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, second := <-accepted, <-accepted
	select {
	case <-accepted:
		t.Fatal("a third connection was accepted")
	default:
	}
	if n := len(l.(*limited).slots); n != 2 {
		t.Errorf("%d slots are taken", n)
	}
	first.Close()
	first.Close() // gives back one slot only
	third := <-accepted
	second.Close()
	third.Close()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if n := len(l.(*limited).slots); n != 0 {
		t.Errorf("%d slots are still taken", n)
	}
}

func TestLimitCloseWhileFull(t *testing.T) {
	inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 0)
	ended := make(chan error)
	go func() { _, err := l.Accept(); ended <- err }()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

// TestKeepAlive: two questions on one connection, the answers' time limits do not leak into the next one.
func TestKeepAlive(t *testing.T) {
	s := serve(t, &fake{})
	c := s.dial(t)
	r := bufio.NewReader(c)
	for range 2 {
		fmt.Fprintf(c, "GET /v1/version HTTP/1.1\r\nHost: stay\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(text), "test") {
			t.Errorf("%d %s %v", resp.StatusCode, text, err)
		}
	}
}
