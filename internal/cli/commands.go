package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

// inFlight is how many commands are sent at once.
const inFlight = 64

// A commandFlags holds what the commands on services have in common.
type commandFlags struct {
	noWait  bool
	timeout time.Duration
}

func (f *commandFlags) add(cmd *cobra.Command, noWait bool) {
	if noWait {
		cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "return as soon as the daemon took the command")
	}
	cmd.Flags().Var(&spanValue{&f.timeout}, "timeout", "how long to wait, as 30s; the daemon goes on (default: for ever)")
}

func (a *app) startCommand() *cobra.Command {
	return a.verbCommand(api.Start, "start", "Start services and what they need, and wait until they are ready")
}

func (a *app) stopCommand() *cobra.Command {
	return a.verbCommand(api.Stop, "stop", "Stop services, and wait until nothing of them is left")
}

func (a *app) restartCommand() *cobra.Command {
	return a.verbCommand(api.Restart, "restart", "Restart services, and wait until they are ready again")
}

func (a *app) verbCommand(verb api.Verb, name, short string) *cobra.Command {
	var f commandFlags
	cmd := &cobra.Command{Use: name + " SERVICE…", Short: short, Args: services, ValidArgsFunction: a.completeNames}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return a.do(api.Command{Verb: verb, NoWait: f.noWait}, args, f.timeout)
	}
	f.add(cmd, true)
	return cmd
}

func (a *app) resetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reset SERVICE…", Short: "Set counters and restart delay back to zero; try again what was given up",
		Args: services, ValidArgsFunction: a.completeNames,
		RunE: func(_ *cobra.Command, args []string) error { return a.do(api.Command{Verb: api.Reset}, args, 0) },
	}
}

func (a *app) signalCommand() *cobra.Command {
	return &cobra.Command{
		Use: "signal SIGNAL SERVICE…", Short: "Send a signal to the main process of services",
		Example: "  stay signal HUP web",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &refusal{code: exitUsage, message: "signal needs a signal and a service", hint: "stay signal HUP SERVICE"}
			}
			return noEmpty(cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT"}, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeNames(cmd, args[1:], start)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return a.do(api.Command{Verb: api.Signal, Signal: args[0]}, args[1:], 0)
		},
	}
}

func (a *app) waitCommand() *cobra.Command {
	var f commandFlags
	var goal string
	goals := []string{"running", "stopped", "ready"}
	cmd := &cobra.Command{
		Use: "wait SERVICE… --for running|stopped|ready", Short: "Wait until services are running, ready or stopped",
		Args: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(goals, goal) {
				return &refusal{code: exitUsage, message: fmt.Sprintf("cannot wait for %q", goal), hint: "say --for running, --for stopped or --for ready"}
			}
			return services(cmd, args)
		},
		ValidArgsFunction: a.completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.do(api.Command{Verb: api.Wait, For: goal}, args, f.timeout)
		},
	}
	f.add(cmd, false)
	cmd.Flags().StringVar(&goal, "for", "ready", "what to wait for: running, stopped or ready")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(goals, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// do sends one command for each target at once, and tells of all of them in the order they were named.
func (a *app) do(cmd api.Command, targets []string, timeout time.Duration) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	ctx, cancel := within(timeout)
	defer cancel()
	code := exitDone
	for _, o := range a.send(ctx, c, cmd, targets) {
		code = worst(code, a.tell(c, o, timeout))
	}
	return ended(code)
}

// An outcome is what became of the command for one target.
type outcome struct {
	cmd    api.Command
	result api.Result
	err    error
}

func (a *app) send(ctx context.Context, c *client.Client, cmd api.Command, targets []string) []outcome {
	var list []outcome
	for i, t := range targets {
		if !slices.Contains(targets[:i], t) {
			cmd.Target = t
			list = append(list, outcome{cmd: cmd})
		}
	}
	slots := make(chan struct{}, inFlight)
	var wg sync.WaitGroup
	for i := range list {
		o := &list[i]
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			o.result, o.err = c.Do(ctx, o.cmd)
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	a.showProgress(c, targets, finished)
	return list
}

// tell prints one outcome and returns its exit code.
func (a *app) tell(c *client.Client, o outcome, timeout time.Duration) int {
	what := fmt.Sprintf("%s %q", o.cmd.Verb, o.cmd.Target)
	if errors.Is(o.err, context.DeadlineExceeded) {
		return a.ui.refuse(a.tooLate(c, what, o.cmd.Target, timeout))
	}
	if o.err != nil {
		return a.ui.refuse(o.err)
	}
	code := exitDone
	bad := map[string]bool{}
	for _, f := range o.result.Failures {
		bad[f.Name] = true
		r := failed(fmt.Sprintf("%s %q: %s", o.cmd.Verb, f.Name, f.Message), "stay why "+f.Name)
		r.log = f.Log
		code = worst(code, a.ui.refuse(r))
	}
	if len(o.result.Instances) == 0 && code == exitDone {
		a.ui.note("%s: nothing has that name", what)
	}
	for _, in := range o.result.Instances {
		switch {
		case bad[in.Name]:
		case o.cmd.Verb == api.Signal:
			if in.Pid != 0 {
				_ = a.ui.print("%s\n", clean(in.Name+": "+strings.ToUpper(o.cmd.Signal)+" sent to pid "+fmt.Sprint(in.Pid)))
			}
		default:
			_ = a.ui.print("%s\n", brief(in))
		}
	}
	return code
}

// lookTime is how long a look at the status may take that only explains something.
const lookTime = 2 * time.Second

// tooLate says that something was not done in time, and how things are.
func (a *app) tooLate(c *client.Client, what, target string, timeout time.Duration) *refusal {
	r := &refusal{code: exitTimeout, message: fmt.Sprintf("%s: not done after %v", what, timeout), hint: "stay status " + target}
	ctx, cancel := within(lookTime)
	defer cancel()
	list, err := c.Status(ctx, target)
	if err != nil {
		return r
	}
	var parts []string
	for _, in := range list {
		if in.State != api.Running && in.State != api.Stopped || len(list) == 1 {
			parts = append(parts, brief(in))
		}
	}
	if len(parts) > 0 {
		r.message += ": " + strings.Join(parts, "; ")
	}
	r.hint = strings.TrimRight(r.hint, " ")
	r.log = refusing(list)
	return r
}
