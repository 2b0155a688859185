package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/stay/api"
)

// A table is rows of cells under a heading, in columns as wide as they must be.
type table struct {
	head []string
	rows []row
}

type row struct {
	cells []string
	color color
}

// lines returns the table's lines without line ends, each at most width characters; 0 is any number.
func (t table) lines(u *ui, width int) []string {
	widths := make([]int, len(t.head))
	for _, r := range append([]row{{cells: t.head}}, t.rows...) {
		for i, c := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	list := []string{u.paint(bold, cut(join(t.head, widths), width))}
	for _, r := range t.rows {
		list = append(list, u.paint(r.color, cut(join(r.cells, widths), width)))
	}
	return list
}

func join(cells []string, widths []int) string {
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// cut shortens a text to width characters; 0 is any number.
func cut(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// statusTable shows instances.
func statusTable(list []api.Instance) table {
	t := table{head: []string{"SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "WHY"}}
	pulses := slices.ContainsFunc(list, func(in api.Instance) bool { return in.Pulse != nil })
	const whyColumn = 5
	if pulses {
		t.head = slices.Insert(t.head, whyColumn, "PULSE")
	}
	for _, in := range list {
		pid, uptime := "-", "-"
		if in.Pid != 0 {
			pid, uptime = strconv.Itoa(in.Pid), short(time.Duration(in.UptimeMS)*time.Millisecond)
		}
		why := in.Why
		if why == "" {
			why = in.Status
		}
		c := plain
		if in.State == api.Waiting || in.State == api.Failed {
			c = stateColor(in.State)
		}
		cells := []string{clean(in.Name), clean(string(in.State)), pid, uptime, strconv.Itoa(in.Restarts), clean(why)}
		if pulses {
			cells = slices.Insert(cells, whyColumn, worstPulse(in.Pulse))
		}
		t.rows = append(t.rows, row{color: c, cells: cells})
	}
	return t
}

// milliseconds is a span as package api has it.
func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// refusing are lines about processes that are still there after SIGKILL.
func refusing(list []api.Instance) []string {
	var lines []string
	for _, in := range list {
		for _, p := range in.Refusing {
			lines = append(lines, clean(in.Name+": "+process(p)+" refuses to die"))
		}
	}
	return lines
}

// process names a process.
func process(p api.Process) string {
	s := fmt.Sprintf("%s (pid %d, state %s", p.Comm, p.Pid, p.State)
	if p.Where != "" && p.Where != "0" {
		s += ", in " + p.Where
	}
	return s + ")"
}

// short writes a span in two units at most: 3s, 4m12s, 2h05m, 3d04h.
func short(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// brief says in a few words how an instance is.
func brief(in api.Instance) string {
	s := in.Name + ": " + string(in.State)
	switch {
	case in.Why != "":
		s += ", " + in.Why
	case in.Pid != 0:
		s += ", pid " + strconv.Itoa(in.Pid)
	}
	return clean(s)
}
