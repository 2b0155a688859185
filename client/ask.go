package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"example.com/stay/api"
)

// How a question is asked again. A hundred times take almost a minute: an engine that dies that often over one question
// dies of it.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
	maxBreaks  = 100
)

// A question is one request.
type question struct {
	method string
	path   string // escaped
	query  url.Values
	body   any  // nil: none
	once   bool // not to be asked again
}

// String names the question in errors.
func (q question) String() string { return q.method + " " + q.path }

// A brokenError is a connection that broke before the answer was complete.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

// ask asks until there is an answer, and decodes it into out.
func (c *Client) ask(ctx context.Context, q question, out any) error {
	for breaks := 1; ; breaks++ {
		err := c.askOnce(ctx, q, out)
		var broken *brokenError
		if !errors.As(err, &broken) {
			return err
		}
		if q.once || breaks == maxBreaks {
			return &Broken{What: q.String(), Err: broken.err}
		}
		if err := pause(ctx, breaks); err != nil {
			return err
		}
	}
}

func (c *Client) askOnce(ctx context.Context, q question, out any) error {
	resp, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return broke(ctx, err)
	}
	return decode(text, out)
}

// send sends a question and returns an answer whose status is good.
func (c *Client) send(ctx context.Context, q question) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, "http://stay"+q.path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q, err)
	}
	r.URL.RawQuery = q.query.Encode()
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, broke(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, broke(ctx, err)
	}
	if e := refusal(text); e != nil {
		return nil, e
	}
	return nil, fmt.Errorf("%s: the daemon answered %q: is it stay?", q, resp.Status)
}

// broke makes an error of a connection what callers can tell apart.
func broke(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var gone *NotReachable
	if errors.As(err, &gone) {
		return gone
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return &brokenError{err}
}

// refusal returns the error in an answer, nil if there is none.
func refusal(text []byte) error {
	var body struct {
		Error *api.Error `json:"error"`
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Error == nil {
		return nil
	}
	return body.Error
}

func decode(text []byte, out any) error {
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the daemon's answer: %w: are client and daemon of the same version?", err)
	}
	return nil
}

// pause waits before the question is asked for the next time.
func pause(ctx context.Context, breaks int) error {
	d := lastPause
	if breaks < 7 { // 5 ms, doubled, up to 320 ms
		d = firstPause << (breaks - 1)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
