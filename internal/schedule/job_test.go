package schedule

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// clock is a moment on one day, or a later one: "15:04" or "02 15:04".
func clock(t *testing.T, s string) time.Time {
	t.Helper()
	if !strings.Contains(s, " ") {
		s = "01 " + s
	}
	at, err := time.Parse("2006-01-02 15:04", "2026-05-"+s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func at(s State) string {
	if s.Due.IsZero() {
		return "never"
	}
	return s.Due.UTC().Format("02 15:04")
}

// TestScripts plays a day of a job. A step is "MOMENT WHAT: OUTCOME": the outcome is the act, or when it is due next.
func TestScripts(t *testing.T) {
	tests := []struct {
		name  string
		job   Job
		steps []string
	}{
		{"it runs at its times", Job{}, []string{
			"03:00 plan: 01 04:30", "04:29 tick: nothing", "04:30 tick: run", "04:31 ended: nothing", "04:31 due: 02 04:30"}},
		{"a time during a run is skipped", Job{Overlap: Skip}, []string{
			"03:00 plan: 01 04:30", "04:30 tick: run", "02 04:30 tick running: nothing", "02 04:40 ended: nothing", "02 04:40 skipped: 1", "02 04:40 due: 03 04:30"}},
		{"or waits", Job{Overlap: Queue}, []string{
			"03:00 plan: 01 04:30", "04:30 tick: run", "02 04:30 tick running: nothing", "03 04:30 tick running: nothing", "03 05:00 ended: run", "03 05:10 ended: nothing"}},
		{"or replaces it", Job{Overlap: Replace}, []string{
			"03:00 plan: 01 04:30", "04:30 tick: run", "02 04:30 tick running: restart"}},
		{"late is still on time", Job{}, []string{
			"03:00 plan: 01 04:30", "06:00 tick: run", "06:00 due: 02 04:30"}},
		{"nobody was there: the next time counts", Job{}, []string{
			"03:00 plan: 01 04:30", "04 05:00 plan: 05 04:30", "04 05:00 missed: 4", "04 05:00 tick: nothing"}},
		{"nobody was there: it is made up for by one run", Job{CatchUp: true}, []string{
			"03:00 plan: 01 04:30", "04 05:00 plan: 04 05:00", "04 05:00 tick: run", "04 05:00 due: 05 04:30", "04 05:01 tick: nothing"}},
		{"nobody was there, but nothing was missed", Job{CatchUp: true}, []string{
			"03:00 plan: 01 04:30", "04:00 plan: 01 04:30", "04:00 missed: 0"}},
		{"the clock is put back a little: nothing runs twice", Job{}, []string{
			"03:00 plan: 01 04:30", "04:30 tick: run", "03:30 tick: nothing", "04:30 tick: nothing", "04:31 due: 02 04:30"}},
		{"the clock was wrong by days: the plan is made anew", Job{}, []string{
			"20 03:00 plan: 20 04:30", "20 04:30 tick: run", "03:00 tick: nothing", "03:00 due: 01 04:30", "04:30 tick: run"}},
		{"the clock is put forward: one run", Job{}, []string{
			"03:00 plan: 01 04:30", "20 12:00 tick: run", "20 12:00 due: 21 04:30"}},
	}
	acts := map[Act]string{Nothing: "nothing", Run: "run", Restart: "restart"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := tt.job
			j.Name, j.Times = "job", times(t, "30 4 * * *", "UTC")
			var s State
			for _, step := range tt.steps {
				when, want, _ := strings.Cut(step, ": ")
				f := strings.Fields(when)
				var verbs []string
				moment := f[0]
				if verbs = f[1:]; !strings.Contains(f[0], ":") {
					moment, verbs = f[0]+" "+f[1], f[2:]
				}
				now, act, got := clock(t, moment), Nothing, ""
				switch verbs[0] {
				case "plan":
					s = j.Plan(s, now)
					got = at(s)
				case "tick":
					s, act = j.Tick(s, now, len(verbs) > 1)
					got = acts[act]
				case "ended":
					s, act = j.Ended(s)
					got = acts[act]
				case "due":
					got = at(s)
				case "skipped":
					got = string(rune('0' + s.Skipped))
				case "missed":
					got = string(rune('0' + s.Missed))
				default:
					t.Fatalf("no step %q", step)
				}
				if got != want {
					t.Fatalf("%s: got %s", step, got)
				}
				s = remembered(t, s) // as the next engine gets it
			}
		})
	}
}

func remembered(t *testing.T, s State) State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again State
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

func TestJitter(t *testing.T) {
	j := Job{Name: "a", Times: times(t, "0 * * * *", "UTC"), Jitter: 10 * time.Minute}
	now := clock(t, "00:00")
	seen := map[time.Duration]bool{}
	s := j.Plan(State{}, now)
	for range 100 {
		d := s.Due.Sub(s.Time)
		if d < 0 || d >= j.Jitter {
			t.Fatalf("jitter of %v", d)
		}
		seen[d] = true
		if again := j.Plan(State{}, s.Time.Add(-time.Second)); again.Due != s.Due {
			t.Fatal("another engine makes another time of it")
		}
		var act Act
		if s, act = j.Tick(s, s.Due, false); act != Run {
			t.Fatal("not due when it is due")
		}
	}
	if len(seen) < 90 {
		t.Errorf("%d different jitters of 100", len(seen))
	}
	other := j
	other.Name = "b"
	if other.Plan(State{}, now).Due == j.Plan(State{}, now).Due {
		t.Error("two jobs of one time start together")
	}
}

func TestLook(t *testing.T) {
	j := Job{Times: times(t, "30 4 * * *", "UTC")}
	s := j.Plan(State{}, clock(t, "03:00"))
	for moment, want := range map[string]time.Duration{"03:00": longestLook, "04:30": 0, "05:00": 0} {
		if got := j.Look(s, clock(t, moment)); got != want {
			t.Errorf("at %s: looks in %v, want %v", moment, got, want)
		}
	}
	if got := j.Look(s, clock(t, "04:30").Add(-time.Second)); got != time.Second {
		t.Errorf("a second before: looks in %v", got)
	}
}
