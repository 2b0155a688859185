package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/slo"
)

// day2 is a journal of a day and an hour until theDay.
func day2() []api.Event {
	begin := theDay.Add(-25 * time.Hour)
	at := func(h float64, e api.Event) api.Event {
		d := time.Duration(h * float64(time.Hour))
		e.Time, e.MonoNS, e.Wanted = begin.Add(d), int64(d), true
		return e
	}
	list := []api.Event{
		at(0, api.Event{Kind: api.KindEngine, First: true}),
		at(0, api.Event{Kind: api.KindCheckpoint, States: map[api.State][]string{api.Running: {"web", "web.2"}, api.Stopped: {"db"}}}),
		at(13, api.Event{Kind: api.KindExit, Name: "web", Generation: 1, Cause: api.CauseSignal, Signal: "SEGV"}),
		at(13.5, api.Event{Kind: api.KindState, Name: "web", To: api.Running}),
		at(14, api.Event{Kind: api.KindExit, Name: "web.2", Generation: 1, Cause: api.CauseHang}),
	}
	for i := range list {
		list[i].Seq = uint64(i + 1)
	}
	return list
}

func sloOfTheDay(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	return beginAs(func(a *app) {
		a.now, a.mono = func() time.Time { return theDay }, func() int64 { return int64(25 * time.Hour) }
	}, args...).end(t)
}

func TestSLO(t *testing.T) {
	e := newEngine()
	socket := serve(t, e)
	if code, out, err := sloOfTheDay(t, "--socket", socket, "slo"); code != 0 || out != "nothing ran, as far as the journal goes back\n" || err != "" {
		t.Errorf("of nothing: %d %q %q", code, out, err)
	}
	e.change(func() { e.events = day2() })
	want := "SERVICE  OVER  UPTIME    DOWN    UNKNOWN  FAILURES     BETWEEN  RECOVERY  DEATHS\n" +
		"db       1d    -         -       -        0            -        -\n" +
		"         7d    -         -       -        0            -        -\n" +
		"         30d   -         -       -        0            -        -\n" +
		"web      1d    76.042 %  11h30m  -        2, down now  18h15m   30m00s    hang 1, signal 1\n" +
		"         7d    77.000 %  11h30m  -        2, down now  19h15m   30m00s    hang 1, signal 1\n" +
		"         30d   77.000 %  11h30m  -        2, down now  19h15m   30m00s    hang 1, signal 1\n" +
		"the journal begins 2026-11-20 14:00:00\n"
	if code, out, err := sloOfTheDay(t, "--socket", socket, "slo"); code != 0 || out != want || err != "" {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	code, out, _ := sloOfTheDay(t, "--socket", socket, "slo", "web.2", "--json")
	var list []slo.Report
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 1 || len(list[0].Windows) != 3 || list[0].Windows[0].Causes[api.CauseHang] != 1 {
		t.Errorf("%d %v %s", code, err, out)
	}
}

// TestSLOWithoutDaemon: what is not known since the daemon's last word is said.
func TestSLOWithoutDaemon(t *testing.T) {
	y := newYard(t, "web")
	if err := os.MkdirAll(filepath.Join(y.dir, ".stay", "state", "journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	lines := ""
	for _, e := range day2() {
		lines += oneLine(e) + "\n"
	}
	if err := os.WriteFile(filepath.Join(y.dir, "events"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, _ := sloOfTheDay(t, "slo", "--json")
	var list []slo.Report
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 2 || list[1].Windows[0].UnknownS != 22*3600 {
		t.Errorf("%d %v %s", code, err, out)
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		up, down float64
		want     string
	}{{1, 0, "100.000 %"}, {1e9, 1, "99.999 %"}, {1, 1, "50.000 %"}, {0, 1, "0.000 %"}} {
		if got := percent(slo.Window{Uptime: new(c.up / (c.up + c.down)), DownS: c.down}); got != c.want {
			t.Errorf("up %g, down %g: %s", c.up, c.down, got)
		}
	}
	if got := percent(slo.Window{}); got != "-" {
		t.Errorf("never wanted: %s", got)
	}
}

func TestSeconds(t *testing.T) {
	var got []string
	for _, s := range []float64{0.0019, 1.25, 9.99996, 90, 7200} {
		got = append(got, seconds(s))
	}
	if text := strings.Join(got, " "); text != "1.9ms 1.25s 10s 1m30s 2h00m" {
		t.Error(text)
	}
}
