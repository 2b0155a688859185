package explain

import (
	"fmt"
	"strconv"

	"example.com/stay/api"
)

// A kind is how one kind of verdict is said: in the sentence that begins with the instance, and in the few words of a list.
type kind struct {
	sentence func(v *api.Verdict) string
	phrase   func(v *api.Verdict) string
}

// kinds are all kinds of verdicts.
var kinds = map[string]kind{
	"pulse": {
		func(v *api.Verdict) string {
			return "its pulse" + named(v) + " was silent for " + span(v.SilentMS) + limited(v)
		},
		func(v *api.Verdict) string {
			return "pulse" + named(v) + " silent for " + span(v.SilentMS) + limited(v)
		}},
	"progress": {
		func(v *api.Verdict) string {
			return "its pulse" + named(v) + " beat, but its progress stood still for " + span(v.SilentMS) + limited(v)
		},
		func(v *api.Verdict) string {
			return "pulse" + named(v) + " without progress for " + span(v.SilentMS) + limited(v)
		}},
	"paused": {
		func(v *api.Verdict) string {
			return "its pulse" + named(v) + " was paused for " + span(v.SilentMS) + limited(v)
		},
		func(v *api.Verdict) string {
			return "pulse" + named(v) + " paused for " + span(v.SilentMS) + limited(v)
		}},
	"required": {
		func(v *api.Verdict) string {
			return "a pulse is required, and none was live at the end of its start timeout" + limited(v)
		},
		func(*api.Verdict) string { return "no pulse came up" }},
	"lost": {
		func(v *api.Verdict) string { return "the thread of its pulse" + named(v) + " ended without leaving" },
		func(v *api.Verdict) string { return "thread of pulse" + named(v) + " ended" }},
	"broken": {
		func(v *api.Verdict) string { return "its pulse page was broken" + because(v) },
		func(v *api.Verdict) string { return "pulse page broken" + because(v) }},
	"watchdog": {
		func(v *api.Verdict) string { return "it sent no WATCHDOG=1 for " + span(v.SilentMS) + limited(v) },
		func(v *api.Verdict) string { return "no WATCHDOG=1 for " + span(v.SilentMS) + limited(v) }},
	"trigger": {
		func(*api.Verdict) string { return "it asked for that itself, by WATCHDOG=trigger" },
		func(*api.Verdict) string { return "WATCHDOG=trigger" }},
	"silence": {
		func(v *api.Verdict) string { return "it wrote no output for " + span(v.SilentMS) + limited(v) },
		func(v *api.Verdict) string { return "no output for " + span(v.SilentMS) + limited(v) }},
	"check": {
		func(v *api.Verdict) string {
			return "its check" + named(v) + " failed " + many(v.Failures, "time", "times") + " in a row" + because(v)
		},
		func(v *api.Verdict) string {
			return "check" + named(v) + " failed " + many(v.Failures, "time", "times") + because(v)
		}},
	"table": {
		func(v *api.Verdict) string {
			return "its entry" + named(v) + " in an old heartbeat table was silent for " + span(v.SilentMS) + limited(v)
		},
		func(v *api.Verdict) string {
			return "table entry" + named(v) + " silent for " + span(v.SilentMS) + limited(v)
		}},
}

// named is the name of what a verdict is about, with a space before it; the slot where it has none.
func named(v *api.Verdict) string {
	switch {
	case v.Pulse != "":
		return " " + tick(v.Pulse)
	case v.Slot >= 0 && v.Kind != "check":
		return " in slot " + strconv.Itoa(v.Slot)
	}
	return ""
}

func limited(v *api.Verdict) string {
	if v.LimitMS <= 0 {
		return ""
	}
	return " (limit " + limit(v.LimitMS) + ")"
}

func because(v *api.Verdict) string {
	if v.Message == "" {
		return ""
	}
	return ": " + v.Message
}

// hang says what it was condemned for.
func hang(a *api.Incident, at string) string {
	what := a.Message
	if v := a.Verdict; v != nil {
		if k, known := kinds[v.Kind]; known {
			what = k.sentence(v)
		}
	}
	return a.Name + " was killed " + at + ": " + what + "."
}

// lastSeen says what it was doing: its note, its thread, and how the other pulses were.
func lastSeen(a *api.Incident) string {
	v := a.Verdict
	if v == nil {
		return status(a)
	}
	note := ""
	if v.Note != "" {
		note = "It was last at " + tick(v.Note) + "."
	}
	thread, others := threadOf(a), company(v)
	if thread != "" && others != "" {
		others = thread + "; " + others
	} else if thread != "" {
		others = thread
	} else if others != "" {
		others = capital(others)
	}
	if others != "" {
		others += "."
	}
	held := ""
	if v.HeldMS > 0 {
		held = "It had been held or excused for " + span(v.HeldMS) + " before."
	}
	return sentences(note, others, held, status(a))
}

func capital(text string) string {
	if text[0] >= 'a' && text[0] <= 'z' {
		return string(text[0]-'a'+'A') + text[1:]
	}
	return text
}

// company says how the other pulses were.
func company(v *api.Verdict) string {
	if v.Kind == "required" || v.Kind == "broken" || v.Kind == "check" && v.Late == 0 && v.Fine == 0 {
		return ""
	}
	var text string
	if n := v.Late - 1; n > 0 {
		text = many(n, "other pulse was late too", "other pulses were late too")
		if v.Fine > 0 {
			return text + ", " + strconv.Itoa(v.Fine) + " " + plural(v.Fine, "was", "were") + " fine"
		}
		return text
	}
	if v.Fine > 0 {
		return many(v.Fine, "other pulse was", "other pulses were") + " fine"
	}
	return ""
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// threadOf says what the thread did that stands for the verdict; where none stands for it, what all threads did alike.
func threadOf(a *api.Incident) string {
	if a.Evidence == nil {
		return ""
	}
	v := a.Verdict
	for _, p := range a.Evidence.Processes {
		for _, t := range p.Threads {
			if v.Tid != 0 && t.Tid == v.Tid || v.Tid == 0 && v.Pulse != "" && t.Pulse == v.Pulse {
				return fmt.Sprintf("Thread %d (%s) %s", t.Tid, t.Comm, doing(t))
			}
		}
	}
	if v.Tid != 0 {
		return fmt.Sprintf("Thread %d was not there any more", v.Tid)
	}
	if len(a.Evidence.Processes) == 0 {
		return ""
	}
	return processDoing(a.Evidence.Processes[0])
}

// processDoing says what all threads of a process did, if that is one thing.
func processDoing(p api.Seen) string {
	if len(p.Threads) == 0 {
		return ""
	}
	first := p.Threads[0]
	for _, t := range p.Threads {
		if t.State != first.State {
			return ""
		}
	}
	switch {
	case p.Count == 1:
		return fmt.Sprintf("Its only thread (%s) %s", first.Comm, doing(first))
	case first.State == "T":
		return "The whole process was stopped by a signal, as by SIGSTOP"
	}
	return ""
}

// doing says what a thread did, after its name.
func doing(t api.Thread) string {
	where := ""
	if t.Wchan != "" && t.Wchan != "0" {
		where = " in " + t.Wchan
	} else if t.Syscall != "" && t.Syscall != "running" {
		where = " in " + t.Syscall
	}
	switch t.State {
	case "R":
		return "was running, " + cpu(t.UserMS+t.SysMS)
	case "D":
		return "was in an uninterruptible wait" + where + ": for a disk or a driver"
	case "T":
		return "was stopped by a signal, as by SIGSTOP"
	case "t":
		return "was held by a tracer"
	case "Z", "X":
		return "had ended"
	}
	return "was blocked" + where
}

func cpu(ms int64) string { return span(float64(ms)) + " of processor time so far" }

// ending says how a hanging instance ended after the first signal.
func ending(a *api.Incident) string {
	switch {
	case a.Escalated:
		return "It did not end by the stop signal: SIGKILL ended it."
	case a.Signal == "" && a.Pid != 0:
		return fmt.Sprintf("It obeyed the stop signal, with exit code %d.", a.Code)
	}
	return ""
}
