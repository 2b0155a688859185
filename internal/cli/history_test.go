package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

func TestHistory(t *testing.T) {
	e := three()
	e.incidents = died()
	e.incidents[0].Skipped, e.incidents[0].BackMS, e.incidents[0].DelayMS, e.incidents[0].UptimeMS = 4, 0, 3200, 0
	socket := serve(t, e)
	const head = "TIME                 INSTANCE  UP     THEN                 WHAT\n"
	const hang = "2026-11-21 14:03:07  web.2     1h00m  restarted in 1.9 ms  hang: pulse `indexer` silent for 30.0 s (limit 30 s)\n"
	const restart = "2026-11-21 14:30:00  web.2     1h00m  restarted in 1.9 ms  as asked: restart\n"
	for _, c := range []struct{ args, want string }{
		{"history", head + "2026-11-21 12:00:00  db        -      restart in 3.2 s     exit code 1 (and 4 like it before)\n" + hang + restart},
		{"history web", head + hang + restart},
		{"history web.2 -n 1", head + restart},
		{"history -n -1 --since 45m", head + restart},
		{"history --since 2026-11-21T14:30:01Z", "nothing ended, as far as is kept\n"},
	} {
		code, out, err := onTheDay(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		if code != 0 || out != c.want || err != "" {
			t.Errorf("stay %s: %d %q\n%s", c.args, code, err, out)
		}
	}
}

// TestHistoryDeeds: what was asked for, and what became of the daemon, stands between what ended.
func TestHistoryDeeds(t *testing.T) {
	e := three()
	e.incidents = died()
	at := func(clock string, ev api.Event) {
		ev.Time, _ = time.Parse(time.DateTime, "2026-11-21 "+clock)
		ev.Seq = uint64(len(e.events) + 1)
		e.events = append(e.events, ev)
	}
	at("11:00:00", api.Event{Kind: api.KindEngine, Message: "engine started"})
	at("13:00:00", api.Event{Kind: api.KindState, Name: "web", To: api.Running})
	at("14:10:00", api.Event{Kind: api.KindCommand, Verb: "restart", Target: "nix", Message: "refused: restart nix", Error: "there is no service \x1b"})
	at("14:29:59", api.Event{Kind: api.KindCommand, Verb: "restart", Target: "web.2", Message: "restart web.2", By: &api.Caller{UID: 7}})
	at("14:40:00", api.Event{Kind: api.KindKeeper, Message: "the keeper was killed"})
	socket := serve(t, e)
	const asked = "2026-11-21 14:29:59  -         -      -                    asked: restart web.2 (uid 7)\n"
	const last = "2026-11-21 14:40:00  -         -      -                    the keeper was killed\n"
	for _, c := range []struct {
		args  string
		lines int
		want  string
	}{
		{"history", 8, "2026-11-21 11:00:00  -         -      -                    engine started\n"},
		{"history", 8, "2026-11-21 14:10:00  -         -      -                    asked: refused: restart nix: there is no service ·\n"},
		{"history", 8, asked},
		{"history web", 4, asked},
		{"history db", 2, "exit code 1"},
		{"history -n 2", 3, last},
	} {
		code, out, err := onTheDay(t, append([]string{"--socket", socket}, strings.Fields(c.args)...)...)
		if code != 0 || strings.Count(out, "\n") != c.lines || !strings.Contains(out, c.want) || err != "" {
			t.Errorf("stay %s: %d %q\n%s", c.args, code, err, out)
		}
	}
}

func TestHistoryJSON(t *testing.T) {
	e := three()
	socket := serve(t, e)
	if code, out, _ := onTheDay(t, "--socket", socket, "history", "--json"); code != 0 || out != "[]\n" {
		t.Errorf("of nothing: %d %q", code, out)
	}
	e.change(func() { e.incidents = died() })
	code, out, _ := onTheDay(t, "--socket", socket, "history", "--json")
	var list []api.Incident
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 3 || list[0].Name != "db" || list[1].Evidence != nil || list[1].Verdict == nil {
		t.Errorf("%d %v %s", code, err, out)
	}
}

func TestSinceTime(t *testing.T) {
	now := time.Date(2026, 3, 30, 12, 30, 0, 0, time.FixedZone("", 7200))
	for text, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "90m": "2026-03-30T11:00:00+02:00", "0s": "2026-03-30T12:30:00+02:00", "2d": "2026-03-28T12:30:00+02:00",
		"today": "2026-03-30T00:00:00+02:00", "yesterday": "2026-03-29T00:00:00+02:00", "2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z",
		"2026-01-02": "2026-01-02T00:00:00+02:00", "2026-01-02 03:04": "2026-01-02T03:04:00+02:00", "2026-01-02T03:04:05": "2026-01-02T03:04:05+02:00",
	} {
		got, err := sinceTime(text, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"soon", "-1h", "-2d", "1e9d", "d", "2026-13-01", "99999999d"} {
		if got, err := sinceTime(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
