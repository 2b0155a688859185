package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

// defaultLines is how many lines of each instance `logs` shows.
const defaultLines = 100

// A logChoice is what `logs` was asked for.
type logChoice struct {
	api.LogQuery
	since, until string
	json, rotate bool
}

func (a *app) logsCommand() *cobra.Command {
	var l logChoice
	l.N = defaultLines
	cmd := &cobra.Command{
		Use: "logs [-f] [-n N] [--since T] [--grep RE] [SERVICE…]", Short: "Show what services wrote; also when the daemon is down",
		Example:           "  stay logs -f web db\n  stay logs --since 10m --grep 'timeout|refused'\n  stay logs --since 14:03 --until 14:05 --json",
		ValidArgsFunction: a.completeNames,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := l.read(a.now()); err != nil {
				return err
			}
			return noEmpty(cmd, args)
		},
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		l.Targets = args
		if !cmd.Flags().Changed("lines") && (l.since != "" || l.until != "" || l.Grep != "") {
			l.N = -1
		}
		c, err := a.connect()
		if err == nil && l.rotate {
			return c.Rotate(context.Background(), args)
		}
		if err == nil {
			err = a.logs(c, l)
		}
		if !isGone(err) || l.Follow || l.rotate {
			return err
		}
		return a.logsOfFiles(err, l)
	}
	cmd.Flags().BoolVarP(&l.Follow, "follow", "f", false, "go on with what is written from now on")
	cmd.Flags().VarP(&countValue{&l.N}, "lines", "n", "how many of each instance, the last ones; -1 is all, as with --since, --until and --grep")
	cmd.Flags().StringVar(&l.since, "since", "", "how far back: 10m, 7d, today, 14:03, 2026-11-21 14:03, or a time as 2026-01-02T15:04:05Z")
	cmd.Flags().StringVar(&l.until, "until", "", "up to when; as --since")
	cmd.Flags().StringVar(&l.Grep, "grep", "", "only lines that match this regular expression (RE2)")
	cmd.Flags().BoolVar(&l.json, "json", false, "print one JSON object per line")
	cmd.Flags().BoolVar(&l.rotate, "rotate", false, "print nothing, but begin new files")
	return cmd
}

// read checks the flags and makes times of texts.
func (l *logChoice) read(now time.Time) (err error) {
	if l.Since, err = timeOf("since", l.since, now); err != nil {
		return err
	}
	if l.Until, err = timeOf("until", l.until, now); err != nil {
		return err
	}
	if l.Follow && l.until != "" {
		return &refusal{code: exitUsage, message: "--until is of the past, --follow of what is to come", hint: "leave one of them out"}
	}
	if _, err := regexp.Compile(l.Grep); err != nil {
		return &refusal{code: exitUsage, message: fmt.Sprintf("--grep %q is no regular expression: %v", l.Grep, err),
			hint: "put a \\ before characters that are meant as they are: . * + ? ( ) [ ] { } | ^ $"}
	}
	return nil
}

// logs prints lines of a running daemon, with names where there is more than one instance.
func (a *app) logs(c *client.Client, l logChoice) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	list, err := statusOf(ctx, c, l.Targets)
	if err != nil {
		return err
	}
	p := newPrinter(a.ui, list)
	err = c.Logs(ctx, l.LogQuery, a.logPrinter(p, l.json, len(l.Targets) == 1 && len(list) == 1))
	if p.lost() || isClosed(err) {
		return nil // whoever read it has gone
	}
	if l.Follow && (err == nil || isGone(err)) { // it was there before
		a.ui.note("the daemon has ended: nothing more is followed")
		return nil
	}
	return err
}

// logPrinter prints lines, alone without a name.
func (a *app) logPrinter(p *printer, asJSON, alone bool) func(api.LogLine) error {
	return func(l api.LogLine) error {
		switch {
		case asJSON:
			return a.ui.print("%s\n", oneLine(l))
		case alone:
			return a.ui.print("%s\n", a.ui.cleanLine(l.Text))
		}
		return p.line(l.Name, l.Text)
	}
}

// logsOfFiles has stayd read log files: there is no daemon to ask.
func (a *app) logsOfFiles(gone error, l logChoice) error {
	dir := a.logDir(gone)
	if dir == "" {
		return gone
	}
	stayd, err := findStayd()
	if err != nil {
		return err
	}
	a.ui.note("no daemon runs: these are the files in %q", dir)
	args := []string{"logs", "--dir", dir, "-n", strconv.Itoa(l.N)}
	if !l.Since.IsZero() {
		args = append(args, "--since", l.Since.Format(time.RFC3339Nano))
	}
	if !l.Until.IsZero() {
		args = append(args, "--until", l.Until.Format(time.RFC3339Nano))
	}
	if l.Grep != "" {
		args = append(args, "--grep", l.Grep)
	}
	if l.json {
		args = append(args, "--json")
	}
	cmd := exec.Command(stayd, append(append(args, "--"), l.Targets...)...)
	cmd.Stdout, cmd.Stderr = a.ui.out, a.ui.err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return ended(exitFailed) // it said why
	}
	return err
}

// logDir returns the log directory of the daemon that is not there: the configuration's, if it is that daemon's, else
// the one beside its socket. "" if there is none.
func (a *app) logDir(gone error) string {
	socket := socketOf(gone)
	if r, err := inspect(""); err == nil && r.LogDir != "" && (socket == "" || sameFile(socket, r.Socket)) && isDir(r.LogDir) {
		return r.LogDir
	}
	if dir := filepath.Join(filepath.Dir(socket), "log"); socket != "" && isDir(dir) {
		return dir
	}
	return ""
}

// sameFile says whether two sockets, which need not exist, are in the same place.
func sameFile(a, b string) bool {
	if a, err := filepath.Abs(a); err == nil && a == filepath.Clean(b) {
		return true
	}
	x, err1 := os.Stat(filepath.Dir(a))
	y, err2 := os.Stat(filepath.Dir(b))
	return err1 == nil && err2 == nil && os.SameFile(x, y) && filepath.Base(a) == filepath.Base(b)
}

// isDir says whether path is a directory, or may be one that the caller must not see: who reads it says so.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, fs.ErrPermission) || err == nil && info.IsDir()
}

// isClosed says whether err is that nobody reads what is printed.
func isClosed(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Op == "write"
}
