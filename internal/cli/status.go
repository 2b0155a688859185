package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use: "status [SERVICE…]", Short: "Show services: state, pid, uptime, restarts, and why",
		Long: "Show services: state, pid, uptime, restarts, and why they are as they are.\n\n" +
			"With SERVICE the exit code is 1 when one of them is waiting or failed.",
		Args: noEmpty, ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		if watch {
			return a.watch(asJSON, func(ctx context.Context, width int) (string, error) {
				list, err := statusOf(ctx, c, args)
				return a.statusText(list, asJSON, width), err
			})
		}
		list, err := statusOf(context.Background(), c, args)
		if err != nil {
			return err
		}
		if _ = a.ui.print("%s", a.statusText(list, asJSON, 0)); len(args) > 0 {
			return ended(statusCode(list))
		}
		return nil
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array, an object per instance")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second, until q or Ctrl-C")
	return cmd
}

// statusOf returns the instances that targets name, all of them for none, each once, sorted.
func statusOf(ctx context.Context, c *client.Client, targets []string) ([]api.Instance, error) {
	if len(targets) == 0 {
		return c.Status(ctx, "")
	}
	list := []api.Instance{}
	for _, t := range targets {
		some, err := c.Status(ctx, t)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	slices.SortFunc(list, func(a, b api.Instance) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return a.Number - b.Number
	})
	return slices.CompactFunc(list, func(a, b api.Instance) bool { return a.Name == b.Name }), nil
}

// statusCode is the exit code for scripts that ask about certain services.
func statusCode(list []api.Instance) int {
	for _, in := range list {
		if in.State == api.Waiting || in.State == api.Failed {
			return exitFailed
		}
	}
	return exitDone
}

// statusText is the answer, whole lines of at most width characters (0: any number).
func (a *app) statusText(list []api.Instance, asJSON bool, width int) string {
	if asJSON {
		if list == nil {
			list = []api.Instance{}
		}
		return toJSON(list)
	}
	if len(list) == 0 {
		return "no services\n"
	}
	lines := statusTable(list).lines(a.ui, width)
	for _, l := range refusing(list) {
		lines = append(lines, a.ui.paint(red, cut(l, width)))
	}
	return strings.Join(lines, "\n") + "\n"
}

// toJSON writes a value for scripts and for people who look at what scripts get.
func toJSON(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "null\n" // no type of package api can come here
	}
	return string(text) + "\n"
}
