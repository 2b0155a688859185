package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// A daemon is one of which the instances do what a test says when they are broken. Its clock is a counter.
type daemon struct {
	mu        sync.Mutex
	changed   chan struct{}
	list      []api.Instance
	pulses    []api.PulseSlot
	events    []api.Event
	incidents []api.Incident
	asked     []string
	mono      int64

	broken func(d *daemon, in *api.Instance, c api.Command) // called under the lock
	refuse error                                            // what a signal is refused with
	wait   func(ctx context.Context) (api.Result, error)    // nil: ready at once
}

func newDaemon(names ...string) *daemon {
	d := &daemon{changed: make(chan struct{}), mono: 1_000_000_000, broken: comesBack}
	for i, name := range names {
		d.list = append(d.list, api.Instance{Name: name, Service: "web", Number: i + 1, State: api.Running, Pid: 100 + i, Generation: 7})
		d.pulses = append(d.pulses, api.PulseSlot{Name: name, State: "busy", LimitMS: 200})
	}
	return d
}

// tell makes an event ms milliseconds after the one before.
func (d *daemon) tell(ms float64, e api.Event) {
	d.mono += int64(ms * 1e6)
	e.Seq, e.MonoNS = uint64(len(d.events)+1), d.mono
	d.events = append(d.events, e)
	close(d.changed)
	d.changed = make(chan struct{})
}

// comesBack is an instance as it should be: found in 0.5 ms, back in 2 ms.
func comesBack(d *daemon, in *api.Instance, c api.Command) {
	old := in.Generation
	switch c.Signal {
	case "CONT":
		return
	case "KILL":
		d.tell(0.5, api.Event{Kind: "exit", Name: in.Name, Generation: old})
	default:
		d.tell(1, api.Event{Kind: "held", Name: in.Name, Generation: old, Message: "starved"})
		d.tell(202, api.Event{Kind: "hang", Name: in.Name, Generation: old})
		d.incidents = append(d.incidents, api.Incident{Name: in.Name, Generation: old, Cause: api.CauseHang,
			Verdict: &api.Verdict{Kind: "pulse", SilentMS: 203.5, LimitMS: 200, FoundNS: d.mono, HeldMS: 1}})
	}
	d.tell(0.5, api.Event{Kind: "state", Name: in.Name, From: api.Running, To: api.Starting, Generation: old + 1})
	in.Generation++
	d.tell(1, api.Event{Kind: "state", Name: "other", To: api.Running, Generation: 99})
	d.tell(0.5, api.Event{Kind: "state", Name: in.Name, From: api.Starting, To: api.Running, Generation: old + 1})
}

func (d *daemon) find(target string) []api.Instance {
	var list []api.Instance
	for _, in := range d.list {
		if target == in.Service || target == in.Name && in.Number > 1 || target == fmt.Sprintf("%s.%d", in.Service, in.Number) {
			list = append(list, in)
		}
	}
	return list
}

func (d *daemon) Status(ctx context.Context, target string) ([]api.Instance, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(target), ctx.Err()
}

func (d *daemon) Pulses(ctx context.Context, target string) ([]api.PulseSlot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []api.PulseSlot
	for _, in := range d.find(target) {
		for _, s := range d.pulses {
			if s.Name == in.Name {
				list = append(list, s)
			}
		}
	}
	return list, ctx.Err()
}

func (d *daemon) Do(ctx context.Context, c api.Command) (api.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, strings.TrimSpace(fmt.Sprintf("%s %s%s %s", c.Verb, c.Signal, c.For, c.Target)))
	if ctx.Err() != nil {
		return api.Result{}, ctx.Err()
	}
	if c.Verb == api.Wait && d.wait != nil {
		return d.wait(ctx)
	}
	if d.refuse != nil && c.Verb == api.Signal {
		return api.Result{}, d.refuse
	}
	for i := range d.list {
		in := &d.list[i]
		if list := d.find(c.Target); len(list) == 1 && list[0].Name == in.Name && (c.Verb == api.Signal || c.Verb == api.Mute) {
			d.tell(10, api.Event{Kind: "command", Message: strings.TrimSpace(string(c.Verb)+" "+c.Signal) + " " + c.Target})
			d.broken(d, in, c)
		}
	}
	return api.Result{}, nil
}

func (d *daemon) LastEvent(context.Context) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return uint64(len(d.events)), nil
}

func (d *daemon) Events(ctx context.Context, since uint64, follow bool, emit func(api.Event) error) error {
	for i := int(since); ; {
		d.mu.Lock()
		list, changed := d.events, d.changed
		d.mu.Unlock()
		for ; i < len(list); i++ {
			if err := emit(list[i]); err != nil {
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

func (d *daemon) Incidents(context.Context, client.IncidentFilter) ([]api.Incident, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.incidents), nil
}

// run makes a drill and returns its rounds.
func run(t *testing.T, d *daemon, o Options) ([]Round, error) {
	t.Helper()
	var rounds []Round
	if o.Target == "" {
		o.Target = "web"
	}
	if o.Times == 0 {
		o.Times = 1
	}
	o.Pause = time.Millisecond
	err := Run(t.Context(), d, o, func(r Round) { rounds = append(rounds, r) })
	return rounds, err
}

const ms = time.Millisecond

func TestRounds(t *testing.T) {
	d := newDaemon("web", "web.2")
	rounds, err := run(t, d, Options{Kinds: []Kind{Kill, Hang, Mute}, Times: 2})
	want := []Round{
		{1, Kill, "web", ms / 2, 5 * ms / 2, 0, "", ""}, {2, Kill, "web.2", ms / 2, 5 * ms / 2, 0, "", ""},
		{3, Hang, "web", 7 * ms / 2, 2 * ms, ms, "starved", ""}, {4, Hang, "web.2", 7 * ms / 2, 2 * ms, ms, "starved", ""},
		{5, Mute, "web", 7 * ms / 2, 2 * ms, ms, "starved", ""}, {6, Mute, "web.2", 7 * ms / 2, 2 * ms, ms, "starved", ""},
	}
	if err != nil || !slices.Equal(rounds, want) {
		t.Errorf("%v\n%+v, want\n%+v", err, rounds, want)
	}
	asked := []string{"reset  web.1", "wait ready web.1", "signal KILL web.1", "reset  web.2", "wait ready web.2", "signal KILL web.2",
		"reset  web.1", "wait ready web.1", "signal STOP web.1", "reset  web.2", "wait ready web.2", "signal STOP web.2",
		"reset  web.1", "wait ready web.1", "mute  web.1", "reset  web.2", "wait ready web.2", "mute  web.2"}
	if !slices.Equal(d.asked, asked) {
		t.Errorf("it asked %q", d.asked)
	}
}

// TestOneInstance: an instance that is named is the only one that is touched.
func TestOneInstance(t *testing.T) {
	d := newDaemon("web", "web.2")
	rounds, err := run(t, d, Options{Target: "web.2", Kinds: []Kind{Kill}, Times: 3})
	if err != nil || len(rounds) != 3 || rounds[2].Instance != "web.2" || d.list[0].Generation != 7 || d.list[1].Generation != 10 {
		t.Errorf("%v %+v %+v", err, rounds, d.list)
	}
}

// TestBadRounds: what went wrong is told, the drill goes on, and nothing stays stopped.
func TestBadRounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		broken func(d *daemon, in *api.Instance, c api.Command)
		want   string
	}{
		{"nobody notices", Hang, func(*daemon, *api.Instance, api.Command) {}, "nobody noticed in time: it hangs"},
		{"killed, and nobody notices", Kill, func(*daemon, *api.Instance, api.Command) {}, "nobody noticed in time: it hangs"},
		{"found, but not back", Hang, func(d *daemon, in *api.Instance, c api.Command) {
			if c.Signal == "STOP" {
				d.tell(1, api.Event{Kind: "hang", Name: in.Name, Generation: 7})
			}
		}, "it did not come back in time: it hangs"},
		{"given up", Kill, func(d *daemon, in *api.Instance, c api.Command) {
			d.tell(1, api.Event{Kind: "exit", Name: in.Name, Generation: 7})
			d.tell(1, api.Event{Kind: "state", Name: in.Name, To: api.Failed, Generation: 7, Message: "given up after 3 deaths"})
		}, "it did not come back: failed, given up after 3 deaths"},
		{"done", Kill, func(d *daemon, in *api.Instance, c api.Command) {
			d.tell(1, api.Event{Kind: "state", Name: in.Name, To: api.Done, Generation: 7})
		}, "it did not come back: done"},
		{"ready again in the same generation is not back", Mute, func(d *daemon, in *api.Instance, c api.Command) {
			d.tell(1, api.Event{Kind: "state", Name: in.Name, To: api.Running, Generation: 7})
		}, "nobody noticed in time: it hangs"},
	} {
		d := newDaemon("web")
		d.list[0].Why, d.broken = "it hangs", c.broken
		rounds, err := run(t, d, Options{Kinds: []Kind{c.kind}, Times: 2, Timeout: 20 * ms})
		if err != nil || len(rounds) != 2 || rounds[0].Problem != c.want || rounds[1].Problem != c.want {
			t.Errorf("%s: %v %+v, want %q", c.name, err, rounds, c.want)
		}
		if last := d.asked[len(d.asked)-1]; (last == "signal CONT web.1") != (c.kind == Hang) {
			t.Errorf("%s: the last command was %q", c.name, last)
		}
	}
}

// TestNotReady: what is not ready is not broken.
func TestNotReady(t *testing.T) {
	d := newDaemon("web")
	d.wait = func(ctx context.Context) (api.Result, error) { return api.Result{}, context.DeadlineExceeded }
	rounds, err := run(t, d, Options{Kinds: []Kind{Kill}})
	if err != nil || len(rounds) != 1 || rounds[0].Problem != "it was not ready in time: nothing was broken" {
		t.Errorf("too late: %v %+v", err, rounds)
	}
	d.wait = func(context.Context) (api.Result, error) {
		return api.Result{Failures: []api.Failure{{Name: "web", Message: "exit code 1"}}}, nil
	}
	rounds, err = run(t, d, Options{Kinds: []Kind{Hang}})
	if err != nil || len(rounds) != 1 || rounds[0].Problem != "exit code 1: nothing was broken" {
		t.Errorf("failed: %v %+v", err, rounds)
	}
	d.wait, d.list[0].Pid = nil, 0
	rounds, err = run(t, d, Options{Kinds: []Kind{Kill}})
	if err != nil || len(rounds) != 1 || rounds[0].Problem != "it is not running: nothing was broken" {
		t.Errorf("without a process: %v %+v", err, rounds)
	}
	for _, line := range d.asked {
		if strings.HasPrefix(line, "signal") {
			t.Errorf("it asked %q", line)
		}
	}
}

// TestEndedByItself: what ended right before the signal was not broken, and its return is no time to measure.
func TestEndedByItself(t *testing.T) {
	d := newDaemon("web")
	d.refuse = &api.Error{Code: "conflict", Message: "nothing to signal: no process is running"}
	rounds, err := run(t, d, Options{Kinds: []Kind{Kill}, Times: 2})
	if err != nil || len(rounds) != 2 || rounds[1].Problem != "it ended by itself right before: nothing was broken" || rounds[1].Back != 0 {
		t.Errorf("%v %+v", err, rounds)
	}
	d.refuse = &api.Error{Code: "denied", Message: "not yours"}
	if _, err = run(t, d, Options{Kinds: []Kind{Kill}}); !errors.Is(err, d.refuse) {
		t.Errorf("another refusal ends the drill, not %v", err)
	}
}

// TestNoSign: an instance that nothing could find hanging is not made to hang.
func TestNoSign(t *testing.T) {
	d := newDaemon("web")
	for _, pulses := range [][]api.PulseSlot{nil, {{Name: "web", State: "paused"}}} {
		d.pulses = pulses
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		r := round{daemon: d, o: Options{Pause: ms}, kind: Hang, in: d.list[0]}
		err := r.awaitSign(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: %v", pulses, err)
		}
	}
	d.pulses = []api.PulseSlot{{Name: "web", State: "ok", LimitMS: 500}, {Name: "web", State: "paused", LimitMS: 9000}, {Name: "web", State: "idle", LimitMS: 700}}
	r := round{daemon: d, o: Options{Pause: ms}, kind: Hang, in: d.list[0]}
	if err := r.awaitSign(t.Context()); err != nil || r.limit != 700*ms {
		t.Errorf("%v, limit %v", err, r.limit)
	}
	var refused *api.Error
	if err := r.noSign(); !errors.As(err, &refused) || refused.Code != "refused" || !strings.Contains(refused.Message, `"web" shows no sign of life`) {
		t.Error(err)
	}
}

// TestBrokenOff: whoever breaks a drill off leaves nothing stopped behind.
func TestBrokenOff(t *testing.T) {
	d := newDaemon("web")
	ctx, cancel := context.WithCancel(t.Context())
	d.broken = func(d *daemon, in *api.Instance, c api.Command) { cancel() }
	called := false
	err := Run(ctx, d, Options{Target: "web", Kinds: []Kind{Hang}, Times: 3, Pause: ms}, func(Round) { called = true })
	if !errors.Is(err, context.Canceled) || called || d.asked[len(d.asked)-1] != "signal CONT web.1" {
		t.Errorf("%v, a round ended: %t, asked %q", err, called, d.asked)
	}
}

// TestNothing: a name that means nothing.
func TestNothing(t *testing.T) {
	var refused *api.Error
	if _, err := run(t, newDaemon("web"), Options{Target: "nix", Kinds: []Kind{Kill}}); !errors.As(err, &refused) || refused.Code != "not-found" {
		t.Error(err)
	}
}

// TestDetection: what counts as found, by what the incident says.
func TestDetection(t *testing.T) {
	for _, c := range []struct {
		name        string
		v           *api.Verdict
		found, held time.Duration
	}{
		{"a pulse", &api.Verdict{SilentMS: 502.5, LimitMS: 500}, 5 * ms / 2, 0},
		{"a pulse that was held", &api.Verdict{SilentMS: 1500, LimitMS: 500, HeldMS: 900}, 1000 * ms, 900 * ms},
		{"a check", &api.Verdict{Kind: "check", Failures: 3}, 100 * ms, 0},
		{"none live", &api.Verdict{Kind: "required", LimitMS: 500}, 100 * ms, 0},
	} {
		d := newDaemon("web")
		d.incidents = []api.Incident{{Name: "web", Generation: 6, Verdict: &api.Verdict{SilentMS: 9, LimitMS: 1}}, {Name: "web", Generation: 7, Verdict: c.v}}
		r := round{daemon: d, o: Options{Pause: ms}, kind: Hang, in: d.list[0], broken: 5, found: 5 + int64(100*ms)}
		found, held, err := r.detection(t.Context())
		if err != nil || found != c.found || held != c.held {
			t.Errorf("%s: %v %v %v", c.name, found, held, err)
		}
	}
}

func TestSums(t *testing.T) {
	got := Sums([]Round{{Kind: Kill, Found: 3, Back: 30}, {Kind: Hang, Problem: "x"}, {Kind: Kill, Found: 1, Back: 10}, {Kind: Kill, Found: 2, Back: 20},
		{Kind: Kill, Problem: "x", Found: 99}, {Kind: Kill, Found: 9, Back: 90}})
	want := []Sum{{Kind: Kill, Rounds: 5, Failed: 1, FoundP50: 2, FoundM: 9, BackP50: 20, BackM: 90}, {Kind: Hang, Rounds: 1, Failed: 1}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Sums(nil); got != nil {
		t.Errorf("%+v", got)
	}
}
