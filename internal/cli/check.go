package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration, and print every error with its place",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &refusal{code: exitUsage, message: "check takes one file", hint: "stay check FILE"}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file := ""
			if len(args) == 1 {
				file = args[0]
			}
			r, err := inspect(file)
			if err != nil {
				return err
			}
			if err := a.mistakes(r, ""); err != nil {
				return err
			}
			return a.ui.print("%s: %s, no errors\n", clean(shortPath(r.File)), count(len(r.Services), "service"))
		},
	}
}

// mistakes prints the errors of a report, and returns a refusal if there are any.
func (a *app) mistakes(r report, hint string) error {
	if len(r.Errors) == 0 {
		return nil
	}
	if r.File == "" && len(r.Errors) == 1 { // there is no file
		return failed(r.Errors[0].Message, r.Errors[0].Hint)
	}
	a.ui.mu.Lock()
	for _, e := range r.Errors {
		fmt.Fprintln(a.ui.err, clean(e.String()))
		if e.Hint != "" {
			fmt.Fprintln(a.ui.err, "  "+clean(e.Hint))
		}
	}
	a.ui.mu.Unlock()
	return failed(fmt.Sprintf("%s in %q", count(len(r.Errors), "error"), shortPath(r.File)), hint)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
