// Package explain says an incident in plain sentences: what ended, when and why, what it was last at, and what followed.
//
// It decides nothing and knows nothing but the incident: the same record gives the same words, whoever asks, wherever the
// record was kept. Every cause, and every kind of verdict, has a sentence of its own. Times are those of a clock on the
// reader's wall: now is a parameter, and its location counts.
//
// Sentences contain what services said, as they said it: whoever prints them makes them harmless first. Names of pulses and
// notes stand in `backquotes`.
package explain

import (
	"strings"
	"time"

	"example.com/stay/api"
)

// Sentences returns the paragraphs of an explanation, the most important first: what happened, what is known about it, and
// what followed. None is empty, none has a line end of its own making.
func Sentences(a *api.Incident, now time.Time) []string {
	at := moment(a.Time, now)
	if a.Cause == api.CauseHang || a.Cause == api.CauseCheck {
		return paragraphs(hang(a, at), lastSeen(a), ending(a), aftermath(a))
	}
	say, known := causes[a.Cause]
	if !known {
		return paragraphs(a.Name+" ended "+at+": "+a.Message+".", ran(a), aftermath(a))
	}
	return paragraphs(say(a, at), hint(a), ran(a), aftermath(a))
}

// paragraphs leaves out what is empty.
func paragraphs(list ...string) []string {
	var full []string
	for _, p := range list {
		if p = strings.TrimSpace(p); p != "" {
			full = append(full, p)
		}
	}
	return full
}

// sentences joins sentences that may be empty.
func sentences(list ...string) string { return strings.Join(paragraphs(list...), " ") }

// ran says for how long it had run, and whether it was ever ready.
func ran(a *api.Incident) string {
	switch {
	case a.Cause == api.CauseExec || a.Started.IsZero() && a.UptimeMS == 0:
		return ""
	case a.Cause == api.CauseStartTimeout, a.Cause == api.CauseRunTimeout:
		return status(a)
	case !a.Ready:
		return sentences("It had run for "+lived(a)+" and was never ready.", status(a))
	}
	return sentences("It had run for "+lived(a)+".", status(a))
}

// status is what the service said of itself last.
func status(a *api.Incident) string {
	text := ""
	if a.Status != "" {
		text = "Its last status was `" + a.Status + "`."
	}
	if a.Errno != "" && a.Cause != api.CauseExec {
		text = sentences(text, "It sent the error "+a.Errno+".")
	}
	return text
}

// aftermath says what followed, and how often it happened.
func aftermath(a *api.Incident) string {
	text := "Its restart was due at once"
	switch {
	case a.BackMS > 0:
		text = "Restarted " + span(a.BackMS) + " after it was gone"
	case a.DelayMS < 0:
		text = "Not restarted"
	case a.Cause == api.CauseDependency:
		text = "It is started again when what it needs is back"
	case a.DelayMS > 0:
		text = "Its restart was due " + span(float64(a.DelayMS)) + " later"
	}
	if a.Today > 1 && !Asked(a) {
		text += "; " + ordinal(a.Today) + " time today"
	}
	if a.Skipped > 0 {
		text += "; " + many(a.Skipped, "more end", "more ends") + " like it since the one before came too fast to keep"
	}
	return text + "."
}

// Followed says in a few words what followed an incident, for lists: "restarted in 1.9 ms".
func Followed(a *api.Incident) string {
	switch {
	case a.BackMS > 0:
		return "restarted in " + span(a.BackMS)
	case a.DelayMS < 0:
		return "not restarted"
	case a.Cause == api.CauseDependency:
		return "waits for that"
	case a.DelayMS > 0:
		return "restart in " + span(float64(a.DelayMS))
	}
	return "restart at once"
}

// Asked says whether somebody wanted this end: no fault is behind it.
func Asked(a *api.Incident) bool { return a.Cause == api.CauseOperator || a.Cause == api.CauseChanged }

// lived is how long it had run; incidents know that in whole milliseconds.
func lived(a *api.Incident) string {
	if a.UptimeMS < 1 {
		return "less than 1 ms"
	}
	return span(float64(a.UptimeMS))
}
