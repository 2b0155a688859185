package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

// defaultLines is how many lines of each instance `logs` shows.
const defaultLines = 100

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	n := defaultLines
	cmd := &cobra.Command{
		Use: "logs [-f] [-n N] [SERVICE…]", Short: "Show what services wrote; also when the daemon is down",
		Args: noEmpty, ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		c, err := a.connect()
		if err == nil {
			err = a.logs(c, args, n, follow)
		}
		if !isGone(err) || follow {
			return err
		}
		return a.logsOfFiles(err, args, n)
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on")
	cmd.Flags().VarP(&countValue{&n}, "lines", "n", "how many lines of each instance; -1 is all")
	return cmd
}

// logs prints lines of a running daemon, with names where there is more than one instance.
func (a *app) logs(c *client.Client, targets []string, n int, follow bool) error {
	ctx := context.Background()
	list, err := statusOf(ctx, c, targets)
	if err != nil {
		return err
	}
	p := newPrinter(a.ui, list)
	err = c.Logs(ctx, targets, n, follow, func(l api.LogLine) error {
		if len(targets) == 1 && len(list) == 1 {
			return a.ui.print("%s\n", a.ui.cleanLine(l.Text))
		}
		return p.line(l.Name, l.Text)
	})
	if p.lost() || isClosed(err) {
		return nil // whoever read it has gone
	}
	return err
}

// logsOfFiles has stayd print log files: there is no daemon to ask.
func (a *app) logsOfFiles(gone error, names []string, n int) error {
	dir := a.logDir(gone)
	if dir == "" {
		return gone
	}
	stayd, err := findStayd()
	if err != nil {
		return err
	}
	a.ui.note("no daemon runs: these are the files in %q", dir)
	args := append([]string{"logs", "--dir", dir, "-n", strconv.Itoa(n), "--"}, names...)
	cmd := exec.Command(stayd, args...)
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
