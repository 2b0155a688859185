package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/stay/api"
)

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show SERVICE", Short: "Show the settings that are in force, secrets hidden",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &refusal{code: exitUsage, message: "show needs one service", hint: "stay show SERVICE"}
			}
			return noEmpty(cmd, args)
		},
		ValidArgsFunction: a.completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			s, err := c.Show(context.Background(), args[0])
			if err != nil {
				return err
			}
			for _, in := range s.Instances {
				_ = a.ui.print("%s\n", a.ui.paint(dim, "# "+brief(in)))
			}
			return a.ui.print("%s\n%s", clean("[service."+s.Name+"]"), strings.Join(settings("", s.Settings), ""))
		},
	}
}

// settings writes settings as lines like those of the file, tables as dotted keys, sorted.
func settings(prefix string, table map[string]any) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if inner, ok := table[key].(map[string]any); ok {
			lines = append(lines, settings(prefix+key+".", inner)...)
			continue
		}
		lines = append(lines, clean(prefix+key+" = "+setting(table[key]))+"\n")
	}
	return lines
}

// setting writes a value as the file does. Tables stand in lists here; for all else that settings hold, TOML and JSON are
// written alike.
func setting(value any) string {
	switch v := value.(type) {
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = setting(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+" = "+setting(v[key]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "" // it came as JSON
	}
	return strings.TrimSpace(b.String())
}

func (a *app) applyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "apply", Short: "Have the daemon read its configuration again, and make it so",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			changes, err := c.Apply(context.Background())
			if err != nil {
				return err
			}
			done := false
			for _, ch := range changes {
				if ch.Action == "none" {
					continue
				}
				done = true
				_ = a.ui.print("%s\n", changeText(ch))
			}
			if !done {
				_ = a.ui.print("nothing to do\n")
			}
			return nil
		},
	}
}

func (a *app) planCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what apply would do, and do nothing",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		changes, err := c.Plan(context.Background())
		if err != nil {
			return err
		}
		if asJSON {
			return a.ui.print("%s", toJSON(changes))
		}
		same := 0
		for _, ch := range changes {
			if ch.Action == "none" {
				same++
				continue
			}
			_ = a.ui.print("%s\n", changeText(ch))
		}
		if same == len(changes) {
			return a.ui.print("nothing to do\n")
		}
		return a.ui.print("unchanged: %d\nstay apply does it\n", same)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print every change as JSON")
	return cmd
}

func changeText(ch api.Change) string {
	text := ch.Service + ": " + ch.Action
	if len(ch.Keys) > 0 {
		text += " (" + strings.Join(ch.Keys, ", ") + ")"
	}
	return clean(text)
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Show the versions of this command and of the daemon",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		answer := struct {
			Client string      `json:"client"`
			Daemon *api.Daemon `json:"daemon"` // null if none can be asked
		}{Client: api.Version}
		c, err := a.connect()
		if err == nil {
			ctx, cancel := within(lookTime)
			defer cancel()
			var d api.Daemon
			if d, err = c.Version(ctx); err == nil {
				answer.Daemon = &d
			}
		}
		if asJSON {
			return a.ui.print("%s", toJSON(answer))
		}
		_ = a.ui.print("stay %s\n", answer.Client)
		if err != nil {
			return a.ui.print("no daemon: %v\n", toRefusal(err).message)
		}
		d := answer.Daemon
		text := fmt.Sprintf("daemon %s, keeper pid %d, engine pid %d, since %s", d.Version, d.KeeperPid, d.EnginePid,
			d.Started.Local().Format("2006-01-02 15:04:05"))
		if d.Engines > 1 {
			text += fmt.Sprintf(", %d engines so far", d.Engines)
		}
		return a.ui.print("%s\n", clean(text))
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
