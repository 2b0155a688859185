package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/journal"
)

// A words is a flag that may be repeated.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) Set(text string) error {
	*w = append(*w, text)
	return nil
}

// eventsMain prints events of the journal of a daemon that does not run, one JSON object per line.
func eventsMain(args []string) int {
	flags := flag.NewFlagSet("events", flag.ExitOnError)
	dir := flags.String("dir", "", "the journal's directory")
	since := flags.Uint64("since", 0, "only with a number above this")
	from := flags.String("from", "", "not older than this, as 2026-01-02T15:04:05Z")
	var kinds words
	flags.Var(&kinds, "kind", "only of this kind; may be repeated")
	_ = flags.Parse(args)
	f := api.EventFilter{Since: *since, Kinds: kinds}
	if flags.NArg() > 0 {
		f.Targets = flags.Args()
	}
	if *from != "" {
		var err error
		if f.From, err = time.Parse(time.RFC3339, *from); err != nil {
			return refuse(fmt.Errorf("--from %q is no time", *from), "say it as 2026-01-02T15:04:05Z")
		}
	}
	filter, err := journal.NewFilter(f)
	if err != nil {
		return refuse(err, "say the name of a service, or a pattern as \"web*\"")
	}
	bad, err := printEvents(*dir, f.Since, filter)
	if err != nil {
		return refuse(err, "")
	}
	if bad > 0 {
		fmt.Fprintf(os.Stderr, "stay: %d lines of the journal are no events, and were left out\n", bad)
	}
	return 0
}

// printEvents prints what filter chooses of the journal in dir, and returns how many lines are no events.
func printEvents(dir string, since uint64, filter *journal.Filter) (bad int, err error) {
	out := bufio.NewWriter(os.Stdout)
	print := json.NewEncoder(out)
	r := journal.Reader{Order: journal.Order{Last: since}}
	begin := func(first []byte) bool {
		a, err := journal.Decode(first)
		return err == nil && filter.Before(a)
	}
	err = capture.Scan(dir, "journal", begin, func(line []byte) error {
		return r.Line(line, func(a api.Event) error {
			if !filter.Match(a) {
				return nil
			}
			return print.Encode(a)
		})
	})
	if err != nil {
		return 0, err
	}
	return r.Bad, out.Flush()
}
