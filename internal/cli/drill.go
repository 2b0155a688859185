package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/internal/drill"
)

func (a *app) drillCommand() *cobra.Command {
	o := drill.Options{Times: 1}
	var kill, hang, mute, yes, asJSON bool
	cmd := &cobra.Command{
		Use: "drill SERVICE [--kill] [--hang] [--mute]", Short: "Break a service on purpose, and show how fast it is found and back",
		Long: "Break a service on purpose, and show for each round how fast that was found and how fast the service was back.\n" +
			"FOUND counts from the signal, for a hang from the end of its limit; BACK from the signal or the verdict until it\n" +
			"was ready again. The instances of a service take turns. Without --yes it asks first. The exit code is 1 when a\n" +
			"round did not end well.",
		Example: "  stay drill web --kill --hang --times 5",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &refusal{code: exitUsage, message: "drill needs one service", hint: "stay drill SERVICE"}
			}
			if o.Times < 1 || o.Times > 10_000 {
				return &refusal{code: exitUsage, message: fmt.Sprintf("cannot drill %d times", o.Times), hint: "stay drill SERVICE --times 3"}
			}
			return noEmpty(cmd, args)
		},
		ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		o.Target = args[0]
		for _, k := range []struct {
			on   bool
			kind drill.Kind
		}{{kill || !hang && !mute, drill.Kill}, {hang, drill.Hang}, {mute, drill.Mute}} {
			if k.on {
				o.Kinds = append(o.Kinds, k.kind)
			}
		}
		return a.drill(o, yes, asJSON)
	}
	f := cmd.Flags()
	f.BoolVar(&kill, "kill", false, "kill its main process (the default)")
	f.BoolVar(&hang, "hang", false, "stop its main process by SIGSTOP, as if it hung")
	f.BoolVar(&mute, "mute", false, "leave it alone, and hold back its signs of life")
	f.IntVar(&o.Times, "times", 1, "rounds of each kind")
	f.Var(&spanValue{&o.Timeout}, "timeout", "for each round (default: a minute and the limit of its pulses)")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&asJSON, "json", false, "print one JSON array, an object per round")
	return cmd
}

func (a *app) drill(o drill.Options, yes, asJSON bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	list, err := c.Status(context.Background(), o.Target)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return failed(fmt.Sprintf("drill %q: nothing has that name", o.Target), "stay status")
	}
	if err := a.consent(o, list, yes); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	a.notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() { <-signals; cancel() }()
	rounds := []drill.Round{}
	err = drill.Run(ctx, c, o, func(r drill.Round) {
		if rounds = append(rounds, r); asJSON {
			return
		}
		if len(rounds) == 1 {
			_ = a.ui.print("%s\n", a.ui.paint(bold, drillLine("ROUND", "WHAT", "FOUND", "BACK", "INSTANCE")))
		}
		_ = a.ui.print("%s\n", a.drillRound(r))
	})
	if asJSON {
		_ = a.ui.print("%s", toJSON(rounds))
	} else {
		a.drillSums(rounds)
	}
	if errors.Is(err, context.Canceled) {
		return failed(fmt.Sprintf("drill %q: broken off after %d rounds", o.Target, len(rounds)), "stay status "+o.Target)
	}
	if err != nil {
		return err
	}
	bad := 0
	for _, r := range rounds {
		if r.Problem != "" {
			bad++
		}
	}
	if bad > 0 {
		return failed(fmt.Sprintf("drill %q: %d of %d rounds did not end well", o.Target, bad, len(rounds)), "stay why "+o.Target)
	}
	return nil
}

// consent asks whether a service may be broken. Where there is nobody to ask it refuses.
func (a *app) consent(o drill.Options, list []api.Instance, yes bool) error {
	if yes {
		return nil
	}
	if !isTerminal(a.in) || !isTerminal(a.ui.err) {
		return failed(fmt.Sprintf("drill %q: it breaks a service that works, and there is nobody to ask", o.Target), "stay drill "+o.Target+" --yes")
	}
	var kinds, names []string
	for _, k := range o.Kinds {
		kinds = append(kinds, string(k))
	}
	for _, in := range list {
		names = append(names, in.Name)
	}
	times := "once"
	if o.Times > 1 {
		times = fmt.Sprintf("%d times", o.Times)
	}
	a.ui.mu.Lock()
	fmt.Fprintf(a.ui.err, "stay: this breaks %s on purpose: %s, %s. Go on? [y/N] ", clean(strings.Join(names, ", ")), strings.Join(kinds, " and "), times)
	a.ui.mu.Unlock()
	answer, err := bufio.NewReader(io.LimitReader(a.in, 100)).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return failed("nothing was broken", "")
	}
	return nil
}

func drillLine(number, what, found, back, rest string) string {
	return strings.TrimRight(fmt.Sprintf("%-5s  %-4s  %8s  %8s  %s", number, what, found, back, rest), " ")
}

// drillRound is a round in a line.
func (a *app) drillRound(r drill.Round) string {
	number := fmt.Sprint(r.Number)
	if r.Problem != "" {
		return a.ui.paint(red, clean(drillLine(number, string(r.Kind), "-", "-", r.Instance+": "+r.Problem)))
	}
	rest := r.Instance
	if r.Held > 0 {
		rest += ", held for " + fine(r.Held)
	}
	if r.Why != "" {
		rest += ": " + r.Why
	}
	return clean(drillLine(number, string(r.Kind), fine(r.Found), fine(r.Back), rest))
}

func (a *app) drillSums(rounds []drill.Round) {
	for _, s := range drill.Sums(rounds) {
		if s.Rounds-s.Failed > 1 {
			_ = a.ui.print("%s\n%s\n", drillLine("p50", string(s.Kind), fine(s.FoundP50), fine(s.BackP50), ""),
				drillLine("max", string(s.Kind), fine(s.FoundM), fine(s.BackM), ""))
		}
	}
}

// fine writes a span that was measured, in milliseconds as long as they tell anything.
func fine(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < 10*time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
