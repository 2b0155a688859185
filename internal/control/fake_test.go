package control

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/stay/api"
)

// A fake is an engine that notes what it was asked and answers with what its fields say. A nil function answers with
// nothing.
type fake struct {
	mu    sync.Mutex
	asked []string

	status func(context.Context, string) ([]api.Instance, error)
	do     func(context.Context, api.Command) (api.Result, error)
	events func(context.Context, api.EventFilter, func(api.Event) error) error
	logs   func(context.Context, api.LogQuery, func(api.LogLine) error) error
}

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

// last returns what was asked last.
func (f *fake) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		return ""
	}
	return f.asked[len(f.asked)-1]
}

func (f *fake) Status(ctx context.Context, target string) ([]api.Instance, error) {
	f.note("status %q", target)
	if f.status != nil {
		return f.status(ctx, target)
	}
	return nil, nil
}

func (f *fake) Show(_ context.Context, service string) (api.Service, error) {
	f.note("show %q", service)
	if service == "nix" {
		return api.Service{}, &api.Error{Code: "not-found", Message: `there is no service "nix"`, Hint: "stay status"}
	}
	return api.Service{Name: service}, nil
}

func (f *fake) Do(ctx context.Context, c api.Command) (api.Result, error) {
	f.note("do %+v", c)
	if f.do != nil {
		return f.do(ctx, c)
	}
	return api.Result{Instances: []api.Instance{{Name: c.Target}}}, nil
}

func (f *fake) Run(_ context.Context, r api.Run) (api.Result, error) {
	f.note("run %q in %q", r.Command, r.Directory)
	return api.Result{}, nil
}

func (f *fake) Upgrade(_ context.Context, path string) (api.Upgrade, error) {
	f.note("upgrade %s", path)
	return api.Upgrade{ID: "7"}, nil
}

func (f *fake) Plan(context.Context) ([]api.Change, error) {
	f.note("plan")
	return nil, nil
}

func (f *fake) Apply(context.Context) ([]api.Change, error) {
	f.note("apply")
	return nil, nil
}

func (f *fake) Events(ctx context.Context, which api.EventFilter, emit func(api.Event) error) error {
	f.note("events %d %t%s", which.Since, which.Follow, chosen(which))
	if f.events != nil {
		return f.events(ctx, which, emit)
	}
	return nil
}

// chosen is what else than numbers a filter has.
func chosen(f api.EventFilter) (text string) {
	if !f.From.IsZero() {
		text += " from " + f.From.UTC().Format(time.RFC3339)
	}
	if f.Targets != nil {
		text += " of " + strings.Join(f.Targets, " ")
	}
	if f.Kinds != nil {
		text += fmt.Sprintf(" kinds %q", f.Kinds)
	}
	return text
}

func (f *fake) Logs(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error) error {
	text := fmt.Sprintf("logs %q %d %t", q.Targets, q.N, q.Follow)
	if !q.Since.IsZero() || !q.Until.IsZero() || q.Grep != "" || q.After != nil {
		text += fmt.Sprintf(" %d to %d %q %v", q.Since.Unix(), q.Until.Unix(), q.Grep, q.After)
	}
	f.note("%s", text)
	if f.logs != nil {
		return f.logs(ctx, q, emit)
	}
	return nil
}

func (f *fake) Rotate(_ context.Context, targets []string) error {
	f.note("rotate %q", targets)
	return nil
}

func (f *fake) Pulses(_ context.Context, target string) ([]api.PulseSlot, error) {
	f.note("pulses %q", target)
	return nil, nil
}

func (f *fake) Incidents(_ context.Context, target string, since time.Time, n int) ([]api.Incident, error) {
	f.note("incidents %q %s %d", target, since.UTC().Format(time.RFC3339), n)
	if target != "web" {
		return nil, nil
	}
	return []api.Incident{{ID: "1", Name: "web", Log: []string{"a line"}, Evidence: &api.Evidence{Load: "heavy"},
		Verdict: &api.Verdict{Kind: "pulse", Slots: []api.PulseSlot{{Name: "a slot"}}}}}, nil
}

func (f *fake) Incident(_ context.Context, id string) (*api.Incident, error) {
	f.note("incident %q", id)
	if id == "nix" {
		return nil, &api.Error{Code: "not-found", Message: `there is no incident "nix"`, Hint: "stay history"}
	}
	return &api.Incident{ID: id}, nil
}

func (f *fake) Shutdown(_ context.Context, now bool) error {
	f.note("shutdown %t", now)
	return nil
}

func (f *fake) Version(context.Context) (api.Daemon, error) {
	f.note("version")
	return api.Daemon{Version: "test"}, nil
}

// A server is a Serve that runs, on a socket of its own.
type server struct {
	socket string
	cancel context.CancelFunc
	ended  chan error // gets what Serve returned
	client *http.Client
}

// serve starts Serve with e; it has ended when the test has.
func serve(t *testing.T, e Engine) *server {
	t.Helper()
	s := &server{socket: filepath.Join(t.TempDir(), "s"), ended: make(chan error, 1)}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	stopped := make(chan struct{})
	go func() { s.ended <- Serve(ctx, l, e); close(stopped) }()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
	}}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() { cancel(); <-stopped })
	return s
}

// ask sends one request, and returns status and body.
func (s *server) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://stay"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(text)
}

// dial opens a bare connection, closed when the test ends.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
