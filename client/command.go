package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"example.com/stay/api"
)

// parallel is how many instances are asked about at once when a restart is taken up again.
const parallel = 16

// Do has the daemon carry out a command and, unless it says NoWait, returns when every instance got there or failed to:
// see api.Result.
//
// After an engine's death a command is repeated. Start, stop, reset and wait do nothing where they were done already. A
// restart is repeated for each instance with the generation that the instance had before, so none is restarted twice. A
// signal and a mute are not repeated: *Broken says that the answer was lost.
func (c *Client) Do(ctx context.Context, cmd api.Command) (api.Result, error) {
	if cmd.Verb == api.Restart && cmd.Gen == 0 {
		return c.restart(ctx, cmd)
	}
	var r api.Result
	q := commandQuestion(cmd)
	q.once = cmd.Verb == api.Signal || cmd.Verb == api.Mute || cmd.Verb == api.Stop
	for breaks := 1; ; breaks++ {
		err := c.ask(ctx, q, &r)
		var broken *Broken
		var refused *api.Error
		switch {
		case cmd.Verb == api.Stop && errors.As(err, &broken) && breaks < maxBreaks:
			if err := pause(ctx, breaks); err != nil {
				return r, err
			}
		case breaks > 1 && errors.As(err, &refused) && refused.Code == "not-found":
			return r, nil // a transient service is forgotten when it is stopped
		default:
			return r, err
		}
	}
}

func commandQuestion(cmd api.Command) question {
	return question{method: http.MethodPost, body: cmd,
		path: "/v1/services/" + url.PathEscape(cmd.Target) + "/" + url.PathEscape(string(cmd.Verb))}
}

// restart asks once for all instances together, so that the daemon sees them as one command, and after a break for each
// by itself.
func (c *Client) restart(ctx context.Context, cmd api.Command) (api.Result, error) {
	before, err := c.Status(ctx, cmd.Target)
	if err != nil {
		return api.Result{}, err
	}
	var r api.Result
	q := commandQuestion(cmd)
	q.once = true
	err = c.ask(ctx, q, &r)
	var broken *Broken
	if !errors.As(err, &broken) {
		return r, err
	}
	return c.restartEach(ctx, cmd, before)
}

// restartEach restarts those of the instances that are still of their old generation, and waits for all.
func (c *Client) restartEach(ctx context.Context, cmd api.Command, before []api.Instance) (api.Result, error) {
	results := make([]api.Result, len(before))
	errs := make([]error, len(before))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, in := range before {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = c.ask(ctx, commandQuestion(repeated(cmd, in)), &results[i])
		})
	}
	wg.Wait()
	var all api.Result
	for i := range before {
		var refused *api.Error
		if errors.As(errs[i], &refused) && refused.Code == "not-found" {
			continue // it has left since: nothing to restart
		}
		if errs[i] != nil {
			return all, errs[i]
		}
		all.Instances = append(all.Instances, results[i].Instances...)
		all.Failures = append(all.Failures, results[i].Failures...)
	}
	return all, nil
}

// repeated is a restart as it may be asked for any number of times: nothing happens where the generation moved on. What
// had no generation is started, which is as good.
func repeated(cmd api.Command, in api.Instance) api.Command {
	cmd.Target = in.Name
	if in.Number == 1 {
		cmd.Target = in.Service + ".1" // "web" alone would mean all of them
	}
	cmd.Gen = in.Generation
	if in.Generation == 0 {
		cmd.Verb = api.Start
	}
	return cmd
}

// Run makes a transient service and starts it. Repeated after an engine's death it finds the service that it had made, if
// r.Name is set; without a name it is not repeated, *Broken says so.
func (c *Client) Run(ctx context.Context, r api.Run) (api.Result, error) {
	var result api.Result
	q := question{method: http.MethodPost, path: "/v1/run", body: r, once: true}
	for breaks := 1; ; breaks++ {
		err := c.ask(ctx, q, &result)
		var broken *Broken
		var refused *api.Error
		switch {
		case errors.As(err, &broken) && r.Name != "" && breaks < maxBreaks:
			if err := pause(ctx, breaks); err != nil {
				return result, err
			}
		case breaks > 1 && errors.As(err, &refused) && refused.Code == "conflict":
			return c.Do(ctx, api.Command{Target: r.Name, Verb: api.Start, NoWait: r.NoWait})
		default:
			return result, err
		}
	}
}
