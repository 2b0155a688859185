package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// TestAskedAgain: what can be repeated is, until there is an answer.
func TestAskedAgain(t *testing.T) {
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"instances":[`))
		panic(http.ErrAbortHandler)
	}
	for _, verb := range []api.Verb{api.Start, api.Stop, api.Reset, api.Wait} {
		s, cl := run(t, die, half, die, answer(api.Result{Instances: []api.Instance{{Name: "web"}}}))
		r, err := cl.Do(t.Context(), api.Command{Target: "web", Verb: verb})
		if err != nil || len(r.Instances) != 1 || len(s.questions()) != 4 {
			t.Errorf("%s: %+v, %v after %d questions", verb, r, err, len(s.questions()))
		}
	}
	s, cl := run(t, die, die, answer([]api.Instance{{Name: "web"}}))
	if list, err := cl.Status(t.Context(), ""); err != nil || len(list) != 1 || len(s.questions()) != 3 {
		t.Errorf("status: %v, %v after %d questions", list, err, len(s.questions()))
	}
}

func TestNotAskedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(context.Context, *client.Client) (api.Result, error)
	}{
		{"signal", func(ctx context.Context, c *client.Client) (api.Result, error) {
			return c.Do(ctx, api.Command{Target: "web", Verb: api.Signal, Signal: "USR1"})
		}},
		{"run without a name", func(ctx context.Context, c *client.Client) (api.Result, error) {
			return c.Run(ctx, api.Run{Command: []string{"true"}})
		}},
	} {
		s, cl := run(t, die)
		_, err := c.ask(t.Context(), cl)
		var broken *client.Broken
		if !errors.As(err, &broken) || len(s.questions()) != 1 || !strings.Contains(err.Error(), "may have been done or not") {
			t.Errorf("%s: %v after %d questions", c.name, err, len(s.questions()))
		}
	}
}

// daemonOf answers GET services with list, and every restart by asking break.
func daemonOf(list []api.Instance, command http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			answer(list)(w, r)
			return
		}
		command(w, r)
	}
}

func TestRestartIsOneCommand(t *testing.T) {
	list := []api.Instance{{Name: "a", Service: "a", Number: 1, Generation: 3}, {Name: "b", Service: "b", Number: 1, Generation: 4}}
	s, cl := run(t, daemonOf(list, answer(api.Result{Instances: list})))
	r, err := cl.Do(t.Context(), api.Command{Target: "all", Verb: api.Restart})
	want := []string{"GET /v1/services?target=all", `POST /v1/services/all/restart {"target":"all","verb":"restart"}`}
	if err != nil || len(r.Instances) != 2 || !slices.Equal(s.questions(), want) {
		t.Errorf("%+v, %v; asked %q, want %q", r, err, s.questions(), want)
	}
}

// TestRestartRepeated: after a break each instance is asked for by itself, with the generation it had before.
func TestRestartRepeated(t *testing.T) {
	list := []api.Instance{
		{Name: "db", Service: "db", Number: 1, Generation: 0},
		{Name: "gone", Service: "gone", Number: 1, Generation: 9},
		{Name: "web", Service: "web", Number: 1, Generation: 3},
		{Name: "web.2", Service: "web", Number: 2, Generation: 5},
	}
	deaths := make(chan struct{}, 3) // this many requests die: the first command, and two of those after it
	for range cap(deaths) {
		deaths <- struct{}{}
	}
	s, cl := run(t, daemonOf(list, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-deaths:
			panic(http.ErrAbortHandler)
		default:
		}
		target := strings.Split(r.URL.Path, "/")[3]
		switch target {
		case "gone.1":
			refuse(404, api.Error{Code: "not-found", Message: "no"})(w, r)
		case "web.2":
			answer(api.Result{Instances: []api.Instance{{Name: target}}, Failures: []api.Failure{{Name: target}}})(w, r)
		default:
			answer(api.Result{Instances: []api.Instance{{Name: target}}})(w, r)
		}
	}))
	r, err := cl.Do(t.Context(), api.Command{Target: "*", Verb: api.Restart})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, in := range r.Instances {
		names = append(names, in.Name)
	}
	if !slices.Equal(names, []string{"db.1", "web.1", "web.2"}) || len(r.Failures) != 1 {
		t.Errorf("the result is %+v", r)
	}
	asked := s.questions()
	slices.Sort(asked)
	want := []string{
		`GET /v1/services?target=%2A`,
		`POST /v1/services/%2A/restart {"target":"*","verb":"restart"}`,
		`POST /v1/services/db.1/start {"target":"db.1","verb":"start"}`,
		`POST /v1/services/gone.1/restart {"target":"gone.1","verb":"restart","gen":9}`,
		`POST /v1/services/web.1/restart {"target":"web.1","verb":"restart","gen":3}`,
		`POST /v1/services/web.2/restart {"target":"web.2","verb":"restart","gen":5}`,
	}
	if len(asked) != len(want)+2 {
		t.Errorf("%d questions: %q", len(asked), asked)
	}
	if got := slices.Compact(asked); !slices.Equal(got, want) {
		t.Errorf("asked %q; want %q", got, want)
	}
}

func TestRunRepeated(t *testing.T) {
	conflict := refuse(409, api.Error{Code: "conflict", Message: "it is there already"})
	r := api.Run{Name: "job", Command: []string{"true"}}
	s, cl := run(t, die, die, conflict, answer(api.Result{Instances: []api.Instance{{Name: "job"}}}))
	got, err := cl.Run(t.Context(), r)
	asked := s.questions()
	if err != nil || len(got.Instances) != 1 || len(asked) != 4 || !strings.HasPrefix(asked[3], "POST /v1/services/job/start") {
		t.Errorf("%+v, %v; asked %q", got, err, asked)
	}
	_, cl = run(t, conflict)
	var refused *api.Error
	if _, err := cl.Run(t.Context(), r); !errors.As(err, &refused) || refused.Code != "conflict" {
		t.Errorf("a conflict at the first question: %v", err)
	}
}

func TestEventsResume(t *testing.T) {
	s, cl := run(t,
		lines(true, api.Event{Seq: 4}, api.Event{Seq: 5}),
		die,
		lines(true, api.Event{Seq: 6}),
		lines(false, api.Event{Seq: 1030}))
	var got []uint64
	err := cl.Events(t.Context(), 3, true, func(e api.Event) error { got = append(got, e.Seq); return nil })
	want := []string{"GET /v1/events?follow=1&since=3", "GET /v1/events?follow=1&since=5", "GET /v1/events?follow=1&since=5",
		"GET /v1/events?follow=1&since=6"}
	if err != nil || !slices.Equal(got, []uint64{4, 5, 6, 1030}) || !slices.Equal(s.questions(), want) {
		t.Errorf("events %v, %v; asked %q", got, err, s.questions())
	}
}

func TestStreamEnds(t *testing.T) {
	gone := errors.New("the terminal has gone")
	_, cl := run(t, lines(true, api.Event{Seq: 1}))
	if err := cl.Events(t.Context(), 0, true, func(api.Event) error { return gone }); err != gone {
		t.Errorf("an error of emit came back as %v", err)
	}
	_, cl = run(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"name":"web","text":"one"}`)
		fmt.Fprintln(w, `{"error":{"code":"not-found","message":"it has left"}}`)
	})
	n := 0
	err := cl.Logs(t.Context(), api.LogQuery{N: 10, Follow: true}, func(api.LogLine) error { n++; return nil })
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != "not-found" || n != 1 {
		t.Errorf("an error in the stream came back as %v after %d lines", err, n)
	}
	_, cl = run(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "garbage") })
	if err := cl.Logs(t.Context(), api.LogQuery{N: 10}, nil); err == nil || !strings.Contains(err.Error(), "same version") {
		t.Errorf("garbage in the stream came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, cl = run(t, func(w http.ResponseWriter, r *http.Request) {
		lines(false, api.Event{Seq: 1})(w, r)
		<-r.Context().Done()
	})
	if err := cl.Events(ctx, 0, true, func(api.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a stream whose context ended: %v", err)
	}
}

// TestLogsResume: after a break the stream is asked for what comes after the last line of each instance.
func TestLogsResume(t *testing.T) {
	base := time.Now().Add(time.Hour)
	line := func(name, text, pos string) api.LogLine {
		return api.LogLine{Name: name, Time: base, Text: text, Pos: pos}
	}
	old := api.LogLine{Name: "quiet", Time: time.Unix(1, 0), Text: "of last year", Pos: "9"}
	raw := func(text, pos string) api.LogLine { return api.LogLine{Name: "raw", Text: text, Pos: pos} }
	for _, c := range []struct {
		name          string
		q             api.LogQuery
		first, second []api.LogLine
		want          []string   // all texts
		again         url.Values // what the second question says
	}{
		{"positions", api.LogQuery{N: 7, Follow: true},
			[]api.LogLine{line("a", "1", "1"), line("a", "2", "2"), line("b", "b", "1")},
			[]api.LogLine{line("a", "3", "3"), line("b", "b", "2")},
			[]string{"1", "2", "b", "3", "b"}, url.Values{"n": {"1000"}, "after": {"a:2", "b:1"}}},
		{"older than the stream", api.LogQuery{N: 7, Follow: true}, []api.LogLine{line("a", "1", "1")},
			[]api.LogLine{old, line("a", "2", "2")}, []string{"1", "2"}, url.Values{"n": {"1000"}, "after": {"a:1"}}},
		{"all of it", api.LogQuery{N: -1, Follow: true}, []api.LogLine{line("a", "1", "1")},
			[]api.LogLine{old, line("a", "2", "2")}, []string{"1", "of last year", "2"}, url.Values{"n": {"-1"}, "after": {"a:1"}}},
		{"without time", api.LogQuery{N: 7, Follow: true}, []api.LogLine{raw("1", "5")}, []api.LogLine{raw("1", "6")},
			[]string{"1", "1"}, url.Values{"n": {"1000"}, "after": {"raw:5"}}},
		{"lines of stay's own", api.LogQuery{N: 7, Follow: true}, []api.LogLine{line("a", "1", "1"), line("a", "missing", "")},
			[]api.LogLine{line("a", "2", "2")}, []string{"1", "missing", "2"}, url.Values{"n": {"1000"}, "after": {"a:1"}}},
		{"not following", api.LogQuery{N: 7, Grep: "x|y", Since: time.Unix(5, 0).UTC()}, []api.LogLine{raw("x", "5")}, []api.LogLine{old, raw("y", "6")},
			[]string{"x", "of last year", "y"}, url.Values{"n": {"7"}, "after": {"raw:5"}, "grep": {"x|y"}, "since": {"1970-01-01T00:00:05Z"}}},
		{"a position to begin with", api.LogQuery{After: map[string]string{"a": "4"}}, nil, []api.LogLine{line("a", "5", "5")},
			[]string{"5"}, url.Values{"n": {"0"}, "after": {"a:4"}}},
	} {
		c.q.Targets = []string{"t"}
		s, cl := run(t, lines(true, c.first...), lines(false, c.second...))
		var got []string
		err := cl.Logs(t.Context(), c.q, func(l api.LogLine) error { got = append(got, l.Text); return nil })
		asked := s.questions()
		if err != nil || !slices.Equal(got, c.want) || len(asked) != 2 {
			t.Fatalf("%s: %q, %v; want %q; asked %q", c.name, got, err, c.want, asked)
		}
		_, text, _ := strings.Cut(strings.Fields(asked[1])[1], "?")
		again, err := url.ParseQuery(text)
		slices.Sort(again["after"])
		c.again["name"], c.again["follow"] = []string{"t"}, []string{"0"}
		if c.q.Follow {
			c.again.Set("follow", "1")
		}
		if err != nil || !maps.EqualFunc(again, c.again, slices.Equal) {
			t.Errorf("%s: asked again for %v, want %v", c.name, again, c.again)
		}
		if len(c.q.After) > 1 || c.q.After["a"] != "" && c.q.After["a"] != "4" {
			t.Errorf("%s: the caller's positions became %v", c.name, c.q.After)
		}
	}
}

// TestWireNames: what Do sends is what package api says.
func TestWireNames(t *testing.T) {
	cmd := api.Command{Target: "w", Verb: api.Wait, For: "ready", NoWait: true, Gen: 2, Signal: "HUP"}
	s, cl := run(t, answer(api.Result{}))
	if _, err := cl.Do(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(strings.TrimPrefix(s.questions()[0], "POST "), " ")
	var got api.Command
	if err := json.Unmarshal([]byte(body), &got); err != nil || got != cmd {
		t.Errorf("%s is not %+v", body, cmd)
	}
}

// TestStopOfWhatIsForgotten: a transient service is forgotten when it is stopped, so the repeated stop does not find it. A
// stop that was not repeated has to say that there is nothing of that name.
func TestStopOfWhatIsForgotten(t *testing.T) {
	unknown := refuse(404, api.Error{Code: "not-found", Message: "no"})
	for _, c := range []struct {
		name  string
		verb  api.Verb
		steps []http.HandlerFunc
		ok    bool
	}{
		{"repeated", api.Stop, []http.HandlerFunc{die, unknown}, true},
		{"not repeated", api.Stop, []http.HandlerFunc{unknown}, false},
		{"start", api.Start, []http.HandlerFunc{die, unknown}, false},
	} {
		_, cl := run(t, c.steps...)
		if _, err := cl.Do(t.Context(), api.Command{Target: "job", Verb: c.verb}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
