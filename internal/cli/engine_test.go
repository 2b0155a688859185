package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/journal"
)

// A fakeEngine is a daemon's engine that does what commands say at once, notes what it was asked, and lets tests say what
// happens. Its functions, where set, answer instead.
type fakeEngine struct {
	mu      sync.Mutex
	changed chan struct{} // closed at each change, and replaced
	list    []api.Instance
	events  []api.Event
	logs    []api.LogLine
	asked   []string
	daemon  api.Daemon

	pulses    []api.PulseSlot
	incidents []api.Incident // oldest first

	do       func(context.Context, api.Command) (api.Result, error)
	status   func(context.Context, string) ([]api.Instance, error)
	run      func(context.Context, api.Run) (api.Result, error)
	apply    func() ([]api.Change, error)
	upgrade  func(path string) (api.Upgrade, error)
	shutdown func(ctx context.Context, now bool) error // nil: all is stopped at once
	onDown   func()                                    // after an answer to shutdown without an error
}

// instance is a row for tests.
func instance(name string, state api.State, pid int) api.Instance {
	service, number, found := strings.Cut(name, ".")
	in := api.Instance{Name: name, Service: service, Number: 1, State: state, Pid: pid, Generation: 1}
	if found {
		fmt.Sscan(number, &in.Number)
	}
	return in
}

func newEngine(list ...api.Instance) *fakeEngine {
	return &fakeEngine{changed: make(chan struct{}), list: list,
		daemon: api.Daemon{Version: "fake", EnginePid: 2, Engines: 1, Started: time.Now().Add(-time.Minute), Mode: "running"}}
}

// change does something under the lock, and wakes who follows.
func (e *fakeEngine) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

// set gives an instance another state, with an event.
func (e *fakeEngine) set(name string, to api.State, why string) {
	e.change(func() { e.move(name, to, why) })
}

func (e *fakeEngine) move(name string, to api.State, why string) {
	for i := range e.list {
		in := &e.list[i]
		if in.Name != name {
			continue
		}
		e.events = append(e.events, api.Event{Seq: uint64(len(e.events) + 1), Time: time.Now(), Kind: "state", Name: name,
			From: in.State, To: to, Message: why})
		in.State, in.Why = to, why
		if to != api.Running {
			in.Pid = 0
		}
	}
}

// write has an instance write a line.
func (e *fakeEngine) write(name, text string) {
	e.change(func() { e.logs = append(e.logs, api.LogLine{Name: name, Time: time.Now(), Text: text}) })
}

func (e *fakeEngine) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, fmt.Sprintf(format, args...))
}

// questions are what the engine was asked, without the questions for the status, sorted where several came at once.
func (e *fakeEngine) questions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func (e *fakeEngine) match(target string) []api.Instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.matching(target)
}

// matching is match for those who hold the lock.
func (e *fakeEngine) matching(target string) []api.Instance {
	var list []api.Instance
	for _, in := range e.list {
		byName, _ := path.Match(target, in.Name)
		byService, _ := path.Match(target, in.Service)
		if target == "" || target == "all" || byName || byService || target == in.Name+".1" && in.Number == 1 {
			list = append(list, in)
		}
	}
	return list
}

func (e *fakeEngine) find(target string) ([]api.Instance, error) {
	list := e.match(target)
	if len(list) == 0 && target != "" && target != "all" && !strings.ContainsAny(target, "*?[") {
		return nil, &api.Error{Code: "not-found", Message: fmt.Sprintf("there is no service %q", target), Hint: "stay status"}
	}
	return list, nil
}

func (e *fakeEngine) Status(ctx context.Context, target string) ([]api.Instance, error) {
	if e.status != nil {
		return e.status(ctx, target)
	}
	return e.find(target)
}

func (e *fakeEngine) Show(_ context.Context, service string) (api.Service, error) {
	list, err := e.find(service)
	return api.Service{Name: service, Instances: list, Settings: map[string]any{
		"command": []string{"sh", "-c", "a && b"}, "instances": 2, "env": map[string]any{"PASSWORD": "(hidden)"},
		"restart": map[string]any{"when": "always", "factor": 2.5}, "enabled": true,
		"check": []any{map[string]any{"exec": []string{"true", "<&>"}, "every": "10s", "failures": 3}, map[string]any{"tcp": "db:1"}},
	}}, err
}

func (e *fakeEngine) Do(ctx context.Context, c api.Command) (api.Result, error) {
	e.note("%s %s", c.Verb, strings.TrimSpace(fmt.Sprintf("%s %s%s%s", c.Target, c.For, c.Signal, map[bool]string{true: "no-wait"}[c.NoWait])))
	if e.do != nil {
		return e.do(ctx, c)
	}
	list, err := e.find(c.Target)
	if err != nil {
		return api.Result{}, err
	}
	for _, in := range list {
		switch c.Verb {
		case api.Start, api.Restart:
			e.set(in.Name, api.Running, "")
		case api.Stop:
			e.set(in.Name, api.Stopped, "")
		}
	}
	return api.Result{Instances: e.match(c.Target)}, nil
}

func (e *fakeEngine) Run(ctx context.Context, r api.Run) (api.Result, error) {
	e.note("run %+v", r)
	if e.run != nil {
		return e.run(ctx, r)
	}
	name := r.Name
	if name == "" {
		name = path.Base(r.Command[0])
	}
	e.change(func() {
		e.list = append(e.list, instance(name, api.Stopped, 0))
		e.move(name, api.Starting, "")
		e.move(name, api.Running, "")
	})
	return api.Result{Instances: e.match(name)}, nil
}

func (e *fakeEngine) Upgrade(_ context.Context, path string) (api.Upgrade, error) {
	e.note("upgrade %s", path)
	u := api.Upgrade{ID: "7", From: "1", To: "2"}
	if e.upgrade != nil {
		return e.upgrade(path)
	}
	return u, nil
}

func (e *fakeEngine) Plan(context.Context) ([]api.Change, error) {
	e.note("plan")
	if e.apply != nil {
		return e.apply()
	}
	return nil, nil
}

func (e *fakeEngine) Apply(context.Context) ([]api.Change, error) {
	e.note("apply")
	if e.apply != nil {
		return e.apply()
	}
	return nil, nil
}

// follow calls emit for each index of a list that grows, beginning with from.
func (e *fakeEngine) follow(ctx context.Context, from int, follow bool, size func() int, emit func(i int) error) error {
	for i := from; ; {
		e.mu.Lock()
		n, changed := size(), e.changed
		e.mu.Unlock()
		for ; i < n; i++ {
			if err := emit(i); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *fakeEngine) Events(ctx context.Context, f api.EventFilter, emit func(api.Event) error) error {
	filter, err := journal.NewFilter(f)
	if err != nil {
		return err
	}
	return e.follow(ctx, int(f.Since), f.Follow, func() int { return len(e.events) }, func(i int) error {
		e.mu.Lock()
		ev := e.events[i]
		e.mu.Unlock()
		if !filter.Match(ev) {
			return nil
		}
		return emit(ev)
	})
}

func (e *fakeEngine) Logs(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error) error {
	text := fmt.Sprintf("logs %q %d %t", q.Targets, q.N, q.Follow)
	if !q.Since.IsZero() || !q.Until.IsZero() || q.Grep != "" {
		text += fmt.Sprintf(" %d to %d %q", q.Since.Unix(), q.Until.Unix(), q.Grep)
	}
	e.note("%s", text)
	targets := q.Targets
	return e.follow(ctx, 0, q.Follow, func() int { return len(e.logs) }, func(i int) error {
		e.mu.Lock()
		l := e.logs[i]
		e.mu.Unlock()
		if len(targets) > 0 && !slices.ContainsFunc(targets, func(t string) bool { ok, _ := path.Match(t, l.Name); return ok }) {
			return nil
		}
		return emit(l)
	})
}

func (e *fakeEngine) Rotate(_ context.Context, targets []string) error {
	e.note("rotate %q", targets)
	return nil
}

func (e *fakeEngine) Pulses(_ context.Context, target string) ([]api.PulseSlot, error) {
	e.note("pulses %q", target)
	if _, err := e.find(target); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []api.PulseSlot
	for _, s := range e.pulses {
		service, _, _ := strings.Cut(s.Name, ".")
		if target == "" || target == s.Name || target == service || target == s.Name+".1" {
			list = append(list, s)
		}
	}
	return list, nil
}

func (e *fakeEngine) Incidents(_ context.Context, target string, since time.Time, n int) ([]api.Incident, error) {
	e.note("incidents %q %d", target, n)
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []api.Incident
	for _, a := range slices.Backward(e.incidents) {
		byName, _ := path.Match(target, a.Name)
		byService, _ := path.Match(target, a.Service)
		if target != "" && !byName && !byService || a.Time.Before(since) {
			continue
		}
		if list = append(list, a); len(list) == n {
			break
		}
	}
	if len(list) == 0 && len(e.matching(target)) == 0 && target != "" && target != "all" {
		return nil, &api.Error{Code: "not-found", Message: fmt.Sprintf("there is no service %q", target), Hint: "stay status"}
	}
	return list, nil
}

func (e *fakeEngine) Incident(_ context.Context, id string) (*api.Incident, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.incidents {
		if a.ID == id {
			return &a, nil
		}
	}
	return nil, &api.Error{Code: "not-found", Message: fmt.Sprintf("there is no incident %q", id), Hint: "stay history"}
}

func (e *fakeEngine) Shutdown(ctx context.Context, now bool) error {
	e.note("shutdown %t", now)
	if e.shutdown != nil {
		if err := e.shutdown(ctx, now); err != nil {
			return err
		}
	}
	for _, in := range e.match("") {
		if in.State != api.Stopped {
			e.set(in.Name, api.Stopped, "")
		}
	}
	if e.onDown != nil {
		e.onDown()
	}
	return nil
}

func (e *fakeEngine) Version(context.Context) (api.Daemon, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.daemon
	d.Event = uint64(len(e.events))
	return d, nil
}
