package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"example.com/stay/api"
)

// beats are pulses in no order.
func beats() []api.PulseSlot {
	return []api.PulseSlot{
		{Name: "", Source: "table", Slot: 2, Pulse: "poller", Pid: 99, State: "ok", AgeMS: 4100, LimitMS: 60_000},
		{Name: "web.10", Source: "watchdog", Slot: -1, State: "ok", AgeMS: 900, LimitMS: 2000},
		{Name: "web.2", Source: "page", Slot: 1, Pulse: "acceptor", State: "idle", AgeMS: 12, LimitMS: 30_000, Rate: 99.96, Progress: 0},
		{Name: "web.2", Source: "page", Slot: 2, Pulse: "indexer\x1b", State: "busy", AgeMS: 24_000, LimitMS: 30_000, Rate: 0.5, Progress: 41, Note: "merging\x1b[2J 41", Why: "starved", Late: 2},
		{Name: "web.2", Source: "page", Slot: 3, State: "paused", AgeMS: 61_000, LimitMS: 30_000, Late: 1},
		{Name: "web.2", Source: "page", Slot: 4, Pulse: "ahead", State: "busy", AgeMS: -5000, LimitMS: 200, Rate: 12.34},
	}
}

const beatsText = "INSTANCE  PULSE            STATE   AGE     LIMIT  RATE     PROGRESS  NOTE            WHY\n" +
	"web.2     indexer·         busy    24.0s   30s    0.50/s   41        merging·[2J 41  starved, was late 2 times\n" +
	"web.2     acceptor         idle    12ms    30s    100/s    -\n" +
	"web.2     slot 3           paused  1m01s   30s    -        -                         was late once\n" +
	"web.2     ahead            busy    -5.0s   200ms  12.3/s   -\n" +
	"web.10    watchdog         ok      900ms   2s     -        -\n" +
	"-         poller (pid 99)  ok      4.1s    1m00s  -        -\n"

func TestPulse(t *testing.T) {
	e := three()
	e.pulses = beats()
	socket := serve(t, e)
	code, out, err := run(t, "--socket", socket, "pulse")
	if code != 0 || spaced(out) != spaced(beatsText) || err != "" {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	code, out, _ = run(t, "--socket", socket, "pulse", "web", "web.2")
	if code != 0 || strings.Count(out, "acceptor") != 1 || strings.Contains(out, "poller") {
		t.Errorf("of two targets: %d\n%s", code, out)
	}
	if code, out, _ := run(t, "--socket", socket, "pulse", "db"); code != 0 || out != "no pulses\n" {
		t.Errorf("of none: %d %q", code, out)
	}
	if code, _, err := run(t, "--socket", socket, "pulse", "nix"); code != 1 || !strings.HasPrefix(err, `stay: there is no service "nix"`) {
		t.Errorf("of nothing: %d %q", code, err)
	}
	code, out, _ = run(t, "--socket", socket, "pulse", "--json", "web.2")
	var list []api.PulseSlot
	if json.Unmarshal([]byte(out), &list) != nil || code != 0 || len(list) != 4 || list[0].Progress != 41 {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := run(t, "--socket", socket, "pulse", "--json", "db"); code != 0 || out != "[]\n" {
		t.Errorf("of none: %d %q", code, out)
	}
}

// spaced makes each gap one space: how wide columns are, TestStatus says.
func spaced(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestPulseWatch(t *testing.T) {
	e := three()
	e.pulses = beats()
	s := begin("--socket", serve(t, e), "pulse", "--watch", "web.2")
	s.out.await(t, "acceptor", 2)
	e.change(func() { e.pulses[2].State = "broken" })
	s.out.await(t, "broken", 2)
	s.press(t, os.Interrupt)
	if code, _, err := s.end(t); code != 0 || err != "" {
		t.Errorf("%d %q", code, err)
	}
}

func TestPulseColor(t *testing.T) {
	for _, c := range []struct {
		s    api.PulseSlot
		want color
	}{
		{api.PulseSlot{State: "busy", AgeMS: 749, LimitMS: 1000}, plain},
		{api.PulseSlot{State: "busy", AgeMS: 751, LimitMS: 1000}, yellow},
		{api.PulseSlot{State: "busy", AgeMS: 1000, LimitMS: 1000}, red},
		{api.PulseSlot{State: "busy", AgeMS: 1000}, plain},
		{api.PulseSlot{State: "busy", AgeMS: -1000, LimitMS: 10}, plain},
		{api.PulseSlot{State: "paused", AgeMS: 2000, LimitMS: 1000}, dim},
		{api.PulseSlot{State: "lost"}, red},
		{api.PulseSlot{State: "broken"}, red},
		{api.PulseSlot{State: "failing"}, red},
	} {
		if got := pulseColor(c.s); got != c.want {
			t.Errorf("%+v: %d, want %d", c.s, got, c.want)
		}
	}
}

// TestStatusWithPulse: the column is there where any instance has a pulse.
func TestStatusWithPulse(t *testing.T) {
	web, db := instance("web", api.Running, 7), instance("db", api.Running, 8)
	web.Pulse = &api.Pulse{Name: "main", AgeMS: 1200, LimitMS: 30_000}
	code, out, _ := run(t, "--socket", serve(t, newEngine(web, db)), "status")
	want := "SERVICE STATE PID UPTIME RESTARTS PULSE WHY\nweb running 7 0s 0 1.2s/30s\ndb running 8 0s 0 -"
	if code != 0 || spaced(out) != want {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestAge(t *testing.T) {
	for ms, want := range map[float64]string{0: "0ms", 0.4: "0ms", 999.4: "999ms", 999.6: "1.0s", 59_940: "59.9s", 59_960: "1m00s", 252_000: "4m12s", -1500: "-1.5s"} {
		if got := age(ms); got != want {
			t.Errorf("%v: %q, want %q", ms, got, want)
		}
	}
}
