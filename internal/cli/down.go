package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/client"
)

func (a *app) downCommand() *cobra.Command {
	var timeout time.Duration
	var now bool
	cmd := &cobra.Command{
		Use: "down", Short: "Stop everything in reverse order, then the daemon",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		ctx, cancel := within(timeout)
		defer cancel()
		err = a.shutdown(ctx, c, now, a.waitLine())
		if errors.Is(err, context.DeadlineExceeded) {
			list, _ := a.look(c, nil)
			r := &refusal{code: exitTimeout, message: fmt.Sprintf("down: not done after %v, it goes on", timeout), hint: "stay down --now", log: refusing(list)}
			if names := alive(list); names != "" {
				r.message += ": " + names
			}
			return r
		}
		return err
	}
	cmd.Flags().Var(&spanValue{&timeout}, "timeout", "how long to wait, as 30s; the daemon goes on (default: for ever)")
	cmd.Flags().BoolVar(&now, "now", false, "kill everything at once")
	return cmd
}

// shutdown takes the daemon down, and tells every second on line what is still there.
func (a *app) shutdown(ctx context.Context, c *client.Client, now bool, line *waitLine) error {
	done := make(chan error, 1)
	go func() { done <- c.Shutdown(ctx, now) }()
	defer line.show("")
	again := time.NewTicker(a.tick)
	defer again.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-again.C:
			list, err := a.look(c, nil)
			if names := alive(list); err == nil && names != "" {
				line.show("still there: " + names)
			}
		}
	}
}

// takeDown is what a Ctrl-C in `up` asks for. It tells of what is still there in lines of their own, between the output.
func (a *app) takeDown(c *client.Client, now bool) error {
	if now {
		a.ui.note("killing everything; Ctrl-C once more leaves the daemon alone with it")
		return c.Shutdown(context.Background(), true) // the first one goes on telling
	}
	a.ui.note("stopping everything; Ctrl-C again kills at once")
	return a.shutdown(context.Background(), c, false, &waitLine{ui: a.ui})
}
