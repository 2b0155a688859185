package engine

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/launch"
	"example.com/stay/internal/unit"
)

// why says in a short phrase why an instance is as it is; nothing when all is well.
func (e *Engine) why(in *inst) string {
	if in.parked != "" {
		return "internal error, left as it is: " + firstLine(in.parked)
	}
	u := in.u
	switch u.Phase {
	case unit.Blocked:
		return "waiting for " + e.waitsFor(in)
	case unit.Backoff:
		if in.svc.spec.Job != nil {
			return e.whyResting(in)
		}
		if in.queued {
			return endPhrase(u.Last) + ", waiting its turn: many crashed at once"
		}
		return endPhrase(u.Last) + ", retry in " + short(max(0, u.Deadline.Sub(e.now)))
	case unit.Failed:
		if in.timed() {
			return e.whyResting(in)
		}
		if u.Restart.Deaths > 0 && in.svc.spec.Restart.GiveUp > 0 {
			return fmt.Sprintf("%s, given up after %d deaths", endPhrase(u.Last), u.Restart.Deaths)
		}
		return endPhrase(u.Last)
	case unit.Examining, unit.Dumping, unit.Stopping, unit.Killing:
		return e.whyEnding(in)
	case unit.Starting:
		if u.Held {
			return "stop is waiting for those that need it"
		}
	case unit.Ready:
		if u.Held {
			return "stop is waiting for those that need it"
		}
		if failing := failingCheck(in); failing != "" {
			return failing
		}
		if in.reloading != 0 {
			return "reloading for " + short(e.now.Sub(in.reloading))
		}
		return in.status
	case unit.Idle:
		if in.timed() && u.Want != unit.Down {
			return e.whyResting(in)
		}
		if u.Want != unit.Down {
			return endPhrase(u.Last)
		}
	}
	return ""
}

func (e *Engine) whyEnding(in *inst) string {
	why := reasonPhrase(in.u.Reason)
	if in.verdict != nil && (in.u.Reason == unit.Hang || in.u.Reason == unit.Probe) {
		why = verdictPhrase(in.verdict)
	}
	switch {
	case in.u.Phase == unit.Killing && len(in.refusing) > 0:
		return "refuses to die: " + members(in.refusing)
	case in.u.Phase == unit.Killing:
		return why + ", killing"
	case in.u.Pid == 0:
		return why + ", waiting for what it left behind"
	}
	return why
}

func (e *Engine) waitsFor(in *inst) string {
	var names []string
	for _, i := range e.tracker.WaitsFor(in.svc.index) {
		names = append(names, e.services[i].spec.Name)
	}
	if len(names) == 0 {
		return "its turn"
	}
	return strings.Join(names, ", ")
}

func reasonPhrase(r unit.Reason) string {
	switch r {
	case unit.ByOperator:
		return "as asked"
	case unit.Dependency:
		return "something it needs was lost"
	case unit.StartTimeout:
		return "not ready in time"
	case unit.Hang:
		return "it hangs"
	case unit.Probe:
		return "a check failed"
	case unit.Changed:
		return "its configuration changed"
	case unit.RunTimeout:
		return "the run took too long"
	case unit.ByItself:
		return "it says that it is stopping"
	case unit.ExitCode, unit.Signalled:
		return "it ended"
	}
	return r.String()
}

// endPhrase says how a generation ended.
func endPhrase(l unit.End) string {
	var how string
	switch {
	case l.Reason == unit.SpawnError:
		return launch.Failure{Stage: l.Stage, Errno: l.Errno, Detail: l.Text}.Error()
	case l.Reason == unit.StartTimeout:
		return "not ready in time"
	case l.Reason == unit.RunTimeout:
		return "stopped after " + short(time.Duration(l.Uptime)) + ", as its timeout says"
	case l.Text != "":
		return l.Text
	case l.Gen == 0:
		return "never started"
	case l.Reason == unit.KeeperDeath:
		return "ended while its keeper was dead: how is not known"
	case l.Signal != 0:
		how = "killed by signal " + signalName(l.Signal)
		if l.Core {
			how += " (core dumped)"
		}
	default:
		how = fmt.Sprintf("exit code %d", l.Code)
	}
	if l.Uptime > 0 {
		how += " after " + short(time.Duration(l.Uptime))
	}
	return how
}

func signalName(n int) string {
	if s := strings.TrimPrefix(unix.SignalName(syscall.Signal(n)), "SIG"); s != "" {
		return s
	}
	return fmt.Sprint(n)
}

// short prints a span as people say it.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d.Round(100*time.Millisecond) < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func sortInstances(list []api.Instance) {
	slices.SortFunc(list, func(a, b api.Instance) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return a.Number - b.Number
	})
}
