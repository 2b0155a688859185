package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/stay/api"
)

func TestRoutes(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for _, c := range []struct {
		method, path, body string
		status             int
		asked              string // what reached the engine
		answer             string // a part of the answer
	}{
		{"GET", "/v1/version", "", 200, `version`, `"version":"test"`},
		{"GET", "/v1/services", "", 200, `status ""`, `[]`},
		{"GET", "/v1/services?target=web%2A", "", 200, `status "web*"`, `[]`},
		{"GET", "/v1/services/web", "", 200, `show "web"`, `"name":"web"`},
		{"GET", "/v1/services/nix", "", 404, `show "nix"`, `{"error":{"code":"not-found","message":"there is no service \"nix\"","hint":"stay status"}}`},
		{"POST", "/v1/services/web/start", "", 200, `do {Target:web Verb:start Signal: For: NoWait:false Gen:0 Instances:0}`, `"name":"web"`},
		{"POST", "/v1/services/web%2A/stop?wait=0", "", 200, `do {Target:web* Verb:stop Signal: For: NoWait:true Gen:0 Instances:0}`, ``},
		{"POST", "/v1/services/%3F/restart?gen=7", "", 200, `do {Target:? Verb:restart Signal: For: NoWait:false Gen:7 Instances:0}`, ``},
		{"POST", "/v1/services/web.2/signal?signal=HUP", "", 200, `do {Target:web.2 Verb:signal Signal:HUP For: NoWait:false Gen:0 Instances:0}`, ``},
		{"POST", "/v1/services/all/wait?for=ready", "", 200, `do {Target:all Verb:wait Signal: For:ready NoWait:false Gen:0 Instances:0}`, ``},
		{"POST", "/v1/services/a/reset", `{"target":"a","verb":"reset"}`, 200, `do {Target:a Verb:reset Signal: For: NoWait:false Gen:0 Instances:0}`, ``},
		{"POST", "/v1/services/a/stop", `{"no_wait":true,"gen":3}`, 200, `do {Target:a Verb:stop Signal: For: NoWait:true Gen:3 Instances:0}`, ``},
		{"POST", "/v1/services/a/stop?wait=1&gen=4", `{"no_wait":true,"gen":3}`, 200, `do {Target:a Verb:stop Signal: For: NoWait:false Gen:4 Instances:0}`, ``},
		{"POST", "/v1/services/a/scale", `{"instances":4}`, 200, `do {Target:a Verb:scale Signal: For: NoWait:false Gen:0 Instances:4}`, ``},
		{"POST", "/v1/run", `{"command":["sleep","1"],"directory":"/x"}`, 200, `run ["sleep" "1"] in "/x"`, `"instances"`},
		{"GET", "/v1/plan", "", 200, `plan`, `[]`},
		{"POST", "/v1/rotate?name=a&name=b", "", 200, `rotate ["a" "b"]`, `{}`},
		{"POST", "/v1/upgrade", `{"path":"/x/stayd"}`, 200, `upgrade /x/stayd`, `"id":"7"`},
		{"POST", "/v1/apply", "", 200, `apply`, `[]`},
		{"POST", "/v1/shutdown", "", 200, `shutdown false`, `{}`},
		{"POST", "/v1/shutdown?now=1", "", 200, `shutdown true`, `{}`},
		{"GET", "/v1/events", "", 200, `events 0 false`, ``},
		{"GET", "/v1/events?since=9&follow=1", "", 200, `events 9 true`, ``},
		{"GET", "/v1/events?since=2026-01-02T03:04:05%2B01:00&target=web*&kind=exit&kind=hang", "", 200,
			`events 0 false from 2026-01-02T02:04:05Z of web* kinds ["exit" "hang"]`, ``},
		{"GET", "/v1/logs", "", 200, `logs [] 10 false`, ``},
		{"GET", "/v1/logs?name=a&name=b&n=-1&follow=1", "", 200, `logs ["a" "b"] -1 true`, ``},
		{"GET", "/v1/pulses", "", 200, `pulses ""`, `[]`},
		{"GET", "/v1/pulses?target=web.2", "", 200, `pulses "web.2"`, `[]`},
		{"GET", "/v1/incidents", "", 200, `incidents "" 0001-01-01T00:00:00Z 0`, `[]`},
		{"GET", "/v1/incidents?target=db&since=2026-01-02T03:04:05%2B01:00&n=7", "", 200, `incidents "db" 2026-01-02T02:04:05Z 7`, `[]`},
		{"GET", "/v1/incidents?target=web", "", 200, `incidents "web" 0001-01-01T00:00:00Z 0`, `"load":"heavy"`},
		{"GET", "/v1/incidents/20260102T030405.000006Z_web.2_7", "", 200, `incident "20260102T030405.000006Z_web.2_7"`, `"id":"2026`},
		{"GET", "/v1/incidents/..%2Fx", "", 200, `incident "../x"`, ``},
		{"GET", "/v1/incidents/nix", "", 404, `incident "nix"`, `there is no incident`},
		{"POST", "/v1/services/web.2/mute", "", 200, `do {Target:web.2 Verb:mute Signal: For: NoWait:false Gen:0 Instances:0}`, ``},
		{"GET", "/v1/logs?n=2&since=1970-01-01T00:00:05Z&until=1970-01-01T00:00:09Z&grep=a.b&after=web.2:1-2", "", 200,
			`logs [] 2 false 5 to 9 "a.b" map[web.2:1-2]`, ``},
		{"GET", "/v1/logs/web.2?n=3", "", 200, `logs ["web.2"] 3 false`, ``},
	} {
		status, answer := s.ask(t, c.method, c.path, c.body)
		if status != c.status || f.last() != c.asked || !strings.Contains(answer, c.answer) {
			t.Errorf("%s %s %s: %d, engine was asked %s, answer %s; want %d, %s, %s", c.method, c.path, c.body,
				status, f.last(), answer, c.status, c.asked, c.answer)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for _, c := range []struct {
		method, path, body string
		status             int
		message            string
	}{
		{"GET", "/", "", 404, `there is no \"/\"`},
		{"GET", "/v1/nix", "", 404, `stay version`},
		{"POST", "/v1/services/a/fly", "", 400, `there is no command \"fly\"`},
		{"DELETE", "/v1/services/a", "", 405, `not GET`},
		{"GET", "/v1/run", "", 405, `not POST`},
		{"POST", "/v1/services/a/stop", `{"target":"b"}`, 400, `the body`},
		{"POST", "/v1/services/a/stop", `{"nix":1}`, 400, `unknown field \"nix\"`},
		{"POST", "/v1/services/a/stop", `{} {}`, 400, `more than one`},
		{"POST", "/v1/services/a/stop", `[`, 400, `body`},
		{"POST", "/v1/services/a/stop?gen=x", "", 400, `gen=x`},
		{"POST", "/v1/services/a/stop?wait=perhaps", "", 400, `wait=perhaps`},
		{"POST", "/v1/services/a/stop?wiat=0", "", 400, `unknown parameter \"wiat\"`},
		{"POST", "/v1/services/a/stop?%zz", "", 400, `query`},
		{"POST", "/v1/run", `{}`, 400, `a run needs a command`},
		{"POST", "/v1/run", `{"command":["` + strings.Repeat("x", maxBody) + `"]}`, 400, `larger than 65536`},
		{"POST", "/v1/upgrade", `{}`, 400, `an upgrade needs the path`},
		{"POST", "/v1/apply", `{}`, 400, `takes no body`},
		{"POST", "/v1/shutdown", `x`, 400, `takes no body`},
		{"POST", "/v1/shutdown?now=now", ``, 400, `now=now`},
		{"GET", "/v1/events?since=-1", "", 400, `since=-1`},
		{"GET", "/v1/events?since=2026-01-02", "", 400, `say a time`},
		{"GET", "/v1/events?follow=2", "", 400, `follow=2`},
		{"GET", "/v1/incidents?n=-1", "", 400, `n=-1`},
		{"GET", "/v1/incidents?n=x", "", 400, `n=x`},
		{"GET", "/v1/incidents?since=yesterday", "", 400, `since=yesterday`},
		{"GET", "/v1/incidents?brief=very", "", 400, `brief=very`},
		{"GET", "/v1/pulses?n=1", "", 400, `unknown parameter`},
		{"GET", "/v1/logs?n=many", "", 400, `n=many`},
		{"GET", "/v1/logs?follow=x", "", 400, `follow=x`},
		{"GET", "/v1/logs?since=noon", "", 400, `since=noon`},
		{"GET", "/v1/logs?until=noon", "", 400, `until=noon`},
		{"GET", "/v1/logs?after=web", "", 400, `after=web`},
	} {
		status, answer := s.ask(t, c.method, c.path, c.body)
		var e errorBody
		if err := json.Unmarshal([]byte(answer), &e); err != nil || e.Error == nil {
			t.Errorf("%s %s: the answer is %s, no error", c.method, c.path, answer)
			continue
		}
		if status != c.status || !strings.Contains(answer, c.message) {
			t.Errorf("%s %s %.40s: %d %s; want %d with %s", c.method, c.path, c.body, status, answer, c.status, c.message)
		}
	}
	if f.last() != "" {
		t.Errorf("the engine was asked %s", f.last())
	}
}

// TestBriefIncidents: what is long is left out, and only when asked.
func TestBriefIncidents(t *testing.T) {
	s := serve(t, &fake{})
	for _, c := range []struct {
		path string
		long bool
	}{{"/v1/incidents?target=web", true}, {"/v1/incidents?target=web&brief=0", true}, {"/v1/incidents?target=web&brief=1", false}} {
		_, answer := s.ask(t, "GET", c.path, "")
		for _, part := range []string{"a line", "heavy", "a slot"} {
			if strings.Contains(answer, part) != c.long {
				t.Errorf("%s: the answer is %s", c.path, answer)
			}
		}
		if !strings.Contains(answer, `"kind":"pulse"`) {
			t.Errorf("%s: without its verdict: %s", c.path, answer)
		}
	}
}

func TestStatusOfCodes(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&api.Error{Code: "conflict", Message: "x"}, 409, "conflict"},
		{&api.Error{Code: "refused", Message: "x"}, 422, "refused"},
		{&api.Error{Code: "going-down", Message: "x"}, 503, "going-down"},
		{&api.Error{Code: "forbidden", Message: "x"}, 403, "forbidden"},
		{&api.Error{Code: "of another version", Message: "x"}, 500, "of another version"},
		{errors.New("x"), 500, "internal"},
	} {
		f := &fake{status: func(context.Context, string) ([]api.Instance, error) { return nil, c.err }}
		status, answer := serve(t, f).ask(t, "GET", "/v1/services", "")
		var e errorBody
		if err := json.Unmarshal([]byte(answer), &e); err != nil || status != c.status || e.Error.Code != c.code {
			t.Errorf("%v: %d %s; want %d, code %s", c.err, status, answer, c.status, c.code)
		}
	}
}

// TestRouteTable holds the table against itself: paths of this version, parameters named once, no row twice.
func TestRouteTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range routes {
		key := r.method + " " + r.path
		if seen[key] || !strings.HasPrefix(r.path, "/v1/") || r.handle == nil || r.method != http.MethodGet && r.method != http.MethodPost {
			t.Errorf("row %s is wrong", key)
		}
		seen[key] = true
		if r.access == anyone && r.path != "/v1/version" {
			t.Errorf("%s is open to anyone", key)
		}
		for i, p := range r.query {
			if slices.Contains(r.query[:i], p) {
				t.Errorf("%s: parameter %q twice", key, p)
			}
		}
	}
}
