package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/stay/api"
)

// How much of the evidence people get to see; the incident itself has all of it.
const (
	maxProcesses = 6
	maxThreads   = 8
	maxFrames    = 12
	maxFiles     = 12
	maxSlots     = 12
	maxLines     = 12
)

// A Section is one part of the evidence: lines under a title.
type Section struct {
	Title string
	Lines []Line
}

// A Line is one line of a section.
type Line struct {
	Text   string
	Indent int  // how deep it stands below what it belongs to
	Late   bool // it is about what the verdict is about
}

// Evidence returns what was seen, the most telling first. Sections without lines are left out.
func Evidence(a *api.Incident, now time.Time) []Section {
	var list []Section
	add := func(title string, lines []Line) {
		if len(lines) > 0 {
			list = append(list, Section{title, lines})
		}
	}
	add("run", run(a, now))
	if v := a.Verdict; v != nil {
		add("pulses", slots(v))
	}
	if e := a.Evidence; e != nil {
		for i, p := range e.Processes {
			if i == maxProcesses {
				add("more", []Line{{Text: many(len(e.Processes)-i, "more process", "more processes")}})
				break
			}
			add(process(p), inside(p))
		}
		add("machine", machine(e))
		add("not seen", plain(e.Missing, maxLines))
	}
	add("last output", last(a.Log, maxLines))
	return list
}

// run is what is known of the generation as a whole.
func run(a *api.Incident, now time.Time) []Line {
	var parts []string
	if a.Generation != 0 {
		parts = append(parts, fmt.Sprintf("generation %d", a.Generation))
	}
	if a.Pid != 0 {
		parts = append(parts, "pid "+strconv.Itoa(a.Pid))
	}
	if a.UptimeMS > 0 && !a.Started.IsZero() {
		parts = append(parts, "started "+moment(a.Started, now)+", up for "+span(float64(a.UptimeMS)))
	}
	lines := []Line{{Text: strings.Join(parts, ", ")}}
	if u := a.Usage; u != nil {
		lines = append(lines, Line{Text: fmt.Sprintf("processor time %s of its own, %s in the kernel; at most %s of memory",
			span(float64(u.UserMS)), span(float64(u.SysMS)), size(u.MaxRSS))})
	}
	if a.ID != "" {
		lines = append(lines, Line{Text: "incident " + a.ID})
	}
	if lines[0].Text == "" {
		lines = lines[1:]
	}
	return lines
}

// slots are the pulses of an instance as they were, the late ones first.
func slots(v *api.Verdict) []Line {
	ordered := slices.Clone(v.Slots)
	slices.SortStableFunc(ordered, func(a, b api.PulseSlot) int { return compare(Urgency(b), Urgency(a)) })
	var lines []Line
	for i, s := range ordered {
		if i == maxSlots {
			return append(lines, Line{Text: many(len(ordered)-i, "more", "more")})
		}
		name := s.Pulse
		if name == "" {
			name = s.Source
		}
		text := fmt.Sprintf("%s: %s, %s of %s", tick(name), s.State, span(s.AgeMS), limit(s.LimitMS))
		if s.LimitMS <= 0 {
			text = fmt.Sprintf("%s: %s, %s", tick(name), s.State, span(s.AgeMS))
		}
		if s.Note != "" {
			text += ", at " + tick(s.Note)
		}
		if s.Why != "" {
			text += ", " + s.Why
		}
		lines = append(lines, Line{Text: text, Late: Urgency(s) >= 1})
	}
	return lines
}

// Urgency is how much of its limit a pulse has used up: from 1 on it is late. What has no limit, or is not judged, is at 0.
func Urgency(s api.PulseSlot) float64 {
	switch {
	case s.State == "failing" || s.State == "broken":
		return 1
	case s.LimitMS <= 0 || s.State == "paused" || s.State == "lost":
		return 0
	}
	return max(0, s.AgeMS) / s.LimitMS
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// process is the title of a process.
func process(p api.Seen) string {
	text := fmt.Sprintf("process %d (%s): %s, %s", p.Pid, p.Comm, State(p.State), many(p.Count, "thread", "threads"))
	if p.RSS > 0 {
		text += ", " + size(p.RSS)
	}
	if p.Swap > 0 {
		text += ", " + size(p.Swap) + " in swap"
	}
	if p.Open >= 0 {
		text += ", " + many(p.Open, "descriptor", "descriptors")
	}
	return text
}

// inside are the lines of one process.
func inside(p api.Seen) []Line {
	var lines []Line
	if len(p.Command) > 0 {
		lines = append(lines, Line{Text: strings.Join(p.Command, " ")})
	}
	lines = append(lines, threads(p)...)
	for _, l := range plain(p.Limits, maxLines) {
		l.Text = "near a limit: " + l.Text
		lines = append(lines, l)
	}
	if len(p.Files) > 0 {
		shown := p.Files[:min(len(p.Files), maxFiles)]
		text := "open: " + strings.Join(shown, "; ")
		if more := max(p.Open, len(p.Files)) - len(shown); more > 0 {
			text += fmt.Sprintf("; %d more", more)
		}
		lines = append(lines, Line{Text: text})
	}
	return lines
}

// threads shows those of late pulses with all that is known, of the others what they did, alike ones together.
func threads(p api.Seen) []Line {
	var lines []Line
	groups := map[string]int{} // index of the line
	counts := map[string]int{}
	shown, whole := 0, 0
	for _, t := range p.Threads {
		if (t.Pulse != "" || len(p.Threads) == 1) && whole < maxThreads {
			lines = append(lines, thread(t)...)
			shown, whole = shown+1, whole+1
			continue
		}
		key := t.State + t.Wchan + t.Comm
		if counts[key]++; counts[key] > 1 {
			lines[groups[key]].Text = fmt.Sprintf("%d threads %s", counts[key], did(t))
			shown++
			continue
		}
		if len(groups) == maxThreads {
			continue
		}
		groups[key] = len(lines)
		lines = append(lines, Line{Text: fmt.Sprintf("thread %d %s", t.Tid, did(t))})
		shown++
	}
	if more := max(p.Count, len(p.Threads)) - shown; more > 0 {
		lines = append(lines, Line{Text: many(more, "more thread", "more threads")})
	}
	return lines
}

// did is what a thread did, in a few words.
func did(t api.Thread) string {
	text := "(" + t.Comm + "): " + State(t.State)
	if t.Wchan != "" && t.Wchan != "0" {
		text += " in " + t.Wchan
	}
	return text
}

// thread is all that is known of one thread.
func thread(t api.Thread) []Line {
	text := fmt.Sprintf("thread %d %s", t.Tid, did(t))
	if t.Pulse != "" {
		text += ", pulse " + tick(t.Pulse)
	}
	lines := []Line{{Text: text, Late: t.Pulse != ""}}
	if t.Syscall != "" {
		lines = append(lines, Line{Text: "system call: " + t.Syscall, Indent: 1})
	}
	if len(t.Stack) > 0 {
		frames := t.Stack[:min(len(t.Stack), maxFrames)]
		lines = append(lines, Line{Text: "kernel: " + strings.Join(frames, " < "), Indent: 1})
	}
	return append(lines, Line{Indent: 1, Text: fmt.Sprintf("ran %s of its own, %s in the kernel; waited %s for a processor",
		span(float64(t.UserMS)), span(float64(t.SysMS)), span(float64(t.RunDelayMS)))})
}

// State is a process state of /proc/PID/stat in a word.
func State(s string) string {
	if word := states[s]; word != "" {
		return word
	}
	return "state " + s
}

var states = map[string]string{"R": "running", "S": "sleeping", "D": "in an uninterruptible wait", "T": "stopped", "t": "traced", "Z": "dead",
	"X": "dead", "I": "idle"}

// machine is how the machine was.
func machine(e *api.Evidence) []Line {
	var lines []Line
	if e.Load != "" {
		lines = append(lines, Line{Text: "load " + e.Load})
	}
	for _, l := range plain(pressing(e.Pressure), maxLines) {
		l.Text = "pressure " + l.Text
		lines = append(lines, l)
	}
	if len(e.Memory) > 0 {
		lines = append(lines, Line{Text: strings.Join(e.Memory[:min(len(e.Memory), maxLines)], ", ")})
	}
	return lines
}

// pressing are the lines of /proc/pressure that tell of any in the last minute, without what was before.
func pressing(list []string) []string {
	var some []string
	for _, l := range list {
		if strings.Contains(l, " avg10=0.00 avg60=0.00") {
			continue
		}
		l, _, _ = strings.Cut(l, " avg300=")
		some = append(some, l)
	}
	if len(some) == 0 && len(list) > 0 {
		return []string{"none in the last minute"}
	}
	return some
}

// plain are at most n of lines, with the number of the others.
func plain(list []string, n int) []Line {
	var lines []Line
	for i, text := range list {
		if i == n {
			return append(lines, Line{Text: many(len(list)-n, "more", "more")})
		}
		lines = append(lines, Line{Text: text})
	}
	return lines
}

// last are the last n of lines.
func last(list []string, n int) []Line {
	return plain(list[max(0, len(list)-n):], n)
}
