package explain

import (
	"strconv"
	"time"

	"example.com/stay/api"
)

// Phrase says an incident in a few words, for lists.
func Phrase(a *api.Incident) string {
	switch a.Cause {
	case api.CauseExit:
		return "exit code " + strconv.Itoa(a.Code)
	case api.CauseSignal:
		return signalPhrase(a)
	case api.CauseOOM:
		return "out of memory"
	case api.CauseHang, api.CauseCheck:
		if v := a.Verdict; v != nil {
			if k, known := kinds[v.Kind]; known {
				return hangWord(a) + k.phrase(v)
			}
		}
		if a.Cause == api.CauseCheck {
			return "check failed: " + a.Message
		}
		return hangWord(a) + a.Message
	case api.CauseOverLimit:
		return "over its limit" + detail(a)
	case api.CauseStartTimeout:
		return "not ready in time"
	case api.CauseRunTimeout:
		return "its run took too long"
	case api.CauseExec:
		return "not started: " + a.Message
	case api.CauseDependency:
		return "lost what it needs" + detail(a)
	case api.CauseOperator:
		return "as asked" + by(a)
	case api.CauseChanged:
		return "its configuration changed"
	case api.CauseKeeper:
		return "while the keeper was dead"
	}
	return a.Message
}

func hangWord(a *api.Incident) string {
	if a.Cause == api.CauseCheck || a.Verdict != nil && a.Verdict.Kind == "check" {
		return ""
	}
	return "hang: "
}

func signalPhrase(a *api.Incident) string {
	name := "signal"
	if a.Signal != "" {
		name = "SIG" + a.Signal
	}
	switch {
	case a.Core:
		return "crash: " + name + ", core written"
	case crashed(a):
		return "crash: " + name
	}
	if reasons[a.Signal] != "" {
		return "ended by " + name
	}
	return "killed by " + name + " from outside"
}

func detail(a *api.Incident) string {
	if a.Detail == "" {
		return ""
	}
	return ": " + a.Detail
}

func by(a *api.Incident) string {
	if a.By == "" {
		return ""
	}
	return ": " + a.By
}

// Standing says how an instance is now, in a sentence.
func Standing(in api.Instance, now time.Time) string {
	why := ""
	if in.Why != "" {
		why = ": " + in.Why
	}
	switch in.State {
	case api.Running:
		text := in.Name + " has been running since " + since(in, now)
		if in.Pid != 0 {
			text += ", pid " + strconv.Itoa(in.Pid)
		}
		return text + "."
	case api.Waiting:
		return in.Name + " is not running, and will be started" + why + "."
	case api.Starting:
		return in.Name + " is starting" + why + "."
	case api.Stopping:
		return in.Name + " is being stopped" + why + "."
	case api.Failed:
		if !in.Next.IsZero() {
			return in.Name + " has failed, and will run again" + why + "."
		}
		return in.Name + " has failed and is not tried again" + why + "."
	case api.Done:
		return in.Name + " is done" + why + "."
	}
	return in.Name + " is stopped" + why + "."
}

// since says when the live process of an instance was started.
func since(in api.Instance, now time.Time) string {
	text := moment(now.Add(-time.Duration(in.UptimeMS)*time.Millisecond), now)
	if len(text) > 3 && text[:3] == "at " {
		text = text[3:]
	}
	return text + " (" + span(float64(in.UptimeMS)) + ")"
}

// holds say why a late pulse lives, by the words of the judge.
var holds = map[string]string{
	"traced": "a debugger has it", "frozen": "its cgroup is frozen", "log": "it waits for its log, which is stored slowly",
	"starved": "it gets no processor, or waits for a disk that all wait for",
	"crowd":   "it is late with most others, on a machine that is short of something",
	"brake":   "too many were killed for hangs in this minute: it waits its turn", "late": "it gets a second look",
}

// Held says that a pulse of that name is late, and why it lives.
func Held(name string, s api.PulseSlot) string {
	text := "`" + name + "` is late, " + span(s.AgeMS) + " of " + limit(s.LimitMS) + ": " + s.Why
	if meaning := holds[s.Why]; meaning != "" {
		text += " (" + meaning + ")"
	}
	return text + "."
}
