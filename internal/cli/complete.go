package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/client"
)

// completeTime is how long a shell waits for names.
const completeTime = time.Second

// completeNames offers services and instances of the daemon, less those that were named already. Without a daemon it
// offers nothing, and says nothing.
func (a *app) completeNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	socket, err := client.Find(a.socket)
	if err != nil {
		return nil, directive
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	list, err := client.Dial(socket).Status(ctx, "")
	if err != nil {
		return nil, directive
	}
	names := []string{"all"}
	for _, in := range list {
		names = append(names, in.Service, in.Name)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(s string) bool {
		return slices.Contains(args, s) || strings.ContainsAny(s, "\t\n")
	})
	return names, directive
}
