package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// happenings are one event of each look.
func happenings() []api.Event {
	at := theDay.Add(-time.Hour).Add(678 * time.Millisecond)
	list := []api.Event{
		{Kind: api.KindEngine, Message: "engine started"},
		{Kind: api.KindState, Name: "web", From: api.Starting, To: api.Running, Pid: 7},
		{Kind: api.KindState, Name: "web", From: api.Running, To: api.Waiting, Message: "exit code 1\x1b"},
		{Kind: api.KindLog, Name: "web", Message: "its log is written again"},
		{Kind: api.KindHang, Name: "web", Message: "no output for 2s (limit 1s)"},
		{Kind: api.KindExit, Name: "web.2", Message: "exit code 1"},
		{Kind: api.KindCheckpoint, Message: "what all are"},
		{Kind: api.KindCommand, Verb: "restart", Target: "web", Message: "restart web", By: &api.Caller{UID: 1000, Pid: 9}},
		{Kind: api.KindResult, Verb: "restart", Target: "web", Message: "not done", Error: "web: exit code 1", Command: 8},
		{Kind: api.KindCommand, Verb: "apply", Message: "refused: apply", Error: "stay.toml:3: unknown key"},
		{Kind: api.KindGap, Message: "5 events are missing here", Missing: 5},
	}
	for i := range list {
		list[i].Seq, list[i].Time = uint64(i+1), at
	}
	return list
}

func TestEvents(t *testing.T) {
	e := newEngine()
	e.events = happenings()
	e.events[0].Time = theDay.Add(-25 * time.Hour)
	socket := serve(t, e)
	const day = "2026-11-21 14:00:00.678  "
	const gap = day + "-               5 events are missing here\n"
	const engine = "2026-11-20 14:00:00.000  -               engine: engine started\n"
	const web = day + "web             running, pid 7\n" + day + "web             waiting, exit code 1·\n" + day + "web             its log is written again\n" +
		day + "web             hangs: no output for 2s (limit 1s)\n"
	const two = day + "web.2           exit code 1\n"
	const restart = day + "-               restart web (uid 1000)\n" + day + "-               restart web: not done, web: exit code 1\n"
	const apply = day + "-               refused: apply: stay.toml:3: unknown key\n"
	for _, c := range []struct{ args, want string }{
		{"events", web + two + restart + apply + gap},
		{"events --since 2d", engine + web + two + restart + apply + gap},
		{"events --since 9", apply + gap},
		{"events --since 2d -n 2", apply + gap},
		{"events -n 0", ""},
		{"events web.2", two + restart + gap},
		{"events --kind exit --kind engine --since 2d", engine + two + gap},
		{"events nix", gap},
	} {
		code, out, err := onTheDay(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		if c.args == "events web.2" {
			c.want = two + gap
		}
		if code != 0 || out != c.want || err != "" {
			t.Errorf("stay %s: %d %q\n%s", c.args, code, err, out)
		}
	}
	code, out, _ := onTheDay(t, "--socket", socket, "events", "--json", "--since", "0")
	lines := slices.Collect(strings.Lines(out))
	var got api.Event
	if code != 0 || len(lines) != 10 || json.Unmarshal([]byte(lines[1]), &got) != nil || got.Seq != 2 || got.To != api.Running {
		t.Errorf("%d %q", code, out)
	}
	if code, _, err := onTheDay(t, "--socket", socket, "events", "--since", "soon"); code != 2 || !strings.HasPrefix(err, `stay: --since "soon" is no time`) {
		t.Errorf("%d %q", code, err)
	}
}

func TestEventsLast(t *testing.T) {
	e := newEngine()
	for i := range 1000 {
		e.events = append(e.events, api.Event{Seq: uint64(i + 1), Time: theDay, Kind: api.KindExit, Name: "web", Message: "x"})
	}
	socket := serve(t, e)
	for n, want := range map[string]int{"7": 7, "-1": 1000, "5000": 1000} {
		_, out, _ := onTheDay(t, "--socket", socket, "events", "--json", "-n", n)
		lines := slices.Collect(strings.Lines(out))
		if len(lines) != want || !strings.HasPrefix(lines[len(lines)-1], `{"seq":1000,`) {
			t.Errorf("-n %s: %d lines, the last is %s", n, len(lines), lines[len(lines)-1])
		}
	}
}

func TestEventsFollow(t *testing.T) {
	e := three()
	s := begin("--socket", serve(t, e), "events", "-f")
	e.set("db", api.Stopped, "as asked")
	s.out.await(t, "db              stopped, as asked\n", 1)
	s.out.mu.Lock()
	s.out.broken = true
	s.out.mu.Unlock()
	e.set("db", api.Running, "")
	if code, _, err := s.end(t); code != 0 || err != "" {
		t.Errorf("%d %q", code, err)
	}
}

// TestEventsWithoutDaemon: they are files, and stayd reads them.
func TestEventsWithoutDaemon(t *testing.T) {
	y := newYard(t, "web")
	dir := filepath.Join(y.dir, ".stay", "state", "journal")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if code, _, err := run(t, "events"); code != 1 || !strings.HasSuffix(err, "stay: no journal\n") {
		t.Errorf("a journal that cannot be read: %d %q", code, err)
	}
	lines := ""
	for _, e := range happenings()[:2] {
		lines += oneLine(e) + "\n"
	}
	if err := os.WriteFile(filepath.Join(y.dir, "events"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, err := onTheDay(t, "events", "--since", "0", "--kind", "state", "web", "db")
	if code != 0 || strings.Count(out, "\n") != 2 || err != "stay: no daemon runs: this is from the files in \""+dir+"\"\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	if calls := y.calls(t); calls[len(calls)-1] != "events --dir "+dir+" --since 0 --kind state -- web db" {
		t.Errorf("stayd was called %q", calls)
	}
	if code, _, err := run(t, "events", "-f"); code != 3 || !strings.HasPrefix(err, "stay: no daemon on ") {
		t.Errorf("events -f: %d %q", code, err)
	}
	if err := os.WriteFile(filepath.Join(y.dir, "events"), []byte("{}\nno event\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, err := run(t, "events"); code != 1 || !strings.Contains(err, "stay: an event of stayd: ") {
		t.Errorf("garbage: %d %q", code, err)
	}
}
