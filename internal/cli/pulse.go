package cli

import (
	"cmp"
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

// nearLimit is the part of its limit from which on a pulse is shown in colour: half of it is normal for programs that beat
// once per half a limit, as sd_watchdog_enabled(3) advises.
const nearLimit = 0.75

func (a *app) pulseCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use: "pulse [SERVICE…]", Short: "Show every sign of life: age, limit, rate, progress, and what it is at",
		Long: "Show every sign of life, the most urgent of each instance first: pulses of the page, watchdog messages, silence,\n" +
			"checks, and entries of old heartbeat tables. AGE is the time since the last beat; what comes to LIMIT is a hang.",
		Args: noEmpty, ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		look := func(ctx context.Context, width int) (string, error) {
			list, err := pulsesOf(ctx, c, args)
			return a.pulseText(list, asJSON, width), err
		}
		if watch {
			return a.watch(asJSON, look)
		}
		width, _ := a.size()
		text, err := look(context.Background(), width)
		if err != nil {
			return err
		}
		return a.ui.print("%s", text)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array, an object per pulse")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second, until q or Ctrl-C")
	return cmd
}

// pulsesOf returns the pulses of what targets name, all of them for none, each once, by instance and the most urgent first.
func pulsesOf(ctx context.Context, c *client.Client, targets []string) ([]api.PulseSlot, error) {
	if len(targets) == 0 {
		targets = []string{""}
	}
	list := []api.PulseSlot{}
	had := map[string]bool{}
	for _, t := range targets {
		some, err := c.Pulses(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, s := range some {
			key := strings.Join([]string{s.Name, s.Source, strconv.Itoa(s.Slot), s.Pulse}, "\x00")
			if !had[key] {
				had[key] = true
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b api.PulseSlot) int {
		return cmp.Or(compareNames(a.Name, b.Name), cmp.Compare(explain.Urgency(b), explain.Urgency(a)))
	})
	return list, nil
}

// compareNames orders instances by service and number; what has no instance comes last.
func compareNames(a, b string) int {
	s1, n1 := splitName(a)
	s2, n2 := splitName(b)
	return cmp.Or(cmp.Compare(oneIf(a == ""), oneIf(b == "")), cmp.Compare(s1, s2), cmp.Compare(n1, n2))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func splitName(name string) (service string, number int) {
	service, text, _ := strings.Cut(name, ".")
	number, _ = strconv.Atoi(text)
	return service, number
}

// pulseText is the answer, whole lines of at most width characters (0: any number).
func (a *app) pulseText(list []api.PulseSlot, asJSON bool, width int) string {
	if asJSON {
		return toJSON(list)
	}
	if len(list) == 0 {
		return "no pulses\n"
	}
	t := table{head: []string{"INSTANCE", "PULSE", "STATE", "AGE", "LIMIT", "RATE", "PROGRESS", "NOTE", "WHY"}}
	for _, s := range list {
		rate, progress := "-", "-"
		if s.Rate > 0 {
			rate = strconv.FormatFloat(s.Rate, 'f', decimals(s.Rate), 64) + "/s"
		}
		if s.Progress != 0 {
			progress = strconv.FormatUint(s.Progress, 10)
		}
		t.rows = append(t.rows, row{color: pulseColor(s), cells: []string{cmp.Or(clean(s.Name), "-"), clean(pulseName(s)), clean(s.State),
			age(s.AgeMS), ageLimit(s.LimitMS), rate, progress, clean(s.Note), clean(pulseWhy(s))}})
	}
	return strings.Join(t.lines(a.ui, width), "\n") + "\n"
}

// pulseName names a pulse: by itself, by the process that an entry of a table is about, by what it comes from.
func pulseName(s api.PulseSlot) string {
	name := cmp.Or(s.Pulse, s.Source)
	if s.Pulse == "" && s.Source == "page" {
		name = fmt.Sprintf("slot %d", s.Slot)
	}
	if s.Pid != 0 {
		name += fmt.Sprintf(" (pid %d)", s.Pid)
	}
	return name
}

func pulseWhy(s api.PulseSlot) string {
	if s.Late == 0 {
		return s.Why
	}
	text := fmt.Sprintf("was late %d times", s.Late)
	if s.Late == 1 {
		text = "was late once"
	}
	if s.Why != "" {
		text = s.Why + ", " + text
	}
	return text
}

func pulseColor(s api.PulseSlot) color {
	switch u := explain.Urgency(s); {
	case u >= 1 || s.State == "lost":
		return red
	case u >= nearLimit:
		return yellow
	case s.State == "paused":
		return dim
	}
	return plain
}

// age writes a span of milliseconds in few characters: 0ms, 250ms, 1.5s, 4m12s. It is negative where a beat lies ahead.
func age(ms float64) string {
	switch {
	case ms < 0:
		return "-" + age(-ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0fms", ms)
	case ms < 59_950:
		return fmt.Sprintf("%.1fs", ms/1000)
	}
	return short(milliseconds(ms).Round(time.Second))
}

func ageLimit(ms float64) string {
	if ms <= 0 {
		return "-"
	}
	return strings.Replace(age(ms), ".0s", "s", 1)
}

// decimals are how many a rate is shown with: three digits tell enough.
func decimals(rate float64) int {
	switch {
	case rate >= 99.5:
		return 0
	case rate >= 9.95:
		return 1
	}
	return 2
}

// worstPulse is the pulse of an instance that is nearest to its limit, in a cell.
func worstPulse(p *api.Pulse) string {
	if p == nil {
		return "-"
	}
	return age(float64(p.AgeMS)) + "/" + ageLimit(float64(p.LimitMS))
}
