package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/pulse"
)

// A beat is one call of `stay beat`.
type beat struct {
	limit                time.Duration
	note                 string
	pause, resume, leave bool
}

func (a *app) beatCommand() *cobra.Command {
	var b beat
	cmd := &cobra.Command{
		Use: "beat NAME [--limit D] [--note T]", Short: "Make a heartbeat, from a script that runs under stay",
		Long: "Make a heartbeat, from a script that runs under stay. The first one with a NAME begins a pulse, which the ones\n" +
			"after it go on with: from then on the script hangs when the next one does not come within the limit, that of\n" +
			"the service or --limit. Outside of stay nothing happens, and the exit code is 0.",
		Example: "  while read -r job; do\n    stay beat jobs --note \"$job\"\n    work \"$job\"\n  done",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) != 1 || args[0] == "":
				return &refusal{code: exitUsage, message: "beat needs the name of a pulse", hint: "stay beat NAME"}
			case b.pause && b.resume || b.pause && b.leave || b.resume && b.leave:
				return &refusal{code: exitUsage, message: "one of --pause, --resume and --close at a time", hint: "stay beat " + args[0] + " --pause"}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error { return b.make(args[0]) }
	f := cmd.Flags()
	f.Var(&spanValue{&b.limit}, "limit", "the longest silence from now on, as 30s (default: the service's)")
	f.StringVar(&b.note, "note", "", "what it is at now, for stay pulse and stay why")
	f.BoolVar(&b.pause, "pause", false, "expect no beats until --resume")
	f.BoolVar(&b.resume, "resume", false, "expect them again")
	f.BoolVar(&b.leave, "close", false, "the pulse ends here")
	return cmd
}

// make makes the beat.
func (b beat) make(name string) error {
	p := pulse.Named(name, b.limit)
	err := p.Err()
	switch {
	case errors.Is(err, pulse.ErrOutside), b.leave && errors.Is(err, pulse.ErrFull):
		return nil
	case err != nil:
		return failed("beat: "+err.Error(), "stay pulse")
	}
	if b.note != "" {
		p.Note(b.note)
	}
	switch {
	case b.leave:
		p.Close()
	case b.pause:
		p.Pause()
	case b.resume:
		p.Resume()
	default:
		p.Beat()
	}
	return nil
}
