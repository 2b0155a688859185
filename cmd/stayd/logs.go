package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
)

// logsMain prints log files of a daemon that does not run, merged by time.
func logsMain(args []string) int {
	flags := flag.NewFlagSet("logs", flag.ExitOnError)
	dir := flags.String("dir", "", "the log directory")
	asJSON := flags.Bool("json", false, "print one JSON object per line")
	q := capture.Query{}
	flags.IntVar(&q.N, "n", 10, "lines of each; -1 is all")
	flags.TextVar(&q.Since, "since", time.Time{}, "not older than this, as in RFC 3339")
	flags.TextVar(&q.Until, "until", time.Time{}, "older than this")
	flags.Func("grep", "only lines that match this regular expression", func(text string) (err error) {
		q.Grep, err = regexp.Compile(text)
		return err
	})
	_ = flags.Parse(args)
	names := flags.Args()
	if len(names) == 0 {
		all, err := capture.Names(*dir)
		if err != nil {
			return refuse(err, ownerHint(err))
		}
		names = all
	}
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	err := capture.Past(context.Background(), *dir, names, q, func(l capture.Line) (err error) {
		switch {
		case *asJSON:
			err = json.NewEncoder(out).Encode(api.LogLine{Name: l.Name, Time: l.Time, Text: l.Text, Pos: l.Pos.String()})
		case len(names) > 1:
			_, err = fmt.Fprintf(out, "%s | %s\n", l.Name, l.Text)
		default:
			_, err = fmt.Fprintln(out, l.Text)
		}
		return err
	})
	if flushed := out.Flush(); err == nil && flushed != nil {
		return 0 // whoever read it has gone
	}
	if err != nil {
		return refuse(err, ownerHint(err))
	}
	return 0
}
