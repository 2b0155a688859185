package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
	"example.com/stay/internal/explain"
)

func (a *app) historyCommand() *cobra.Command {
	var since string
	var asJSON bool
	n := defaultLines
	var from time.Time
	cmd := &cobra.Command{
		Use: "history [SERVICE] [--since T]", Short: "Show what ended and why, and what was asked for, the last at the bottom; also when the daemon is down",
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 1 {
				return &refusal{code: exitUsage, message: "history takes one service", hint: "stay history SERVICE"}
			}
			if from, err = sinceTime(since, a.now()); err != nil {
				return err
			}
			return noEmpty(cmd, args)
		},
		ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return a.withArchive(func(_ *client.Client, in archive) error {
			f := client.IncidentFilter{Target: strings.Join(args, ""), Since: from, N: max(n, 0), Brief: true}
			list, err := in.Incidents(context.Background(), f)
			if err != nil {
				return err
			}
			if asJSON {
				slices.Reverse(list)
				return a.ui.print("%s", toJSON(full(list)))
			}
			since := from
			if n >= 0 && len(list) == n && n > 0 {
				since = list[n-1].Time // what is older would not be shown
			}
			did, err := deeds(in, f.Target, since)
			if err != nil {
				return err
			}
			if len(list)+len(did) == 0 {
				return a.ui.print("nothing ended, as far as is kept\n")
			}
			return a.ui.print("%s", a.historyText(list, did, n, a.now()))
		})
	}
	cmd.Flags().StringVar(&since, "since", "", `how far back: 30m, 12h, 7d, today, or a time as 2026-01-02T15:04:05Z`)
	cmd.Flags().VarP(&countValue{&n}, "lines", "n", "how many at most; -1 is all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array; stay why --json has the evidence too")
	return cmd
}

// full makes a list one that is an array in JSON in any case.
func full(list []api.Incident) []api.Incident {
	if list == nil {
		list = []api.Incident{}
	}
	return list
}

// deeds are the events of what was asked of target, or of everything for "", and of what became of the daemon itself.
func deeds(in archive, target string, since time.Time) (list []api.Event, err error) {
	f := api.EventFilter{From: since, Kinds: []string{api.KindCommand, api.KindEngine, api.KindKeeper}}
	if target != "" {
		f.Targets = []string{target}
	}
	err = in.EventsOf(context.Background(), f, func(e api.Event) error {
		if e.Kind != api.KindGap {
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// A moment is a line of a history.
type moment struct {
	at  time.Time
	row row
}

// historyText is a line for each incident of a list that begins with the newest, and for each deed of one that begins with
// the oldest; the newest is last. There are at most n, if n is not negative.
func (a *app) historyText(list []api.Incident, did []api.Event, n int, now time.Time) string {
	var all []moment
	for i := range slices.Backward(list) {
		all = append(all, moment{list[i].Time, incidentRow(&list[i])})
	}
	for _, e := range did {
		all = append(all, moment{e.Time, deedRow(e)})
	}
	slices.SortStableFunc(all, func(x, y moment) int { return x.at.Compare(y.at) })
	if n >= 0 {
		all = all[max(0, len(all)-n):]
	}
	t := table{head: []string{"TIME", "INSTANCE", "UP", "THEN", "WHAT"}}
	for _, m := range all {
		m.row.cells = slices.Insert(m.row.cells, 0, m.at.In(now.Location()).Format("2006-01-02 15:04:05"))
		t.rows = append(t.rows, m.row)
	}
	width, _ := a.size()
	return strings.Join(t.lines(a.ui, width), "\n") + "\n"
}

// incidentRow is the line of an end, without its time.
func incidentRow(in *api.Incident) row {
	c := plain
	if explain.Asked(in) {
		c = dim
	}
	what := explain.Phrase(in)
	if in.Skipped > 0 {
		what += fmt.Sprintf(" (and %d like it before)", in.Skipped)
	}
	up := "-"
	if in.UptimeMS > 0 {
		up = short(time.Duration(in.UptimeMS) * time.Millisecond)
	}
	return row{color: c, cells: []string{clean(in.Name), up, explain.Followed(in), clean(what)}}
}

// deedRow is the line of a command, or of something that became of the daemon, without its time.
func deedRow(e api.Event) row {
	what := e.Message
	if e.Kind != api.KindCommand {
		return row{cells: []string{"-", "-", "-", clean(what)}}
	}
	if e.By != nil {
		what += fmt.Sprintf(" (uid %d)", e.By.UID)
	}
	if e.Error != "" {
		what += ": " + e.Error
	}
	return row{cells: []string{"-", "-", "-", "asked: " + clean(what)}}
}

// sinceTime reads how far back somebody wants to look.
func sinceTime(text string, now time.Time) (time.Time, error) { return timeOf("since", text, now) }

// timeOf reads the time in a flag; a time of day is the last one there was.
func timeOf(flag, text string, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, nil
	case "today":
		y, m, d := now.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, now.Location()), nil
	case "yesterday":
		y, m, d := now.Date()
		return time.Date(y, m, d-1, 0, 0, 0, 0, now.Location()), nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36500 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = time.Date(y, m, d-1, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			}
			return at, nil
		}
	}
	return time.Time{}, &refusal{code: exitUsage, message: fmt.Sprintf("--%s %q is no time", flag, text),
		hint: "say 30m, 12h, 7d, today, 14:03, or 2026-01-02T15:04:05Z"}
}

// A countValue is a flag that counts lines, and refuses in one voice.
type countValue struct{ n *int }

func (v *countValue) String() string { return strconv.Itoa(*v.n) }
func (v *countValue) Type() string   { return "int" }

func (v *countValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 {
		return fmt.Errorf("say a whole number; -1 is all")
	}
	*v.n = n
	return nil
}

// A spanValue is a flag that is a span of time, and refuses in one voice.
type spanValue struct{ d *time.Duration }

func (v *spanValue) String() string {
	if v.d == nil || *v.d == 0 {
		return ""
	}
	return v.d.String()
}
func (v *spanValue) Type() string { return "duration" }

func (v *spanValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("say a number and its unit, as in 500ms, 30s or 5m")
	}
	*v.d = d
	return nil
}
