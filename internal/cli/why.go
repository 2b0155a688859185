package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
	"example.com/stay/internal/explain"
)

// before is how far back `why` looks for an end that nobody asked for.
const before = 20

func (a *app) whyCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use: "why SERVICE [--all]", Short: "Explain the last death of a service, and why it is as it is; also when the daemon is down",
		Long: "Explain the last death of a service: in plain sentences first, then the evidence. Where it does not run, say what\n" +
			"it waits for. SERVICE may be an instance (web.2), or the name of an incident as `stay history --json` gives it.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &refusal{code: exitUsage, message: "why needs one service", hint: "stay why SERVICE; stay history shows what ended"}
			}
			return noEmpty(cmd, args)
		},
		ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return a.withArchive(func(c *client.Client, from archive) error {
			w := why{app: a, daemon: c, from: from, now: a.now(), json: asJSON}
			if incidentID.MatchString(args[0]) {
				return w.one(args[0])
			}
			if all {
				return w.all(args[0])
			}
			return w.last(args[0])
		})
	}
	cmd.Flags().BoolVar(&all, "all", false, "every death that is kept, a line each, then the last one in full")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the incident as it is stored; with --all an array of them")
	return cmd
}

// incidentID is what names of incidents look like, and no name of a service does: they have no capitals.
var incidentID = regexp.MustCompile(`^[0-9]{8}T[0-9.]+Z_`)

// A why is one question.
type why struct {
	*app
	daemon *client.Client // nil: there is none
	from   archive
	now    time.Time
	json   bool
}

// one explains the incident of that name.
func (w *why) one(id string) error {
	in, err := w.from.Incident(context.Background(), id)
	if err != nil {
		return err
	}
	if w.json {
		return w.ui.print("%s", toJSON(in))
	}
	return w.ui.print("%s", w.text(in))
}

// all shows a line for each incident, and the last one in full.
func (w *why) all(target string) error {
	list, err := w.from.Incidents(context.Background(), client.IncidentFilter{Target: target, Brief: !w.json})
	if err != nil {
		return err
	}
	if w.json {
		return w.ui.print("%s", toJSON(full(list)))
	}
	if len(list) > 1 {
		_ = w.ui.print("%s\n", w.historyText(list, nil, -1, w.now))
	}
	return w.explain(target, list)
}

// last explains the last incident.
func (w *why) last(target string) error {
	list, err := w.from.Incidents(context.Background(), client.IncidentFilter{Target: target, N: before, Brief: true})
	if err != nil {
		return err
	}
	if w.json && len(list) == 0 {
		return failed(fmt.Sprintf("%q has not died, as far as is kept", target), "stay status "+target)
	}
	if w.json {
		return w.one(list[0].ID)
	}
	return w.explain(target, list)
}

// explain prints how target is, why its last incident was, and, where somebody wanted that one, the last that nobody did.
func (w *why) explain(target string, list []api.Incident) error {
	now, err := w.standing(target)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return w.ui.print("%s", now+w.fit(fmt.Sprintf("%s has not died, as far as is kept.", target), plain, 0))
	}
	in, err := w.from.Incident(context.Background(), list[0].ID)
	if err != nil {
		return err
	}
	text := now
	if now != "" {
		text += "\n"
	}
	text += w.text(in)
	if explain.Asked(in) {
		text += w.unwanted(list)
	}
	return w.ui.print("%s", text)
}

// unwanted is a line about the last end that nobody asked for.
func (w *why) unwanted(list []api.Incident) string {
	for i := range list {
		if in := &list[i]; !explain.Asked(in) {
			return "\n" + w.fit("The last end that nobody asked for: "+explain.Sentences(in, w.now)[0], plain, 0) +
				w.fit("stay why "+in.ID, dim, 2)
		}
	}
	return ""
}

// standing says how the instances are that are not well, and of one alone how it is in any case.
func (w *why) standing(target string) (string, error) {
	if w.daemon == nil {
		return "", nil
	}
	list, err := w.daemon.Status(context.Background(), target)
	if err != nil {
		return "", notThere(err) // a service that is no more may have incidents
	}
	var text strings.Builder
	for _, in := range list {
		if len(list) == 1 || in.State == api.Waiting || in.State == api.Failed || in.State == api.Stopping {
			text.WriteString(w.fit(explain.Standing(in, w.now), stateColor(in.State), 0))
		}
	}
	text.WriteString(w.late(target))
	return text.String(), nil
}

// late are lines about pulses that are late and held, so that what follows from that is awaited.
func (w *why) late(target string) string {
	list, err := w.daemon.Pulses(context.Background(), target)
	if err != nil {
		return "" // it only explains something
	}
	var text strings.Builder
	for _, s := range list {
		if s.State == "failing" {
			text.WriteString(w.fit(fmt.Sprintf("%s: %s `%s` fails: %s", s.Name, s.Source, pulseName(s), s.Why), yellow, 0))
		} else if explain.Urgency(s) >= 1 && s.Why != "" {
			text.WriteString(w.fit(s.Name+": "+explain.Held(pulseName(s), s), yellow, 0))
		}
	}
	return text.String()
}

// text is an incident as people read it: sentences, then evidence, no wider than the terminal.
func (w *why) text(in *api.Incident) string {
	var b strings.Builder
	for i, s := range explain.Sentences(in, w.now) {
		c := plain
		if i == 0 {
			c = bold
		}
		b.WriteString(w.fit(s, c, 0))
	}
	for _, s := range explain.Evidence(in, w.now) {
		b.WriteString("\n" + w.fit(s.Title, dim, 0))
		for _, l := range s.Lines {
			c := plain
			if l.Late {
				c = yellow
			}
			b.WriteString(w.fit(l.Text, c, 2+2*l.Indent))
		}
	}
	return b.String()
}

// pageWidth is how wide a text is where nobody says how wide it may be; maxWidth is how wide sentences are at most.
const (
	pageWidth = 80
	maxWidth  = 120
)

// fit makes a text, which may come from a service, lines of the page: harmless, indented, wrapped, in a colour.
func (a *app) fit(text string, c color, indent int) string {
	width, _ := a.size()
	if width <= 0 {
		width = pageWidth
	}
	var b strings.Builder
	for i, l := range wrap(strings.ReplaceAll(clean(text), "\t", " "), min(width, maxWidth)-indent-2) {
		pad := indent
		if i > 0 {
			pad += 2
		}
		b.WriteString(strings.Repeat(" ", pad) + a.ui.paint(c, l) + "\n")
	}
	return b.String()
}

// wrap breaks a text into lines of at most width characters, the first may have two more: at spaces, within a word only
// where it is longer than a line.
func wrap(text string, width int) []string {
	width = max(width, 20)
	var lines []string
	rest := []rune(strings.TrimSpace(text))
	for at := width + 2; len(rest) > at; at = width {
		cut := at
		for i := at; i > at/2; i-- {
			if rest[i] == ' ' && !(unicode.IsDigit(rest[i-1]) && unicode.IsLetter(rest[i+1])) { // 30 s stay together
				cut = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:cut]), " "))
		rest = []rune(strings.TrimLeft(string(rest[cut:]), " "))
	}
	return append(lines, string(rest))
}
