package cli

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"example.com/stay/api"
	"example.com/stay/client"
)

// The exit codes.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNotReachable = 3
	exitTimeout      = 4
)

// A refusal is why the command ends with another code than 0.
type refusal struct {
	code    int
	message string   // one line; "": everything was said already
	hint    string   // the command that would work
	log     []string // last lines of output of what failed
}

func (r *refusal) Error() string { return r.message }

// failed is a refusal that has no code of its own.
func failed(message, hint string) *refusal {
	return &refusal{code: exitFailed, message: message, hint: hint}
}

// ended ends the command with a code; everything was said.
func ended(code int) error {
	if code == exitDone {
		return nil
	}
	return &refusal{code: code}
}

// toRefusal makes any error one.
func toRefusal(err error) *refusal {
	var ours *refusal
	var gone *client.NotReachable
	var broken *client.Broken
	var refused *api.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &gone):
		return &refusal{code: exitNotReachable, message: gone.Error(), hint: goneHint(gone)}
	case errors.As(err, &broken):
		return failed(broken.Error(), "stay status")
	case errors.As(err, &refused):
		message, rest, _ := strings.Cut(refused.Message, "\n")
		hint := refused.Hint
		if rest != "" {
			hint = strings.TrimSpace(strings.Join([]string{strings.TrimSpace(rest), hint}, "\n"))
		}
		r := failed(message, hint)
		if refused.Code == "bad-request" {
			r.code = exitUsage
		}
		return r
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{code: exitTimeout, message: "timed out", hint: "stay status"}
	}
	return failed(err.Error(), "")
}

func goneHint(e *client.NotReachable) string {
	if errors.Is(e, fs.ErrPermission) {
		return "it belongs to another user: sudo stay …, or name yours with --socket"
	}
	return "start one: stay up"
}

// isGone says whether err is that no daemon is there; one that may not be talked to is there.
func isGone(err error) bool {
	var gone *client.NotReachable
	return errors.As(err, &gone) && !errors.Is(gone, fs.ErrPermission)
}

// worst returns the code that says most about several outcomes: no daemon before a refusal before a timeout.
func worst(a, b int) int {
	for _, code := range []int{exitNotReachable, exitUsage, exitFailed, exitTimeout} {
		if a == code || b == code {
			return code
		}
	}
	return exitDone
}
