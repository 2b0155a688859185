package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
)

// lookBack is how far `events` looks back unless it is told.
const lookBack = 24 * time.Hour

func (a *app) eventsCommand() *cobra.Command {
	var f api.EventFilter
	var since string
	var asJSON bool
	n := defaultLines
	cmd := &cobra.Command{
		Use: "events [-f] [--since T] [SERVICE…]", Short: "Show what happened, the last at the bottom; also when the daemon is down",
		Example:           "  stay events -f\n  stay events --since 2d --kind exit --kind hang web\n  stay events --since 4711 --json",
		ValidArgsFunction: a.completeNames,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, f.From, err = sinceEvent(since, a.now()); err != nil {
				return err
			}
			return noEmpty(cmd, args)
		},
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if f.Targets = args; len(args) == 0 {
			f.Targets = nil
		}
		if since == "" {
			f.From = a.now().Add(-lookBack)
		} else if !cmd.Flags().Changed("lines") {
			n = -1
		}
		err := a.events(f, n, func(e api.Event) error { return a.printEvent(e, asJSON) })
		if isClosed(err) {
			return nil // whoever read it has gone
		}
		return err
	}
	cmd.Flags().BoolVarP(&f.Follow, "follow", "f", false, "go on with what happens from now on")
	cmd.Flags().StringVar(&since, "since", "", "how far back: 30m, 12h, 7d, today, a time, or the number of an event (default 24h)")
	cmd.Flags().StringArrayVar(&f.Kinds, "kind", nil, "only of this kind: state, exit, hang, command, …; may be repeated")
	cmd.Flags().VarP(&countValue{&n}, "lines", "n", "how many at most, the last ones; -1 is all, as with --since")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return cmd
}

// sinceEvent reads how far back somebody wants to look: a number, or what sinceTime reads.
func sinceEvent(text string, now time.Time) (uint64, time.Time, error) {
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return seq, time.Time{}, nil
	}
	t, err := sinceTime(text, now)
	return 0, t, err
}

// events calls emit with the last n of what f chooses; n < 0 is all.
func (a *app) events(f api.EventFilter, n int, emit func(api.Event) error) error {
	if n < 0 {
		_, err := a.eachEvent(f, !f.Follow, emit)
		return err
	}
	var last []api.Event
	past := f
	past.Follow = false
	_, err := a.eachEvent(past, !f.Follow, func(e api.Event) error {
		f.Since = max(f.Since, e.Seq)
		if last = append(last, e); len(last) > 2*n+100 {
			last = slices.Delete(last, 0, len(last)-n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range last[max(0, len(last)-n):] {
		if err := emit(e); err != nil {
			return err
		}
	}
	if !f.Follow {
		return nil
	}
	_, err = a.eachEvent(f, false, emit)
	return err
}

// eachEvent calls emit with what f chooses: the daemon's events or, when none runs and files are wanted too, those that it
// left. It says whether a daemon runs.
func (a *app) eachEvent(f api.EventFilter, orFiles bool, emit func(api.Event) error) (running bool, err error) {
	c, err := a.connect()
	if err == nil {
		err = c.EventsOf(context.Background(), f, emit)
	}
	if !isGone(err) || !orFiles {
		return true, err
	}
	dir := a.leftDir(err, "journal")
	if dir == "" {
		return false, err
	}
	a.ui.note("no daemon runs: this is from the files in %q", dir)
	return false, eventsOfFiles(dir, f, a.ui.err, emit)
}

// eventsOfFiles has stayd read the journal in dir, and say on complaints what is wrong.
func eventsOfFiles(dir string, f api.EventFilter, complaints io.Writer, emit func(api.Event) error) error {
	stayd, err := findStayd()
	if err != nil {
		return err
	}
	args := []string{"events", "--dir", dir, "--since", strconv.FormatUint(f.Since, 10)}
	if !f.From.IsZero() {
		args = append(args, "--from", f.From.Format(time.RFC3339Nano))
	}
	for _, k := range f.Kinds {
		args = append(args, "--kind", k)
	}
	cmd := exec.Command(stayd, append(append(args, "--"), f.Targets...)...)
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := eachLine(out, emit)
	if failed != nil {
		out.Close() // it writes no more then, and ends
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case failed != nil:
		return failed
	case errors.As(err, &exit):
		return ended(exitFailed) // it said why
	}
	return err
}

// eachLine calls emit with each event of a stream of lines.
func eachLine(from io.Reader, emit func(api.Event) error) error {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return failed(fmt.Sprintf("an event of stayd: %v", err), "are stay and stayd of the same version? stay version; stayd version")
		}
		if err := emit(e); err != nil {
			return err
		}
	}
}

// printEvent prints one event.
func (a *app) printEvent(e api.Event, asJSON bool) error {
	if asJSON {
		return a.ui.print("%s\n", oneLine(e))
	}
	name := e.Name
	if name == "" {
		name = "-"
	}
	when := e.Time.In(a.now().Location()).Format("2006-01-02 15:04:05.000")
	return a.ui.print("%s  %-14s  %s\n", a.ui.paint(dim, when), clean(name), a.ui.eventText(e))
}

// eventText says in one line what happened.
func (u *ui) eventText(e api.Event) string {
	text := clean(e.Message)
	switch e.Kind {
	case api.KindCommand:
		if e.By != nil {
			text += fmt.Sprintf(" (uid %d)", e.By.UID)
		}
		if e.Error != "" {
			return u.paint(red, text) + ": " + clean(e.Error)
		}
		return u.paint(bold, text)
	case api.KindResult:
		text = strings.TrimSpace(clean(e.Verb+" "+e.Target)) + ": " + text
		if e.Error != "" {
			return u.paint(red, text) + ", " + clean(e.Error)
		}
		return text
	case api.KindGap:
		return u.paint(yellow, text)
	case api.KindExit:
		if !e.Expected {
			return u.paint(red, text)
		}
		return text
	}
	if e.Name == "" {
		return clean(e.Kind) + ": " + text
	}
	return u.change(e)
}

// change is what an event says of its instance.
func (u *ui) change(e api.Event) string {
	text := clean(e.Message)
	if e.Kind == "hang" {
		return u.paint(yellow, "hangs") + ": " + text
	}
	if e.To == "" {
		return text
	}
	s := u.paint(stateColor(e.To), clean(string(e.To)))
	if e.Pid != 0 && e.To != api.Stopping {
		s += fmt.Sprintf(", pid %d", e.Pid)
	}
	if text != "" {
		s += ", " + text
	}
	return s
}
