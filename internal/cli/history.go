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
		Use: "history [SERVICE] [--since T]", Short: "Show what ended, when and why, the last at the bottom; also when the daemon is down",
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
			if len(list) == 0 {
				return a.ui.print("nothing ended, as far as is kept\n")
			}
			return a.ui.print("%s", a.historyText(list, a.now()))
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

// historyText is a line for each incident of a list that begins with the newest; the newest is last.
func (a *app) historyText(list []api.Incident, now time.Time) string {
	t := table{head: []string{"TIME", "INSTANCE", "UP", "THEN", "WHAT"}}
	for i := range slices.Backward(list) {
		in := &list[i]
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
		t.rows = append(t.rows, row{color: c, cells: []string{in.Time.In(now.Location()).Format("2006-01-02 15:04:05"), clean(in.Name), up,
			explain.Followed(in), clean(what)}})
	}
	width, _ := a.size()
	return strings.Join(t.lines(a.ui, width), "\n") + "\n"
}

// sinceTime reads how far back somebody wants to look.
func sinceTime(text string, now time.Time) (time.Time, error) {
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
	return time.Time{}, &refusal{code: exitUsage, message: fmt.Sprintf("--since %q is no time", text),
		hint: "say 30m, 12h, 7d, today, or 2026-01-02T15:04:05Z"}
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
