package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/journal"
)

// checkJournal holds the journal of a run that has ended against what it promises: one line for each number, from the
// first to the last word. An engine that dies between noting a number and writing its line leaves a hole of one.
func (r *crashRun) checkJournal() {
	text := r.read(".stay/state/journal/journal.log")
	if text == "" {
		r.errorf("there is no journal")
		return
	}
	holes, last := 0, api.Event{}
	for line := range strings.Lines(text) {
		a, err := journal.Decode([]byte(line))
		switch {
		case err != nil:
			r.errorf("journal: %v: %q", err, line)
			return
		case a.Seq == last.Seq+2:
			holes++
		case a.Seq != last.Seq+1:
			r.errorf("journal: %d (%s %s %s) comes after %d (%s %s %s)", a.Seq, a.Kind, a.Name, a.Message, last.Seq, last.Kind, last.Name, last.Message)
			return
		}
		last = a
	}
	if kills := len(r.faults.killed()); holes > kills {
		r.errorf("journal: %d events are missing after the deaths of %d engines", holes, kills)
	}
	if r.errs == nil && (last.Kind != api.KindEngine || last.Message != "all is down") {
		r.errorf("journal: the last word is %+v", last)
	}
}

// TestEvents: what a daemon left of its journal can be read when it has gone, whatever happened to the files.
func TestEvents(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	line := func(seq uint64, kind, name string) string {
		return string(journal.Append(nil, api.Event{Seq: seq, Time: at.Add(time.Duration(seq) * time.Second), Kind: kind, Name: name}))
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("journal.log.2", line(1, "engine", "")+line(2, "state", "web"))
	write("journal.log.1", line(3, "state", "db")+line(4, "exit", "web.2")+line(5, "state", "web")[:40]+"\nno event\n")
	write("journal.log", line(6, "state", "web")+"\x00\x00"+line(7, "checkpoint", "")+line(7, "checkpoint", "")+line(8, "state", "web")[:50])
	const bad = "stay: 3 lines of the journal are no events, and were left out\n"
	for _, c := range []struct {
		args     string
		want     []int // numbers; negative: a gap before that one
		complain string
	}{
		{"", []int{1, 2, 3, 4, -5, 6}, bad},
		{"--since 2", []int{3, 4, -5, 6}, bad},
		{"--since 5", []int{6}, "stay: 1 lines of the journal are no events, and were left out\n"},
		{"--from 2026-01-02T03:04:09Z", []int{4, -5, 6}, bad},
		{"--kind exit --kind checkpoint", []int{4, -5, 7}, bad},
		{"web.2 db", []int{3, 4, -5}, bad},
		{"web*", []int{2, 4, -5, 6}, bad},
	} {
		cmd := stayd(t, append([]string{"events", "--dir", dir}, strings.Fields(c.args)...)...)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		var got []int
		for l := range strings.Lines(string(out)) {
			var a api.Event
			if err := json.Unmarshal([]byte(l), &a); err != nil {
				t.Fatalf("%q: %v", l, err)
			}
			n := int(a.Seq)
			if a.Kind == api.KindGap {
				n = -n
			}
			got = append(got, n)
		}
		if err != nil || !slices.Equal(got, c.want) || complaints.String() != c.complain {
			t.Errorf("%q: %v %d %q; want %d", c.args, err, got, complaints.String(), c.want)
		}
	}
	for args, want := range map[string]string{"--from soon": `stay: --from "soon" is no time`, "[a": `stay: the pattern "[a" is no pattern`} {
		out, err := stayd(t, append([]string{"events", "--dir", dir}, strings.Fields(args)...)...).CombinedOutput()
		if _, refused := err.(*exec.ExitError); !refused || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v %s", args, err, out)
		}
	}
	if out, err := stayd(t, "events", "--dir", filepath.Join(dir, "nix")).CombinedOutput(); err == nil {
		t.Errorf("of no directory: %s", out)
	}
}
