package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/incident"
	"example.com/stay/internal/journal"
)

// incidentsMain prints incidents of a daemon that does not run, the newest first, as one JSON array.
func incidentsMain(args []string) int {
	flags := flag.NewFlagSet("incidents", flag.ExitOnError)
	dir := flags.String("dir", "", "the directory of incidents")
	id := flags.String("id", "", "this one alone")
	n := flags.Int("n", 0, "how many at most; 0 is all")
	since := flags.String("since", "", "not older than this, as 2026-01-02T15:04:05Z")
	target := flags.String("target", "", "of this service or instance, or of what this pattern matches")
	_ = flags.Parse(args)
	var list []api.Incident
	var err error
	if *id != "" {
		list, err = oneIncident(*dir, *id)
	} else {
		f := incident.Filter{Limit: *n}
		if *since != "" {
			if f.Since, err = time.Parse(time.RFC3339, *since); err != nil {
				return refuse(fmt.Errorf("--since %q is no time", *since), "say it as 2026-01-02T15:04:05Z")
			}
		}
		if *target != "" {
			f.Match = func(name string) bool { return journal.IsTarget(*target, name) }
		}
		list, err = incident.List(*dir, f)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(list)
	}
	if err != nil {
		return refuse(err, ownerHint(err))
	}
	return 0
}

// ownerHint says what to do about files that others may not read; nothing about other errors.
func ownerHint(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "run it as the user of the daemon, or as root"
	}
	return ""
}

// oneIncident is the incident of that ID, or none.
func oneIncident(dir, id string) ([]api.Incident, error) {
	a, err := incident.Get(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		return []api.Incident{}, nil
	}
	if err != nil {
		return nil, err
	}
	return []api.Incident{*a}, nil
}
