package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"example.com/stay/api"
)

func (a *app) scaleCommand() *cobra.Command {
	var f commandFlags
	cmd := &cobra.Command{
		Use: "scale SERVICE=N…", Short: "Run another number of instances, until the next apply",
		Example: "  stay scale web=8",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &refusal{code: exitUsage, message: "scale needs a service and a number", hint: "stay scale SERVICE=N"}
			}
			for _, arg := range args {
				if _, _, err := scaleArgument(arg); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: a.completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			for _, arg := range args {
				name, n, err := scaleArgument(arg)
				if err != nil {
					return err
				}
				if err := a.do(api.Command{Verb: api.Scale, Instances: n, NoWait: f.noWait}, []string{name}, f.timeout); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.add(cmd, true)
	return cmd
}

// scaleArgument takes "web=8" apart.
func scaleArgument(arg string) (name string, n int, err error) {
	name, number, ok := strings.Cut(arg, "=")
	n, numberErr := strconv.Atoi(number)
	if !ok || name == "" || numberErr != nil || n < 1 {
		return "", 0, &refusal{code: exitUsage, message: fmt.Sprintf("%q is not a service and a number of instances", arg), hint: "for example: stay scale web=8"}
	}
	return name, n, nil
}
