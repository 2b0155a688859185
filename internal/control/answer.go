package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"example.com/stay/api"
)

// An errorBody is how the daemon refuses: as an answer, or as the last line of a stream that had begun.
type errorBody struct {
	Error *api.Error `json:"error"`
}

// answer sends v as the whole answer.
func (q *request) answer(v any) error {
	return answerJSON(q.w, http.StatusOK, v)
}

func answerError(w http.ResponseWriter, status int, e *api.Error) {
	_ = answerJSON(w, status, errorBody{e}) // a client that has gone needs no answer
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
	return nil
}

// line sends v as one line of a stream, at once. It blocks while the client does not read.
func (q *request) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	q.begin()
	if _, err := q.w.Write(append(text, '\n')); err != nil {
		return err
	}
	return http.NewResponseController(q.w).Flush()
}

// begin sends the head of a stream. Until then an error still gets a status of its own.
func (q *request) begin() {
	if q.streaming {
		return
	}
	q.streaming = true
	q.w.Header().Set("Content-Type", "application/x-ndjson")
	q.w.WriteHeader(http.StatusOK)
}

// toError makes any error one of the API. What is none was not meant for people: it is "internal".
func toError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	return &api.Error{Code: "internal", Message: err.Error()}
}

// isCanceled says whether err is an engine that stopped working on a request, not one that refused it.
func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled)
}
