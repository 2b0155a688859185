package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"example.com/stay/api"
	"example.com/stay/client"
)

// A script is a daemon that answers each request with its next step, and notes what was asked. Requests beyond the last
// step get the last one.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	asked []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	asked := r.Method + " " + r.URL.RequestURI()
	if len(body) > 0 {
		asked += " " + string(body)
	}
	s.asked = append(s.asked, asked)
	step := s.steps[min(len(s.asked), len(s.steps))-1]
	s.mu.Unlock()
	step(w, r)
}

func (s *script) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// run serves a script on a socket of its own until the test ends.
func run(t *testing.T, steps ...http.HandlerFunc) (*script, *client.Client) {
	t.Helper()
	s := &script{steps: steps}
	return s, client.Dial(listen(t, filepath.Join(t.TempDir(), "s"), s))
}

func listen(t *testing.T, path string, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return path
}

// die breaks the connection, as an engine does that is killed.
func die(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// answer answers with v.
func answer(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }
}

// refuse answers with an error of the API.
func refuse(status int, e api.Error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]api.Error{"error": e})
	}
}

// lines answers with a stream of lines, and dies after the last one if so wanted.
func lines[T any](dies bool, list ...T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range list {
			text, _ := json.Marshal(v)
			fmt.Fprintf(w, "%s\n", text)
			_ = http.NewResponseController(w).Flush()
		}
		if dies {
			panic(http.ErrAbortHandler)
		}
	}
}
