// Package cli is the command stay: what people type, as questions to a daemon.
//
// It sees what every other client sees, through package client, and decides nothing about services. It starts a daemon
// where `up` and `run` need one, by running stayd; from then on the daemon is on its own, and nothing that happens to the
// command ends it but a Ctrl-C in `up`, which asks it to go down.
//
// Output is for people: tables and plain sentences. What scripts read is the exit code and --json. Exit codes: 0 done,
// 1 refused or failed, 2 wrong usage, 3 daemon not reachable, 4 timed out.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

// Main runs the command with the arguments after the program's name, and returns the exit code.
func Main(args []string) int {
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	return a.main(args)
}

// An app is one run of the command: what it talks to. Tests put their own things into its fields.
type app struct {
	in  *os.File
	ui  *ui
	pid int // of this process: 1 makes `up` become the daemon

	notify func(chan<- os.Signal, ...os.Signal) // signal.Notify
	exec   func(program string, args, env []string) error
	now    func() time.Time
	mono   func() int64  // CLOCK_MONOTONIC in ns
	tick   time.Duration // between two looks, where something is looked at again and again

	socket string // --socket
	ran    bool   // arguments and flags were right
}

func newApp(in *os.File, out, err io.Writer) *app {
	return &app{in: in, ui: newUI(out, err), pid: os.Getpid(), notify: signal.Notify, exec: syscall.Exec, now: time.Now, mono: monotonic, tick: time.Second}
}

func (a *app) main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.Execute()
	if err != nil && !a.ran {
		err = usageError(root, args, err)
	}
	if err == nil {
		return exitDone
	}
	return a.ui.refuse(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "stay",
		Short: "Keeps services up: when they crash, when they hang, and when stay itself is killed",
		Long: "stay keeps services up: when they crash, when they hang, and when stay itself is killed.\n\n" +
			"Write a stay.toml or a Procfile, then: stay up. SERVICE is a service (web), an instance (web.2),\n" +
			"all, or a pattern over both (\"web*\").\n\n" +
			"Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 daemon not reachable, 4 timed out.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { a.ran = true; return nil },
	}
	root.SetOut(a.ui.out)
	root.SetErr(a.ui.err)
	root.PersistentFlags().StringVar(&a.socket, "socket", "",
		"the daemon's socket (default: $STAY_SOCKET, the nearest .stay going up, "+client.SystemSocket+")")
	root.AddCommand(a.upCommand(), a.downCommand(), a.runCommand(), a.statusCommand(), a.startCommand(), a.stopCommand(),
		a.restartCommand(), a.signalCommand(), a.waitCommand(), a.resetCommand(), a.logsCommand(), a.eventsCommand(),
		a.whyCommand(), a.historyCommand(), a.sloCommand(), a.pulseCommand(), a.drillCommand(), a.beatCommand(),
		a.showCommand(), a.applyCommand(), a.planCommand(), a.scaleCommand(), a.upgradeCommand(), a.checkCommand(), a.versionCommand())
	return root
}

// usageError makes an error of cobra one of ours: one line, and where help is.
func usageError(root *cobra.Command, args []string, err error) error {
	var ours *refusal
	if errors.As(err, &ours) {
		return ours
	}
	message, _, _ := strings.Cut(err.Error(), "\n")
	r := &refusal{code: exitUsage, message: strings.TrimSuffix(message, ` for "stay"`), hint: "stay --help"}
	cmd, rest, findErr := root.Find(args)
	if findErr == nil && cmd != root {
		r.hint = cmd.CommandPath() + " --help"
		return r
	}
	if findErr == nil || len(rest) == 0 {
		return r
	}
	if near := root.SuggestionsFor(rest[0]); len(near) > 0 {
		r.hint = "did you mean: stay " + slices.MaxFunc(near, func(a, b string) int { return alike(a, rest[0]) - alike(b, rest[0]) })
	}
	if slices.Contains(planned, rest[0]) {
		r.message = fmt.Sprintf("the command %q is not in this version, which is %s", rest[0], api.Version)
		r.hint = "stay --help"
	}
	return r
}

// alike is how many bytes two words begin with in common: people get the beginning right.
func alike(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// planned are commands that a later version will have: whoever read of one is told that it is no typing error.
var planned = []string{"reload", "pin", "unpin", "man", "top", "serve", "import", "ipc", "fleet"}

// connect returns a client of the daemon that is responsible here.
func (a *app) connect() (*client.Client, error) {
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	var skipped []string
	f := client.Finder{Explicit: a.socket, Env: os.Getenv("STAY_SOCKET"), Dir: dir, Skipped: func(dir, why string) {
		skipped = append(skipped, dir+" was passed over: "+why)
	}}
	socket, err := f.Find()
	if err != nil {
		return nil, err // it says what was passed over
	}
	for _, s := range skipped {
		a.ui.note("%s", s)
	}
	return client.Dial(socket), nil
}

// within returns a context that ends after d; 0 is never.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), d)
}

// services are the arguments of a command that needs at least one.
func services(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &refusal{code: exitUsage, message: cmd.Name() + " needs a service", hint: cmd.CommandPath() + " SERVICE, or: " + cmd.CommandPath() + " all"}
	}
	return noEmpty(cmd, args)
}

// noEmpty refuses arguments that are "": an unset variable of a script must not mean all services.
func noEmpty(cmd *cobra.Command, args []string) error {
	for _, s := range args {
		if s == "" {
			return &refusal{code: exitUsage, message: "a service's name is empty", hint: cmd.CommandPath() + " all"}
		}
	}
	return nil
}

// none refuses arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &refusal{code: exitUsage, message: cmd.Name() + " takes no arguments", hint: cmd.CommandPath()}
	}
	return nil
}
