package explain

import (
	"fmt"

	"example.com/stay/api"
)

// causes are the first sentences, by cause; hangs and checks have their own.
var causes = map[api.Cause]func(a *api.Incident, at string) string{
	api.CauseExit: func(a *api.Incident, at string) string {
		if a.Code == 0 && a.Signal == "" {
			return a.Name + " ended by itself " + at + ", with exit code 0."
		}
		return fmt.Sprintf("%s ended by itself %s, with exit code %d.", a.Name, at, a.Code)
	},
	api.CauseSignal: func(a *api.Incident, at string) string {
		if crashed(a) {
			return a.Name + " crashed " + at + ": " + signalText(a.Signal) + coreText(a) + "."
		}
		if reasons[a.Signal] != "" {
			return a.Name + " was ended " + at + " by " + signalText(a.Signal) + "."
		}
		return a.Name + " was killed " + at + " by " + signalText(a.Signal) + ", which was not stay's decision."
	},
	api.CauseOOM: func(a *api.Incident, at string) string {
		text := a.Name + " was killed " + at + " by the kernel, which was out of memory"
		if a.Usage != nil && a.Usage.MaxRSS > 0 {
			text += ": it had used up to " + size(a.Usage.MaxRSS)
		}
		return sentences(text+".", known(a.Detail))
	},
	api.CauseOverLimit: func(a *api.Incident, at string) string {
		if a.Detail == "" {
			return a.Name + " was killed " + at + ": it was over a limit of its own."
		}
		return a.Name + " was killed " + at + ": it was over a limit of its own: " + a.Detail + "."
	},
	api.CauseStartTimeout: func(a *api.Incident, at string) string {
		if a.UptimeMS == 0 {
			return a.Name + " was killed " + at + ": it did not get ready within its start_timeout."
		}
		return a.Name + " was killed " + at + ": it was still not ready after " + span(float64(a.UptimeMS)) + " (start_timeout)."
	},
	api.CauseRunTimeout: func(a *api.Incident, at string) string {
		return a.Name + " was stopped " + at + ": its run took longer than its timeout, " + span(float64(a.UptimeMS)) + " in all."
	},
	api.CauseExec: func(a *api.Incident, at string) string {
		text := a.Name + " could not be started " + at + ": " + a.Message
		if a.Errno != "" {
			text += " (" + a.Errno + stageText(a) + ")"
		}
		return text + "."
	},
	api.CauseDependency: func(a *api.Incident, at string) string {
		if a.Detail == "" {
			return a.Name + " was stopped " + at + ": something it needs was lost."
		}
		return a.Name + " was stopped " + at + ": it needs " + a.Detail + ", which was lost."
	},
	api.CauseOperator: func(a *api.Incident, at string) string {
		switch a.By {
		case "":
			return a.Name + " was stopped " + at + ", as somebody asked."
		case "down":
			return a.Name + " was stopped " + at + ", because the daemon went down."
		case "stop", "restart":
			return a.Name + " was stopped " + at + ", as somebody asked by `stay " + a.By + "`."
		}
		return a.Name + " was stopped " + at + ", as somebody asked (" + a.By + ")."
	},
	api.CauseChanged: func(a *api.Incident, at string) string {
		text := a.Name + " was stopped " + at + ": its configuration had changed, and was applied"
		if a.Detail != "" {
			text += " (" + a.Detail + ")"
		}
		return text + "."
	},
	api.CauseKeeper: func(a *api.Incident, at string) string {
		return a.Name + " ended " + at + " or before, while stay's keeper was dead: how it ended nobody saw."
	},
}

func known(how string) string {
	if how == "" {
		return ""
	}
	return "That is known from " + how + "."
}

func stageText(a *api.Incident) string {
	if a.Stage == "" {
		return ""
	}
	return " at the stage " + a.Stage
}

// crashes are the signals that a program gets for a fault of its own.
var crashes = map[string]string{
	"SEGV": "it touched memory that is not its own", "BUS": "it touched memory that is not there, as of a file that was cut off",
	"ABRT": "it ended itself over an error that it found: its last lines of output may say which",
	"ILL":  "it came to an instruction that this processor does not know", "FPE": "it divided by zero, or the like",
	"SYS": "it made a system call that it may not", "TRAP": "it came to a breakpoint, or a check of its own failed",
}

// reasons say of other signals why a program gets them that nobody sent.
var reasons = map[string]string{
	"XCPU": "it was over its limit of processor time", "XFSZ": "it was over its limit of the size of a file",
	"PIPE": "it wrote into a pipe or socket that nobody reads",
}

// crashed says whether a signal came of a fault of the program's own.
func crashed(a *api.Incident) bool { return crashes[a.Signal] != "" || a.Core }

func signalText(name string) string {
	if name == "" {
		return "a signal"
	}
	if text := crashes[name]; text != "" {
		return "SIG" + name + " (" + text + ")"
	}
	if text := reasons[name]; text != "" {
		return "SIG" + name + " (" + text + ")"
	}
	if name[0] >= '0' && name[0] <= '9' {
		return "signal " + name
	}
	return "SIG" + name
}

func coreText(a *api.Incident) string {
	if a.Core {
		return "; the kernel wrote a core"
	}
	return "; no core was written"
}
