package client_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

func TestQuestions(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer any
		ask    func(context.Context, *client.Client) (any, error)
		asked  string
		got    func(any) bool
	}{
		{"version", api.Daemon{Version: "9"},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Version(ctx) },
			"GET /v1/version", func(v any) bool { return v.(api.Daemon).Version == "9" }},
		{"status of all", []api.Instance{{Name: "web"}},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Status(ctx, "") },
			"GET /v1/services", func(v any) bool { return v.([]api.Instance)[0].Name == "web" }},
		{"status of a glob", []api.Instance{},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Status(ctx, "w?b*") },
			"GET /v1/services?target=w%3Fb%2A", func(v any) bool { return len(v.([]api.Instance)) == 0 }},
		{"show", api.Service{Name: "web"},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Show(ctx, "a/b") },
			"GET /v1/services/a%2Fb", func(v any) bool { return v.(api.Service).Name == "web" }},
		{"pulses", []api.PulseSlot{{Name: "web"}},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Pulses(ctx, "web*") },
			"GET /v1/pulses?target=web%2A", func(v any) bool { return v.([]api.PulseSlot)[0].Name == "web" }},
		{"all pulses", []api.PulseSlot{},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Pulses(ctx, "") },
			"GET /v1/pulses", func(v any) bool { return len(v.([]api.PulseSlot)) == 0 }},
		{"all incidents", []api.Incident{},
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Incidents(ctx, client.IncidentFilter{})
			},
			"GET /v1/incidents?brief=0&n=0", func(v any) bool { return len(v.([]api.Incident)) == 0 }},
		{"some incidents", []api.Incident{{ID: "7"}},
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Incidents(ctx, client.IncidentFilter{Target: "web", N: 3, Brief: true, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)})
			},
			"GET /v1/incidents?brief=1&n=3&since=2026-01-02T03%3A04%3A05.000000006Z&target=web",
			func(v any) bool { return v.([]api.Incident)[0].ID == "7" }},
		{"incident", api.Incident{ID: "7"},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Incident(ctx, "../7") },
			"GET /v1/incidents/..%2F7", func(v any) bool { return v.(*api.Incident).ID == "7" }},
		{"apply", []api.Change{{Service: "web", Action: "start"}},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Apply(ctx) },
			"POST /v1/apply", func(v any) bool { return v.([]api.Change)[0].Action == "start" }},
		{"plan", []api.Change{{Service: "web", Action: "stop"}},
			func(ctx context.Context, c *client.Client) (any, error) { return c.Plan(ctx) },
			"GET /v1/plan", func(v any) bool { return v.([]api.Change)[0].Action == "stop" }},
		{"start", api.Result{Failures: []api.Failure{{Name: "web"}}},
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Do(ctx, api.Command{Target: "web*", Verb: api.Start, NoWait: true})
			},
			`POST /v1/services/web%2A/start {"target":"web*","verb":"start","no_wait":true}`,
			func(v any) bool { return v.(api.Result).Failures[0].Name == "web" }},
		{"run", api.Result{Instances: []api.Instance{{Name: "sleep"}}},
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Run(ctx, api.Run{Command: []string{"sleep", "1"}, Directory: "/"})
			},
			`POST /v1/run {"command":["sleep","1"],"directory":"/"}`,
			func(v any) bool { return v.(api.Result).Instances[0].Name == "sleep" }},
	} {
		s, cl := run(t, answer(c.answer))
		v, err := c.ask(t.Context(), cl)
		if err != nil || !slices.Equal(s.questions(), []string{c.asked}) || !c.got(v) {
			t.Errorf("%s: asked %q, got %+v, %v; want the question %q", c.name, s.questions(), v, err, c.asked)
		}
	}
}

func TestRefusal(t *testing.T) {
	want := api.Error{Code: "not-found", Message: "there is no service \"x\"", Hint: "stay status"}
	_, cl := run(t, refuse(404, want))
	_, err := cl.Show(t.Context(), "x")
	var got *api.Error
	if !errors.As(err, &got) || *got != want {
		t.Errorf("the refusal came as %v", err)
	}
}

func TestStrangeAnswers(t *testing.T) {
	for _, c := range []struct {
		step http.HandlerFunc
		want string
	}{
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, "is it stay?"},
		{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "same version"},
	} {
		_, cl := run(t, c.step)
		if _, err := cl.Version(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q in it", err, c.want)
		}
	}
}

func TestNotReachable(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, c := range []struct {
		socket string
		want   string
	}{
		{filepath.Join(dir, "none"), "no such file or directory"},
		{filepath.Join(dir, strings.Repeat("long/", 40), "none"), "no such file or directory"},
		{stale, "connection refused"},
	} {
		cl := client.Dial(c.socket)
		_, err := cl.Version(t.Context())
		var gone *client.NotReachable
		if !errors.As(err, &gone) || gone.Socket != c.socket || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.socket, err)
		}
		if strings.HasSuffix(c.want, "directory") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is not what fs.ErrNotExist says", c.socket, err)
		}
		if err := cl.Events(t.Context(), 0, true, nil); !errors.As(err, &gone) {
			t.Errorf("%s: events: %v", c.socket, err)
		}
		if err := cl.Shutdown(t.Context(), false); !errors.As(err, &gone) {
			t.Errorf("%s: shutdown: %v", c.socket, err)
		}
	}
}

// TestLongPath: a socket too deep for an address is reached all the same.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name/", 20))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	root, err := os.MkdirTemp("", "s") // a short way to the long directory, to listen there
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	if err := os.Symlink(dir, filepath.Join(root, "l")); err != nil {
		t.Fatal(err)
	}
	listen(t, filepath.Join(root, "l", "stay.sock"), &script{steps: []http.HandlerFunc{answer(api.Daemon{Version: "far away"})}})
	v, err := client.Dial(filepath.Join(dir, "stay.sock")).Version(t.Context())
	if err != nil || v.Version != "far away" {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestContext: a question ends with its context, also one that would be asked again.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	_, cl := run(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	go func() { <-asked; cancel() }()
	if _, err := cl.Do(ctx, api.Command{Target: "web", Verb: api.Stop}); !errors.Is(err, context.Canceled) {
		t.Errorf("a question: %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	_, cl = run(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	if _, err := cl.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while breaking: %v", err)
	}
}
