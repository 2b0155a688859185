package cli

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/journal"
	"example.com/stay/internal/slo"
)

// bootIDFile is where the kernel says which boot this is, proc_sys_kernel(5).
const bootIDFile = "/proc/sys/kernel/random/boot_id"

func (a *app) sloCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "slo [SERVICE…]", Short: "Show how long services were up and how they died, over 1, 7 and 30 days; also when the daemon is down",
		Args: noEmpty, ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var book slo.Ledger
		longest := slices.Max(slo.Windows)
		f := api.EventFilter{Kinds: slo.Kinds, From: a.now().Add(-longest - 25*time.Hour)} // a checkpoint more than the longest window
		running, err := a.eachEvent(f, true, func(e api.Event) error { book.Add(e); return nil })
		if err != nil {
			return err
		}
		match := func(in string) bool {
			return len(args) == 0 || slices.ContainsFunc(args, func(t string) bool { return t == "all" || journal.IsTarget(t, in) })
		}
		list := book.Report(a.present(running), slo.Windows, match)
		if asJSON {
			return a.ui.print("%s", toJSON(list))
		}
		if len(list) == 0 {
			return a.ui.print("nothing ran, as far as the journal goes back\n")
		}
		width, _ := a.size()
		if err := a.ui.print("%s\n", strings.Join(sloTable(list).lines(a.ui, width), "\n")); err != nil {
			return err
		}
		if begin := book.Begin(); a.now().Sub(begin) < longest {
			return a.ui.print("%s\n", a.ui.paint(dim, "the journal begins "+begin.In(a.now().Location()).Format("2006-01-02 15:04:05")))
		}
		return nil
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

// present is now, on both clocks.
func (a *app) present(running bool) slo.Now {
	boot, _ := os.ReadFile(bootIDFile)
	return slo.Now{Time: a.now(), MonoNS: a.mono(), Boot: strings.TrimSpace(string(boot)), Running: running}
}

// monotonic is CLOCK_MONOTONIC, the same in every process of this boot.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// sloTable shows figures, a row for each window.
func sloTable(list []slo.Report) table {
	t := table{head: []string{"SERVICE", "OVER", "UPTIME", "DOWN", "UNKNOWN", "FAILURES", "BETWEEN", "RECOVERY", "DEATHS"}}
	for _, s := range list {
		name := clean(s.Service)
		for _, w := range s.Windows {
			c := plain
			if w.Open > 0 {
				c = red
			}
			t.rows = append(t.rows, row{color: c, cells: []string{name, fmt.Sprintf("%.0fd", w.WindowS/86400), percent(w), orNone(w.DownS), orNone(w.UnknownS),
				failures(w), mean(w.MTBFS), mean(w.MTTRS), deaths(w)}})
			name = ""
		}
	}
	return t
}

// percent is the time up of the time wanted; never 100 where it was down at all.
func percent(w slo.Window) string {
	if w.Uptime == nil {
		return "-"
	}
	p := 100 * *w.Uptime
	if w.DownS > 0 {
		p = min(p, 99.999)
	}
	return fmt.Sprintf("%.3f %%", p)
}

func failures(w slo.Window) string {
	if w.Open > 0 {
		return fmt.Sprintf("%d, down now", w.Failures)
	}
	return fmt.Sprint(w.Failures)
}

// deaths are how many of what, the most frequent first.
func deaths(w slo.Window) string {
	causes := slices.SortedFunc(maps.Keys(w.Causes), func(x, y api.Cause) int {
		return cmp.Or(cmp.Compare(w.Causes[y], w.Causes[x]), strings.Compare(string(x), string(y)))
	})
	var parts []string
	for _, c := range causes {
		parts = append(parts, fmt.Sprintf("%s %d", clean(string(c)), w.Causes[c]))
	}
	return strings.Join(parts, ", ")
}

func mean(s *float64) string {
	if s == nil {
		return "-"
	}
	return seconds(*s)
}

func orNone(s float64) string {
	if s == 0 {
		return "-"
	}
	return seconds(s)
}

// seconds writes a span, milliseconds where they matter.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return short(d)
}
