package client

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/stay/api"
)

// resumeLines is how many kept lines of an instance that was not heard of yet are looked through when a stream is taken up again.
const resumeLines = 1000

// Logs calls emit with the lines that q chooses, with Follow until ctx ends. An error of emit ends it and is returned.
//
// After a broken connection it goes on where it was: no line comes twice, none is left out. Of an instance that had
// not said anything until then, those are looked for among its last 1,000 lines that are not older than the stream.
func (c *Client) Logs(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error) error {
	h := &heard{began: time.Now(), q: q}
	h.q.After = maps.Clone(q.After)
	if h.q.After == nil {
		h.q.After = map[string]string{}
	}
	return c.follow(ctx, &stream{path: "/v1/logs", query: h.query}, func(text []byte) error {
		var l api.LogLine
		if err := decode(text, &l); err != nil {
			return err
		}
		if h.isOld(l) {
			return nil
		}
		if l.Pos != "" {
			h.q.After[l.Name] = l.Pos
		}
		return emit(l)
	})
}

// Rotate begins a new file of the log of each instance that targets name (none: all); where a line is unfinished, when it ends.
// An empty log is left as it is.
func (c *Client) Rotate(ctx context.Context, targets []string) error {
	var done struct{}
	return c.ask(ctx, question{method: http.MethodPost, path: "/v1/rotate", query: url.Values{"name": targets}}, &done)
}

// heard knows how far a stream of lines has come.
type heard struct {
	began  time.Time
	q      api.LogQuery // After is that of the last lines
	asked  bool
	resume bool
}

// query is what to ask for at the next connection.
func (h *heard) query() url.Values {
	h.resume, h.asked = h.asked, true
	n := h.q.N
	if h.resume && h.q.Follow && n >= 0 {
		n = max(n, resumeLines)
	}
	v := url.Values{"name": h.q.Targets, "n": {strconv.Itoa(n)}, "follow": {oneOrZero(h.q.Follow)}}
	if !h.q.Since.IsZero() {
		v.Set("since", h.q.Since.Format(time.RFC3339Nano))
	}
	if !h.q.Until.IsZero() {
		v.Set("until", h.q.Until.Format(time.RFC3339Nano))
	}
	if h.q.Grep != "" {
		v.Set("grep", h.q.Grep)
	}
	for name, pos := range h.q.After {
		v.Add("after", name+":"+pos)
	}
	return v
}

// isOld says whether a line of an instance that was not heard of is older than the stream, which did not ask for so many.
func (h *heard) isOld(l api.LogLine) bool {
	_, known := h.q.After[l.Name]
	return h.resume && h.q.Follow && !known && h.q.N >= 0 && !l.Time.IsZero() && l.Time.Before(h.began)
}
