package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/stay/api"
	"example.com/stay/client"
)

func (a *app) upgradeCommand() *cobra.Command {
	var to string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "upgrade", Short: "Have the daemon become a new version of stay, while services run",
		Long: "Have the daemon become a new version of stay, while services run: the stayd beside this stay, or the one\n" +
			"that --to names. It is asked first whether it understands what runs. If anything goes wrong, the old\n" +
			"version goes on.",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		path, err := findStayd()
		if to != "" {
			path, err = filepath.Abs(to)
		}
		if err != nil {
			return err
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		u, err := a.upgrade(c, path)
		if err != nil {
			return err
		}
		if asJSON {
			_ = a.ui.print("%s", toJSON(u))
		} else if u.Error == "" {
			_ = a.ui.print("upgraded from %s to %s: for %.0f ms no engine was there; processes that went on and noticed nothing: %d\n", u.From, u.To, u.GapMS, u.Went)
		}
		if u.Error != "" {
			return failed(fmt.Sprintf("upgrade from %s to %s: %s", u.From, u.To, u.Error), "everything goes on as before; stay.log says more")
		}
		return nil
	}
	cmd.Flags().StringVar(&to, "to", "", "the new stayd (default: the one beside this stay)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what came of it as JSON")
	return cmd
}

const (
	upgradeTime = 90 * time.Second      // until it is known what came of an upgrade: twice the start limit of an engine, and more
	upgradeLook = 20 * time.Millisecond // between two questions
)

// upgrade asks for the upgrade, and then what came of it until an engine knows.
func (a *app) upgrade(c *client.Client, path string) (api.Upgrade, error) {
	ctx, cancel := within(upgradeTime)
	defer cancel()
	begun, err := c.Upgrade(ctx, path)
	if err != nil {
		return begun, err
	}
	for {
		d, err := c.Version(ctx)
		if err == nil && d.Upgrade != nil && d.Upgrade.ID == begun.ID && d.Upgrade.Over {
			return *d.Upgrade, nil
		}
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return begun, &refusal{code: exitTimeout, message: fmt.Sprintf("upgrade to %s: nobody has said for %v what came of it", begun.To, upgradeTime),
				hint: "stay version; stay.log says more"}
		}
		time.Sleep(upgradeLook)
	}
}
