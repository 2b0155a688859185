package slo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// parse reads a script: a line is seconds of wall time, seconds of monotonic time ("=": the same), kind, and what the kind
// needs. "state web waiting", "state web stopping unwanted", "exit web 3 signal", "exit web 3 operator expected",
// "engine first boot2", "checkpoint running=web,db", "oom web 3", "alive", "gap".
func parse(t *testing.T, script string) *Ledger {
	t.Helper()
	l := &Ledger{}
	seq := uint64(0)
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		seq++
		l.Add(eventOf(t, seq, f))
	}
	return l
}

func eventOf(t *testing.T, seq uint64, f []string) api.Event {
	t.Helper()
	wall := seconds(t, f[0])
	mono := wall
	if f[1] != "=" {
		mono = seconds(t, f[1])
	}
	a := api.Event{Seq: seq, Time: epoch.Add(wall), MonoNS: int64(mono), Kind: f[2], Wanted: true}
	has := func(word string) bool { return strings.Contains(strings.Join(f[3:], " ")+" ", word+" ") }
	switch a.Kind {
	case api.KindState:
		a.Name, a.To, a.Wanted = f[3], api.State(f[4]), !has("unwanted")
	case api.KindExit, api.KindOOM:
		a.Name = f[3]
		a.Generation, _ = strconv.ParseUint(f[4], 10, 64)
		if a.Kind == api.KindExit {
			a.Cause, a.Expected, a.Wanted = api.Cause(f[5]), has("expected"), !has("unwanted")
		}
	case api.KindEngine:
		a.First = has("first")
		if last := f[len(f)-1]; strings.HasPrefix(last, "boot") {
			a.Boot = last
		}
	case api.KindCheckpoint:
		a.States = map[api.State][]string{}
		for _, part := range f[3:] {
			state, names, _ := strings.Cut(part, "=")
			a.States[api.State(state)] = strings.Split(names, ",")
		}
	}
	return a
}

func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(s * float64(time.Second))
}

// said is a window in a few words.
func said(w Window) string {
	text := fmt.Sprintf("up %g down %g off %g unknown %g", w.UpS, w.DownS, w.OffS, w.UnknownS)
	if w.Uptime != nil {
		text += fmt.Sprintf(", %.3g %%", 100**w.Uptime)
	}
	if w.Deaths > 0 {
		text += fmt.Sprintf(", deaths %d", w.Deaths)
		for _, c := range []api.Cause{api.CauseExit, api.CauseSignal, api.CauseOOM, api.CauseHang, api.CauseExec, api.CauseOperator} {
			if w.Causes[c] > 0 {
				text += fmt.Sprintf(" %s %d", c, w.Causes[c])
			}
		}
		text += fmt.Sprintf(", failures %d", w.Failures)
	}
	if w.Open > 0 {
		text += fmt.Sprintf(" open %d", w.Open)
	}
	if w.MTBFS != nil {
		text += fmt.Sprintf(", mtbf %g", *w.MTBFS)
	}
	if w.MTTRS != nil {
		text += fmt.Sprintf(", mttr %g", *w.MTTRS)
	}
	return text
}

func TestReport(t *testing.T) {
	tests := []struct {
		name, script string
		now          string // seconds of wall time, and of monotonic time where they differ; "down" at the end: stay does not run
		window       time.Duration
		want         string
	}{
		{"nothing went wrong", `
			0 = engine first
			0 = state web starting
			2 = state web running`, "100", 0,
			"up 98 down 2 off 0 unknown 0, 98 %"},
		{"a window", `
			0 = engine first
			0 = state web running`, "100", 30 * time.Second,
			"up 30 down 0 off 0 unknown 0, 100 %"},
		{"a crash and a recovery", `
			0 = state web running
			40 = exit web 1 signal
			50 = state web running`, "100", 0,
			"up 90 down 10 off 0 unknown 0, 90 %, deaths 1 signal 1, failures 1, mtbf 90, mttr 10"},
		{"two of a crash loop count each to the end", `
			0 = state web running
			40 = exit web 1 exit
			45 = exit web 2 exec
			50 = state web running`, "100", 0,
			"up 90 down 10 off 0 unknown 0, 90 %, deaths 2 exit 1 exec 1, failures 2, mtbf 45, mttr 7.5"},
		{"given up", `
			0 = state web running
			60 = exit web 1 exit
			60 = state web failed`, "100", 0,
			"up 60 down 40 off 0 unknown 0, 60 %, deaths 1 exit 1, failures 1 open 1, mtbf 60"},
		{"the kernel did it", `
			0 = state web running
			10 = exit web 1 signal
			10 = exit web 2 signal
			10 = oom web 1
			20 = state web running`, "30", 0,
			"up 20 down 10 off 0 unknown 0, 66.7 %, deaths 2 signal 1 oom 1, failures 2, mtbf 10, mttr 10"},
		{"stopped is neither up nor down", `
			0 = state web running
			10 = state web stopping unwanted
			11 = exit web 1 operator expected unwanted
			11 = state web stopped unwanted
			91 = state web starting
			92 = state web running`, "100", 0,
			"up 18 down 1 off 81 unknown 0, 94.7 %, deaths 1 operator 1, failures 0"},
		{"a restart that was asked for is down, and no failure", `
			0 = state web running
			10 = state web stopping
			12 = exit web 1 operator expected
			15 = state web running`, "100", 0,
			"up 95 down 5 off 0 unknown 0, 95 %, deaths 1 operator 1, failures 0"},
		{"a job that is done", `
			0 = state web running
			10 = exit web 1 exit expected
			10 = state web done`, "100", 0,
			"up 10 down 0 off 90 unknown 0, 100 %, deaths 1 exit 1, failures 0"},
		{"two instances", `
			0 = checkpoint running=web,web.2
			50 = exit web.2 1 hang`, "100", 0,
			"up 150 down 50 off 0 unknown 0, 75 %, deaths 1 hang 1, failures 1 open 1, mtbf 150"},
		{"stay was down", `
			0 = checkpoint running=web
			10 = alive
			70 = engine first
			70 = state web starting
			80 = state web running`, "100", 0,
			"up 30 down 10 off 0 unknown 60, 75 %"},
		{"a death that stay did not see the end of is no recovery", `
			0 = state web running
			10 = exit web 1 exit
			70 = engine first
			80 = state web running`, "100", 0,
			"up 30 down 0 off 0 unknown 70, 100 %, deaths 1 exit 1, failures 1, mtbf 30"},
		{"an engine's death is nothing", `
			0 = checkpoint running=web
			10 = engine
			10 = checkpoint running=web`, "100", 0,
			"up 100 down 0 off 0 unknown 0, 100 %"},
		{"events are missing", `
			0 = checkpoint running=web
			10 = alive
			60 = gap
			70 = checkpoint waiting=web`, "100", 0,
			"up 10 down 30 off 0 unknown 60, 25 %"},
		{"the wall clock is set forward", `
			0 0 state web running
			3600 10 exit web 1 exit
			3605 15 state web running`, "3690 100", 0,
			"up 95 down 5 off 0 unknown 0, 95 %, deaths 1 exit 1, failures 1, mtbf 95, mttr 5"},
		{"the wall clock is set back", `
			9000 0 state web running
			10 10 exit web 1 exit
			15 15 state web running`, "100 100", 0,
			"up 95 down 5 off 0 unknown 0, 95 %, deaths 1 exit 1, failures 1, mtbf 95, mttr 5"},
		{"another boot", `
			0 500 engine first boot1
			0 500 checkpoint running=web
			10 510 alive
			70 5 engine first boot2
			70 5 state web running`, "100 35", 0,
			"up 40 down 0 off 0 unknown 60, 100 %"},
		{"another boot, longer up than the one before", `
			0 1 engine first boot1
			0 1 checkpoint running=web
			60 900 engine first boot2
			60 900 state web running`, "100 940", 0,
			"up 40 down 0 off 0 unknown 60, 100 %"},
		{"another boot, and the clock ran back: no time passed between", `
			1000 1 engine first boot1
			1000 1 checkpoint running=web
			1010 11 alive
			60 900 engine first boot2
			60 900 state web running`, "100 940", 0,
			"up 50 down 0 off 0 unknown 0, 100 %"},
		{"no daemon now", `
			0 = checkpoint running=web
			30 = alive`, "100 down", 0,
			"up 30 down 0 off 0 unknown 70, 100 %"},
		{"a window after the last word", `
			0 = checkpoint running=web
			30 = alive`, "100 down", 50 * time.Second,
			"up 0 down 0 off 0 unknown 50"},
		{"a journal that begins with an exit", `
			0 = exit web 4 signal
			1 = state web running`, "11", 0,
			"up 10 down 1 off 0 unknown 0, 90.9 %, deaths 1 signal 1, failures 1, mtbf 10, mttr 1"},
		{"words without a state", `
			0 = state web running
			5 = log
			6 = pulse`, "10", 0,
			"up 10 down 0 off 0 unknown 0, 100 %"},
	}
	for _, c := range tests {
		l := parse(t, c.script)
		f := strings.Fields(c.now)
		now := Now{Time: epoch.Add(seconds(t, f[0])), MonoNS: int64(seconds(t, f[0])), Running: f[len(f)-1] != "down"}
		if len(f) == 2 && now.Running {
			now.MonoNS = int64(seconds(t, f[1]))
		}
		if c.window == 0 {
			c.window = time.Hour
		}
		got := l.Report(now, []time.Duration{c.window}, nil)
		if len(got) != 1 || got[0].Service != "web" {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		if text := said(got[0].Windows[0]); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, text, c.want)
		}
	}
}

func TestReportChooses(t *testing.T) {
	l := parse(t, `
		0 = checkpoint running=web,web.2,db waiting=cache
		60 = state web.2 failed`)
	now := Now{Time: epoch.Add(2 * time.Hour), MonoNS: int64(2 * time.Hour), Running: true}
	var names []string
	for _, r := range l.Report(now, Windows, nil) {
		names = append(names, r.Service)
		for i, w := range r.Windows {
			if w.CoveredS != 7200 || w.WindowS != Windows[i].Seconds() {
				t.Errorf("%s: %+v", r.Service, w)
			}
		}
	}
	if got := strings.Join(names, " "); got != "cache db web" {
		t.Errorf("services are %q", got)
	}
	one := l.Report(now, Windows[:1], func(in string) bool { return in == "web.2" })
	if len(one) != 1 || one[0].Windows[0].UpS != 60 {
		t.Errorf("of web.2: %+v", one)
	}
	data, err := json.Marshal(one)
	if err != nil || !strings.Contains(string(data), `"mtbf_s":null`) || !strings.Contains(string(data), `"causes":{}`) {
		t.Errorf("%s, %v", data, err)
	}
	if l.Begin() != epoch {
		t.Errorf("it begins at %s", l.Begin())
	}
	var none Ledger
	if got := none.Report(now, Windows, nil); got == nil || len(got) != 0 || !none.Begin().IsZero() {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestSumsUp: whatever happens, the times of an instance are the time since it was first heard of, and no more.
func TestSumsUp(t *testing.T) {
	kinds := []string{"state web running", "state web waiting", "state web starting", "state web stopping unwanted", "state web failed", "state web done",
		"exit web 1 signal", "exit web 1 operator expected", "gap", "engine first boot1", "engine first boot2", "alive", "checkpoint running=web", "oom web 1"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var script strings.Builder
		fmt.Fprintln(&script, "0 0 engine first boot1\n0 0 state web running")
		at := 0
		for range 50 {
			at += r.IntN(10)
			fmt.Fprintf(&script, "%d %d %s\n", at+r.IntN(3)*1000, at, kinds[r.IntN(len(kinds))])
		}
		l := parse(t, script.String())
		end := l.at + 100*time.Second
		w := l.Report(Now{Time: l.last.Time, MonoNS: l.last.MonoNS + int64(100*time.Second), Running: true}, []time.Duration{1000 * time.Hour}, nil)[0].Windows[0]
		if total := w.UpS + w.DownS + w.OffS + w.UnknownS; math.Abs(total-end.Seconds()) > 1e-6 {
			t.Fatalf("seed %d: %g seconds of %g: %s\n%s", seed, total, end.Seconds(), said(w), script.String())
		}
		if w.MTTRS != nil && *w.MTTRS < 0 || w.Failures > w.Deaths || w.Open > w.Failures {
			t.Fatalf("seed %d: %s\n%s", seed, said(w), script.String())
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add(`{"seq":1,"time":"2026-01-01T00:00:00Z","mono_ns":1,"kind":"state","name":"web","to":"running"}` + "\n" + `{"kind":"exit","name":"web"}`)
	f.Add(`{"kind":"checkpoint","states":{"running":["web",""]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var l Ledger
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			var a api.Event
			if json.Unmarshal(lines.Bytes(), &a) == nil {
				l.Add(a)
			}
		}
		for _, r := range l.Report(Now{Time: epoch, Running: true}, Windows, nil) {
			for _, w := range r.Windows {
				if w.Uptime != nil && (*w.Uptime < 0 || *w.Uptime > 1) {
					t.Errorf("%s: %+v", r.Service, w)
				}
			}
		}
	})
}

// TestJobsAreLeftOut: what is to end has no uptime.
func TestJobsAreLeftOut(t *testing.T) {
	l := &Ledger{}
	for i, kind := range []string{api.KindState, api.KindExit} {
		l.Add(api.Event{Seq: uint64(i + 1), Time: epoch, MonoNS: int64(i), Kind: kind, Name: "backup", To: api.Running, Wanted: true, Job: true, Cause: api.CauseExit})
	}
	if list := l.Report(Now{Time: epoch.Add(time.Hour), MonoNS: int64(time.Hour), Running: true}, Windows, nil); len(list) != 0 {
		t.Errorf("there are figures: %+v", list)
	}
}
