package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

func (a *app) runCommand() *cobra.Command {
	var r api.Run
	var detach bool
	cmd := &cobra.Command{
		Use: "run [--name N] [--pulse D] [-d] -- COMMAND ARGUMENT…", Short: "Run one command as a service, without a file",
		Long: "Run one command as a service, without a file, in the daemon that is responsible here; where there is none,\n" +
			"one is started in ./.stay. Its output is shown until it ends, or Ctrl-C stops it; with -d it goes on until\n" +
			"stay stop.",
		Example: "  stay run --name api -- python3 -m http.server",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return &refusal{code: exitUsage, message: "run needs a command", hint: "stay run -- COMMAND ARGUMENT…"}
			}
			return nil
		},
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		r.Command = args
		return a.run(r, detach)
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringVar(&r.Name, "name", "", "the service's name (default: the program's)")
	f.StringVar(&r.User, "user", "", "the user to run as (default: the daemon's)")
	f.StringVar(&r.Restart, "restart", "", "when to restart: always, on-failure or never (default: always)")
	f.StringVar(&r.Ready, "ready", "", "when it is ready: exec, notify, fd:N or after:2s (default: exec)")
	f.StringVar(&r.Every, "every", "", "run it again and again: the time from the end of a run to the next start, as 10s")
	f.StringVar(&r.Pulse, "pulse", "", "the longest silence of its pulse that is no hang, as 30s (default: it has none)")
	f.StringVar(&r.StartTimeout, "start-timeout", "", "how long it may take to get ready, as 60s")
	f.BoolVar(&r.NoWait, "no-wait", false, "with -d: do not wait until it is ready")
	f.BoolVarP(&detach, "detach", "d", false, "return when it is ready, and leave it running")
	return cmd
}

func (a *app) run(r api.Run, detach bool) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := programThere(r); err != nil {
		return err
	}
	r.Directory = dir
	if path, ok := os.LookupEnv("PATH"); ok { // the command is looked for where the caller would find it
		r.Env = []string{"PATH=" + path}
	}
	ctx := context.Background()
	c, ours, err := a.daemonForRun(ctx, dir)
	if err != nil {
		return err
	}
	if detach {
		result, err := c.Run(ctx, r)
		o := outcome{cmd: api.Command{Verb: api.Start, Target: r.Name}, result: result, err: err}
		return ended(a.tell(c, o, 0))
	}
	return a.runForeground(ctx, c, r, ours)
}

// programThere refuses a program that is not there: a typing error must not become a service that is tried for ever. What
// another user can find is left to the daemon to say.
func programThere(r api.Run) error {
	if r.User != "" {
		return nil
	}
	_, err := exec.LookPath(r.Command[0])
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return failed(fmt.Sprintf("run %q: there is no such program", r.Command[0]), "give its whole path, or add its directory to PATH")
	}
	return nil
}

// daemonForRun returns the daemon that is responsible here, or one that it starts, which is then ours.
func (a *app) daemonForRun(ctx context.Context, dir string) (c *client.Client, ours bool, err error) {
	c, err = a.connect()
	if err == nil {
		_, err = c.Version(ctx)
	}
	if err == nil {
		return c, false, nil
	}
	var gone *client.NotReachable
	if !errors.As(err, &gone) || a.socket != "" || os.Getenv("STAY_SOCKET") != "" {
		return nil, false, err // a daemon that was named is not replaced by another one
	}
	c = client.Dial(filepath.Join(dir, ".stay", "stay.sock"))
	_, ours, err = a.startDaemon(ctx, c, "--transient", "--dir", dir)
	return c, ours, err
}

// runForeground runs a service and shows it, until it ends or is stopped.
func (a *app) runForeground(ctx context.Context, c *client.Client, r api.Run, ours bool) error {
	since, err := c.LastEvent(ctx)
	if err != nil {
		return err
	}
	from := time.Now()
	r.NoWait = true
	result, err := c.Run(ctx, r)
	if err != nil || len(result.Instances) == 0 {
		return errors.Join(err, a.leaveRun(c, "", ours))
	}
	in := result.Instances[0]
	var last api.Event
	how, err := a.attach(c, attachment{
		targets: []string{in.Name}, since: since, lines: defaultLines, from: from,
		interrupt: func(nth int) error { return a.stopRun(c, in.Service, nth) },
		over: func(e api.Event) bool {
			last = e
			return e.To == api.Done || e.To == api.Failed || e.To == api.Stopped && e.From != ""
		},
	})
	if err != nil {
		return err
	}
	switch how {
	case left:
		a.ui.note("%q goes on: stay logs -f %s shows it, stay stop %s stops it", in.Name, in.Name, in.Service)
		return nil
	case daemonGone:
		a.ui.note("the daemon has gone")
		return nil
	}
	if err := a.leaveRun(c, in.Service, ours); err != nil {
		return err
	}
	if how == eventOver && last.To == api.Failed {
		return failed(fmt.Sprintf("run %q: %s", in.Name, last.Message), "stay run --restart always tries again")
	}
	return nil
}

// stopRun is what a Ctrl-C in `run` asks for: the service's stop, the second time its end at once.
func (a *app) stopRun(c *client.Client, service string, nth int) error {
	cmd := api.Command{Target: service, Verb: api.Stop}
	if nth > 1 {
		a.ui.note("killing %q", service)
		cmd = api.Command{Target: service, Verb: api.Signal, Signal: "KILL"}
		_, err := c.Do(context.Background(), cmd)
		if err != nil {
			return err
		}
		cmd = api.Command{Target: service, Verb: api.Wait, For: "stopped"}
	} else {
		a.ui.note("stopping %q; Ctrl-C again kills it", service)
	}
	_, err := c.Do(context.Background(), cmd)
	return notThere(err)
}

// leaveRun clears up: the record of a service that ended goes, and so does the daemon that was started for it, unless
// something else runs in it by now.
func (a *app) leaveRun(c *client.Client, service string, ours bool) error {
	ctx := context.Background()
	if service != "" {
		if _, err := c.Do(ctx, api.Command{Target: service, Verb: api.Stop}); notThere(err) != nil {
			return err
		}
	}
	if !ours {
		return nil
	}
	list, err := c.Status(ctx, "")
	if err != nil {
		return err
	}
	for _, in := range list {
		if in.Service != service && in.State != api.Stopped {
			a.ui.note("the daemon goes on, others run in it: stay status")
			return nil
		}
	}
	return a.shutdown(ctx, c, false, a.waitLine())
}

// notThere forgets an error that only says that a service is not there any more, or has no process.
func notThere(err error) error {
	var refused *api.Error
	if errors.As(err, &refused) && (refused.Code == "not-found" || refused.Code == "conflict") {
		return nil
	}
	return err
}
