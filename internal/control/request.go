package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"example.com/stay/api"
)

// A request is one question with its body read, and where its answer goes.
type request struct {
	*http.Request
	w         http.ResponseWriter
	params    url.Values
	body      []byte
	streaming bool // the first line of a stream is out
}

// read reads query and body. The body is read to its end: only then does net/http notice that a client goes away.
func (q *request) read(names []string) error {
	var err error
	if q.params, err = url.ParseQuery(q.URL.RawQuery); err != nil {
		return badRequest("query: %v", err)
	}
	if err := known(q.params, names); err != nil {
		return err
	}
	q.body, err = io.ReadAll(http.MaxBytesReader(q.w, q.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return badRequest("the body is larger than %d bytes", large.Limit)
	}
	if err != nil {
		return badRequest("body: %v", err)
	}
	return nil
}

// decode puts the body, one JSON object, into v; no body at all leaves v as it is. Unknown fields are refused: what a
// client of a later version wants must not be left out silently.
func (q *request) decode(v any) error {
	if len(bytes.TrimSpace(q.body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(q.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest("body: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("body: more than one JSON value")
	}
	return nil
}

// empty refuses a body where none belongs.
func (q *request) empty() error {
	if len(bytes.TrimSpace(q.body)) != 0 {
		return badRequest("%s takes no body", q.URL.Path)
	}
	return nil
}

// flag reads a parameter that is 0 or 1.
func (q *request) flag(name string, missing bool) (bool, error) {
	switch v := q.params.Get(name); {
	case !q.params.Has(name):
		return missing, nil
	case v == "1" || v == "true":
		return true, nil
	case v == "0" || v == "false":
		return false, nil
	default:
		return false, badRequest("%s=%s: say 0 or 1", name, v)
	}
}

// number reads a parameter that counts from 0.
func (q *request) number(name string) (uint64, error) {
	if !q.params.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseUint(q.params.Get(name), 10, 64)
	if err != nil {
		return 0, badRequest("%s=%s: say a number from 0", name, q.params.Get(name))
	}
	return n, nil
}

// integer reads a parameter that may be negative.
func (q *request) integer(name string, missing int) (int, error) {
	if !q.params.Has(name) {
		return missing, nil
	}
	n, err := strconv.Atoi(q.params.Get(name))
	if err != nil {
		return 0, badRequest("%s=%s: say a number", name, q.params.Get(name))
	}
	return n, nil
}

// moment reads a parameter that is a time as in RFC 3339; the zero time where it is missing.
func (q *request) moment(name string) (time.Time, error) {
	if !q.params.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, q.params.Get(name))
	if err != nil {
		return t, badRequest("%s=%s: say a time as 2026-01-02T15:04:05Z", name, q.params.Get(name))
	}
	return t, nil
}

func badRequest(format string, args ...any) *api.Error {
	return &api.Error{Code: "bad-request", Message: fmt.Sprintf(format, args...)}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
