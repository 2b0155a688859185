package engine

import (
	"context"
	"os"
	"strconv"

	"example.com/stay/api"
)

// refuse is a refusal with what would work.
func refuse(code, message, hint string) *api.Error {
	return &api.Error{Code: code, Message: message, Hint: hint}
}

func errGoingDown() error {
	return refuse("going-down", "the daemon is going down", "`stay up` starts it again when it has gone")
}

func quote(s string) string { return strconv.Quote(s) }

func environ() []string { return os.Environ() }

// backgroundContext is for work that no client waits for.
func backgroundContext() context.Context { return context.Background() }

// first is the first of them that is an error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
