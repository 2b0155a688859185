package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// A stream is an answer of many lines, each a JSON object.
type stream struct {
	path  string
	query func() url.Values // asked at each connection: it knows what was had already
}

// follow calls emit with each line until the daemon ends the stream, and connects again each time the connection breaks.
func (c *Client) follow(ctx context.Context, s *stream, emit func([]byte) error) error {
	for breaks := 1; ; breaks++ {
		lines, err := c.readLines(ctx, question{method: http.MethodGet, path: s.path, query: s.query()}, emit)
		if lines > 0 {
			breaks = 1
		}
		var broken *brokenError
		if !errors.As(err, &broken) {
			return err
		}
		if breaks == maxBreaks {
			return &Broken{What: "GET " + s.path, Err: broken.err}
		}
		if err := pause(ctx, breaks); err != nil {
			return err
		}
	}
}

// readLines reads one connection of a stream to its end, and returns how many lines there were.
func (c *Client) readLines(ctx context.Context, q question, emit func([]byte) error) (int, error) {
	resp, err := c.send(ctx, q)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for n := 0; ; n++ {
		text, err := r.ReadBytes('\n')
		if err == io.EOF {
			return n, nil // an end as HTTP knows it: the daemon has no more to say
		}
		if err != nil {
			return n, broke(ctx, err)
		}
		if bytes.HasPrefix(text, []byte(`{"error":`)) {
			if err := refusal(text); err != nil {
				return n, err
			}
		}
		if err := emit(text); err != nil {
			return n, err
		}
	}
}
