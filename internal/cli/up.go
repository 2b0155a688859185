package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

// An upRequest is what `stay up` was asked for.
type upRequest struct {
	file     string
	detach   bool
	timeout  time.Duration
	services []string // none: all that are enabled
}

func (a *app) upCommand() *cobra.Command {
	var r upRequest
	cmd := &cobra.Command{
		Use: "up [-f FILE] [-d] [SERVICE…]", Short: "Start the daemon and its services, and show what they do",
		Long: "Start the daemon and its services, and show what they do. Where the daemon runs already, only show.\n\n" +
			"Ctrl-C stops everything, a second one at once. When the terminal goes away, or this command is killed,\n" +
			"the daemon goes on; stay up attaches again. With -d: return when everything enabled is ready.\n\n" +
			"FILE is ./stay.toml, ./Procfile or /etc/stay/stay.toml, whichever is there first. As PID 1 of a container\n" +
			"stay up becomes the daemon.",
		Args: noEmpty, ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		r.services = args
		return a.up(r)
	}
	cmd.Flags().StringVarP(&r.file, "file", "f", "", "the configuration")
	cmd.Flags().BoolVarP(&r.detach, "detach", "d", false, "return when everything enabled is ready")
	cmd.Flags().Var(&spanValue{&r.timeout}, "timeout", "with -d: how long to wait, as 30s (default: for ever)")
	return cmd
}

func (a *app) up(r upRequest) error {
	if a.socket != "" {
		return &refusal{code: exitUsage, message: "up finds its socket in the configuration", hint: "stay up -f FILE, without --socket"}
	}
	conf, err := inspect(r.file)
	if err != nil {
		return err
	}
	if err := a.mistakes(conf, "nothing was started; stay check shows it again"); err != nil {
		return err
	}
	if a.pid == 1 {
		return a.becomeDaemon(conf, r.services)
	}
	ctx, cancel := within(r.timeout)
	defer cancel()
	c := client.Dial(conf.Socket)
	d, fresh, err := a.daemon(ctx, c, conf, r.services)
	if err != nil {
		return a.late(err, "the daemon did not come up", r.timeout)
	}
	if !fresh && len(r.services) > 0 {
		// Those were not asked for yet. In the foreground what becomes of them is seen.
		start := api.Command{Verb: api.Start, NoWait: !r.detach}
		for _, o := range a.send(ctx, c, start, r.services) {
			if o.err != nil {
				return a.late(o.err, fmt.Sprintf("start %q", o.cmd.Target), r.timeout)
			}
		}
	}
	if r.detach {
		return a.awaitReady(ctx, c, r)
	}
	return a.upForeground(c, d, fresh)
}

// late gives an error that came of the timeout a name.
func (a *app) late(err error, what string, timeout time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &refusal{code: exitTimeout, message: fmt.Sprintf("%s: not done after %v", what, timeout), hint: "stay status"}
	}
	return err
}

// becomeDaemon makes this process, which is PID 1, the daemon.
func (a *app) becomeDaemon(conf report, services []string) error {
	stayd, err := findStayd()
	if err != nil {
		return err
	}
	args := append([]string{"stayd", "keeper", "--foreground"}, keeperArgs(conf, services)...)
	return fmt.Errorf("exec %q: %w", stayd, a.exec(stayd, args, os.Environ()))
}

func keeperArgs(conf report, services []string) []string {
	args := []string{"--file", conf.File}
	if len(services) > 0 {
		args = append(args, "--only", strings.Join(services, ","))
	}
	return args
}

// daemon returns the daemon of a configuration, and whether it was started just now.
func (a *app) daemon(ctx context.Context, c *client.Client, conf report, services []string) (d api.Daemon, fresh bool, err error) {
	d, err = c.Version(ctx)
	if isGone(err) {
		if services, err = expand(conf.Services, services); err != nil {
			return d, false, err
		}
		return a.startDaemon(ctx, c, keeperArgs(conf, services)...)
	}
	if err == nil && d.Mode == "going down" {
		err = failed("the daemon is going down", "stay up again, when stay status says that it has gone")
	}
	return d, false, err
}

// startDaemon starts a daemon. If somebody else was faster, that one is as good, and fresh is false.
func (a *app) startDaemon(ctx context.Context, c *client.Client, args ...string) (d api.Daemon, fresh bool, err error) {
	limit, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	warning, err := startKeeper(limit, args...)
	if warning != "" {
		a.ui.note("%s", firstLine(warning))
	}
	d, versionErr := c.Version(limit)
	if versionErr == nil {
		return d, err == nil, nil
	}
	if err == nil {
		err = failed("the daemon came up and went: "+versionErr.Error(), "its own log says why: stay.log beside the other logs")
	}
	return d, false, err
}

// expand makes names and patterns names of services; "all" stands for what is enabled, which is the default.
func expand(known, wanted []string) ([]string, error) {
	var list []string
	for _, w := range wanted {
		if w == "all" {
			return nil, nil
		}
		before := len(list)
		for _, name := range known {
			if ok, _ := path.Match(w, name); ok {
				list = append(list, name)
			}
		}
		if len(list) == before {
			return nil, failed(fmt.Sprintf("there is no service %q", w), "there are: "+strings.Join(known, ", "))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// awaitReady waits until what was asked for is ready, and names what is not.
func (a *app) awaitReady(ctx context.Context, c *client.Client, r upRequest) error {
	targets := r.services
	if len(targets) == 0 {
		targets = []string{"all"}
	}
	code, ready := exitDone, 0
	for _, o := range a.send(ctx, c, api.Command{Verb: api.Wait, For: "ready"}, targets) {
		if o.err != nil || len(o.result.Failures) > 0 {
			o.result.Instances = nil
			o.cmd.Verb = api.Start // what it is about, for people
			code = worst(code, a.tell(c, o, r.timeout))
			continue
		}
		ready += len(o.result.Instances)
	}
	if code == exitDone {
		_ = a.ui.print("up: %s ready\n", count(ready, "instance"))
	}
	return ended(code)
}

// upForeground shows everything until it is over. Ctrl-C takes the daemon down.
func (a *app) upForeground(c *client.Client, d api.Daemon, fresh bool) error {
	att := attachment{lines: 10, interrupt: func(nth int) error { return a.takeDown(c, nth > 1) }}
	if fresh {
		att.lines, att.from = defaultLines, d.Started // what was written before is of another daemon
	} else {
		last, err := c.LastEvent(context.Background())
		if err != nil {
			return err
		}
		att.since = last
		a.ui.note("the daemon runs already (pid %d): attached; Ctrl-C stops everything", d.KeeperPid)
	}
	how, err := a.attach(c, att)
	switch {
	case err != nil:
		return err
	case how == left:
		a.ui.note("the daemon goes on: stay up shows it again, stay down stops it")
	case how == daemonGone:
		a.ui.note("the daemon has gone")
	}
	return nil
}
