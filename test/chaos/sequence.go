package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.com/stay/api"
)

// A sequence is the events that one reader has seen, over engines and daemons: their numbers grow, and a hole has a mark.
type sequence struct {
	last uint64
	seen map[uint64]string // what each was about
	gaps int
}

// next takes an event; an error if it must not come here.
func (s *sequence) next(e api.Event) error {
	last := s.last
	s.last = max(last, e.Seq)
	switch {
	case e.Kind == api.KindGap:
		s.gaps++
		return nil
	case e.Seq <= last:
		return fmt.Errorf("number %d (%s %s) comes after %d", e.Seq, e.Kind, e.Message, last)
	case last != 0 && e.Seq > last+1 && (e.Kind != api.KindEngine || e.After == 0 || e.After > last):
		return fmt.Errorf("number %d (%s %s) comes after %d, and no mark between them", e.Seq, e.Kind, e.Message, last)
	}
	s.seen[e.Seq] = e.Kind + " " + e.Name + " " + e.Message
	return nil
}

// readJournal looks whether every event that was seen is in the journal, but for those that it says may be missing: the
// last ones before both were killed.
func (r *run) readJournal() {
	kept := map[uint64]bool{}
	var unsure []api.Event // of each first event of a daemon that does not know how far the one before had come
	files, _ := filepath.Glob(filepath.Join(r.dir, ".stay", "state", "journal", "journal.log*"))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			r.violated("journal: %v", err)
			return
		}
		in := bufio.NewScanner(f)
		for in.Scan() {
			var e api.Event
			if json.Unmarshal(in.Bytes(), &e) == nil { // a torn line is skipped by every reader
				kept[e.Seq] = true
				if e.Kind == api.KindEngine && e.After != 0 {
					unsure = append(unsure, e)
				}
			}
		}
		f.Close()
	}
	missing := 0
	for n, what := range r.events.seen {
		if !kept[n] && !slices.ContainsFunc(unsure, func(e api.Event) bool { return e.After < n && n < e.Seq }) {
			if missing++; missing <= 3 {
				r.violated("journal: event %d (%s) was seen and is not kept", n, what)
			}
		}
	}
	r.say("%d events, %d of them seen, %d gaps, %d seen and not kept", len(kept), len(r.events.seen), r.events.gaps, missing)
}
