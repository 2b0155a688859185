// Package client asks a stay daemon: status, commands, logs and events, over the daemon's unix socket.
//
// A Client has no state but the socket's name: every question opens a connection of its own, so a Client is cheap, may be
// used from many goroutines, and needs no Close.
//
// The daemon's engine may die and be replaced at any time. Its socket lives on, so a question whose connection broke before
// the answer is asked again, and a stream is taken up where it broke; callers see nothing of it but the time it took. That
// is safe because what is asked again does nothing a second time: see Do. Every method returns when its context ends, with
// the context's error.
//
// Errors are of three kinds: *NotReachable when no daemon listens, *api.Error when the daemon refused, and *Broken when
// the connection broke and asking again could do a thing twice.
package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/stay/api"
)

// A Client asks the daemon on one socket.
type Client struct {
	socket string
	http   *http.Client
}

// Dial returns a client for the daemon on socket. It does not connect: the first question does. The path may be longer
// than a unix socket's address can be.
func Dial(socket string) *Client {
	c := &Client{socket: socket}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:        c.dial,
		DisableKeepAlives:  true, // a broken connection is then always one that broke under its question
		DisableCompression: true,
	}}
	return c
}

// Socket returns the path that Dial got.
func (c *Client) Socket() string { return c.socket }

// Version says who answers. It is the one question that anyone who can connect may ask.
func (c *Client) Version(ctx context.Context) (api.Daemon, error) {
	var d api.Daemon
	err := c.ask(ctx, question{method: http.MethodGet, path: "/v1/version"}, &d)
	return d, err
}

// Status returns the instances that target names, sorted by name and number: a service, an instance, a glob over both, or
// all of them for "" and "all".
func (c *Client) Status(ctx context.Context, target string) ([]api.Instance, error) {
	var list []api.Instance
	q := question{method: http.MethodGet, path: "/v1/services"}
	if target != "" {
		q.query = url.Values{"target": {target}}
	}
	err := c.ask(ctx, q, &list)
	return list, err
}

// Show returns the effective settings of a service; values of its environment may be hidden.
func (c *Client) Show(ctx context.Context, service string) (api.Service, error) {
	var s api.Service
	err := c.ask(ctx, question{method: http.MethodGet, path: "/v1/services/" + url.PathEscape(service)}, &s)
	return s, err
}

// Pulses returns every sign of life of what target names, all there are for "" and "all", sorted by instance.
func (c *Client) Pulses(ctx context.Context, target string) ([]api.PulseSlot, error) {
	var list []api.PulseSlot
	q := question{method: http.MethodGet, path: "/v1/pulses"}
	if target != "" {
		q.query = url.Values{"target": {target}}
	}
	err := c.ask(ctx, q, &list)
	return list, err
}

// An IncidentFilter chooses among incidents. The zero value chooses all that are kept.
type IncidentFilter struct {
	Target string    // a service, an instance, or a glob over both; also the exact name of one that is no more; "": all
	Since  time.Time // when it ended, at the earliest; zero: no matter
	N      int       // how many at most; 0: any number
	Brief  bool      // without evidence, log and slots, which make them long
}

// Incidents returns incidents, newest first.
func (c *Client) Incidents(ctx context.Context, f IncidentFilter) ([]api.Incident, error) {
	q := question{method: http.MethodGet, path: "/v1/incidents", query: url.Values{"n": {strconv.Itoa(f.N)}, "brief": {oneOrZero(f.Brief)}}}
	if f.Target != "" {
		q.query.Set("target", f.Target)
	}
	if !f.Since.IsZero() {
		q.query.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	var list []api.Incident
	err := c.ask(ctx, q, &list)
	return list, err
}

// Incident returns one incident by its ID.
func (c *Client) Incident(ctx context.Context, id string) (*api.Incident, error) {
	var a api.Incident
	err := c.ask(ctx, question{method: http.MethodGet, path: "/v1/incidents/" + url.PathEscape(id)}, &a)
	return &a, err
}

// Apply has the daemon read its configuration again, and returns what it did. On an error nothing changed. When an engine
// died over it, the changes that it had made already are not among those returned.
func (c *Client) Apply(ctx context.Context) ([]api.Change, error) {
	var changes []api.Change
	err := c.ask(ctx, question{method: http.MethodPost, path: "/v1/apply"}, &changes)
	return changes, err
}

// Upgrade has the daemon become the stayd at path, an absolute one, while services run. It returns when that has begun, and
// what it was then; Version says what came of it.
func (c *Client) Upgrade(ctx context.Context, path string) (api.Upgrade, error) {
	var u api.Upgrade
	err := c.ask(ctx, question{method: http.MethodPost, path: "/v1/upgrade", body: api.NewProgram{Path: path}}, &u)
	return u, err
}

// Plan says what Apply would do now, one change a service, and changes nothing.
func (c *Client) Plan(ctx context.Context) ([]api.Change, error) {
	var changes []api.Change
	err := c.ask(ctx, question{method: http.MethodGet, path: "/v1/plan"}, &changes)
	return changes, err
}

// Events calls emit with each event above since, as far back as the journal goes, then, with follow, with each new one
// until ctx ends. An error of emit ends it and is returned.
func (c *Client) Events(ctx context.Context, since uint64, follow bool, emit func(api.Event) error) error {
	return c.EventsOf(ctx, api.EventFilter{Since: since, Follow: follow}, emit)
}

// EventsOf is Events for what f chooses.
func (c *Client) EventsOf(ctx context.Context, f api.EventFilter, emit func(api.Event) error) error {
	s := &stream{path: "/v1/events"}
	s.query = func() url.Values {
		q := url.Values{"since": {strconv.FormatUint(f.Since, 10)}, "follow": {oneOrZero(f.Follow)}}
		if f.Since == 0 && !f.From.IsZero() {
			q.Set("since", f.From.Format(time.RFC3339Nano))
		}
		if f.Targets != nil {
			q["target"] = f.Targets
		}
		if f.Kinds != nil {
			q["kind"] = f.Kinds
		}
		return q
	}
	return c.follow(ctx, s, func(text []byte) error {
		var e api.Event
		if err := decode(text, &e); err != nil {
			return err
		}
		f.Since = max(f.Since, e.Seq)
		return emit(e)
	})
}

// LastEvent returns the number of the last event so far: with it as since, Events has what happens from then on.
func (c *Client) LastEvent(ctx context.Context) (uint64, error) {
	d, err := c.Version(ctx)
	return d.Event, err
}

func oneOrZero(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
