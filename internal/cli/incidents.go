package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// An archive is where incidents and events come from: a daemon, or, when none runs, its files.
type archive interface {
	EventsOf(ctx context.Context, f api.EventFilter, emit func(api.Event) error) error
	Incidents(ctx context.Context, f client.IncidentFilter) ([]api.Incident, error)
	Incident(ctx context.Context, id string) (*api.Incident, error)
}

// withArchive has use ask the daemon or, when none runs, the files that it left; c is nil then.
func (a *app) withArchive(use func(c *client.Client, from archive) error) error {
	c, err := a.connect()
	if err == nil {
		err = use(c, c)
	}
	if !isGone(err) {
		return err
	}
	dir := a.leftDir(err, "incidents")
	if dir == "" {
		return err
	}
	a.ui.note("no daemon runs: this is from the files in %q", dir)
	return use(nil, files{dir, a.ui.err})
}

// leftDir returns where the daemon that is not there keeps what, "" if nothing is there.
func (a *app) leftDir(gone error, what string) string {
	socket := socketOf(gone)
	if r, err := inspect(""); err == nil && r.StateDir != "" && (socket == "" || sameFile(socket, r.Socket)) {
		if dir := filepath.Join(r.StateDir, what); isDir(dir) {
			return dir
		}
	}
	if dir := filepath.Join(filepath.Dir(socket), "state", what); socket != "" && isDir(dir) {
		return dir
	}
	return ""
}

// socketOf is the socket on which no daemon was.
func socketOf(gone error) string {
	var e *client.NotReachable
	if errors.As(gone, &e) {
		return e.Socket
	}
	return ""
}

// files is the directory of incidents of a daemon that does not run. stayd reads it, and says on err what is wrong.
type files struct {
	dir string
	err io.Writer
}

func (f files) EventsOf(_ context.Context, which api.EventFilter, emit func(api.Event) error) error {
	dir := filepath.Join(filepath.Dir(f.dir), "journal")
	if !isDir(dir) {
		return nil
	}
	return eventsOfFiles(dir, which, f.err, emit)
}

func (f files) Incidents(_ context.Context, which client.IncidentFilter) ([]api.Incident, error) {
	args := []string{"-n", strconv.Itoa(which.N)}
	if !which.Since.IsZero() {
		args = append(args, "--since", which.Since.Format(time.RFC3339Nano))
	}
	if which.Target != "" && which.Target != "all" {
		args = append(args, "--target", which.Target)
	}
	return f.read(args...)
}

func (f files) Incident(_ context.Context, id string) (*api.Incident, error) {
	list, err := f.read("--id", id)
	if err == nil && len(list) == 0 {
		err = failed(fmt.Sprintf("there is no incident %q", id), "stay history")
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func (f files) read(args ...string) ([]api.Incident, error) {
	stayd, err := findStayd()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(stayd, append([]string{"incidents", "--dir", f.dir}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, f.err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, ended(exitFailed) // it said why
	}
	if err != nil {
		return nil, err
	}
	var list []api.Incident
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, failed(fmt.Sprintf("%q incidents: %v", stayd, err), "are stay and stayd of the same version? stay version; stayd version")
	}
	return list, nil
}
