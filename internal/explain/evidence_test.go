package explain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/stay/api"
)

// full is an incident with everything in it.
func full() *api.Incident {
	return hung(api.Verdict{Kind: "pulse", Pulse: "indexer", Tid: 4714, SilentMS: 30_004, LimitMS: 30_000, Fine: 2, Late: 1, Slots: []api.PulseSlot{
		{Pulse: "acceptor", State: "idle", AgeMS: 12, LimitMS: 30_000},
		{Pulse: "indexer", State: "busy", AgeMS: 30_004, LimitMS: 30_000, Note: "merging segment 41"},
		{Source: "watchdog", State: "ok", AgeMS: 900, LimitMS: 2000},
		{Pulse: "sweeper", State: "paused", AgeMS: 90_000, LimitMS: 30_000},
		{Pulse: "report", State: "busy", AgeMS: 31_000, LimitMS: 30_000, Why: "starved"},
		{Pulse: "free", State: "busy", AgeMS: 5},
	}}, func(a *api.Incident) {
		a.Usage = &api.Usage{UserMS: 12_300, SysMS: 400, MaxRSS: 42 << 20}
		a.Log = []string{"merging 40", "merging 41"}
		a.Evidence = &api.Evidence{TookMS: 3.1, Load: "0.52 0.58 0.59 2/345 9999", Pressure: []string{"cpu some avg10=20.29 avg60=35.65 avg300=56.48 total=3651882462",
			"io some avg10=0.00 avg60=0.00 avg300=0.30 total=54155280"}, Memory: []string{"MemAvailable: 3 GB", "SwapFree: 0 kB"},
			Missing: []string{"kernel stacks: permission denied"},
			Processes: []api.Seen{
				{Pid: 4711, Comm: "web", State: "S", Count: 20, RSS: 42 << 20, Swap: 1 << 20, Open: 31, Command: []string{"web", "--port", "80"},
					Threads: []api.Thread{indexer, {Tid: 4711, Comm: "web", State: "S", Wchan: "ep_poll"}, {Tid: 4712, Comm: "gc", State: "S", Wchan: "futex_wait"},
						{Tid: 4713, Comm: "gc", State: "S", Wchan: "futex_wait"}, {Tid: 4715, Comm: "work", State: "R"}},
					Files: []string{"0 /dev/null", "3 socket:[123] tcp 127.0.0.1:80 LISTEN"}, Limits: []string{"Max open files 31 of 32"}},
				{Pid: 4720, Comm: "sh", State: "Z", Count: 1, Open: -1, Threads: []api.Thread{{Tid: 4720, Comm: "sh", State: "Z"}}},
			}}
	})
}

const fullText = `run
  generation 17, pid 4711, started at 12:03:07, up for 2 h
  processor time 12.3 s of its own, 400 ms in the kernel; at most 42 MiB of memory
  incident 20261121T130307.123000Z_web.2_17
pulses
! ` + "`report`" + `: busy, 31.0 s of 30 s, starved
! ` + "`indexer`" + `: busy, 30.0 s of 30 s, at ` + "`merging segment 41`" + `
  ` + "`watchdog`" + `: ok, 900 ms of 2 s
  ` + "`acceptor`" + `: idle, 12 ms of 30 s
  ` + "`sweeper`" + `: paused, 90.0 s of 30 s
  ` + "`free`" + `: busy, 5.0 ms
process 4711 (web): sleeping, 20 threads, 42 MiB, 1 MiB in swap, 31 descriptors
  web --port 80
! thread 4714 (indexer): sleeping in futex_wait, pulse ` + "`indexer`" + `
    system call: futex(0x7f0, 0x80)
    kernel: futex_wait_queue < futex_wait < do_futex
    ran 12.3 s of its own, 400 ms in the kernel; waited 17 ms for a processor
  thread 4711 (web): sleeping in ep_poll
  2 threads (gc): sleeping in futex_wait
  thread 4715 (work): running
  15 more threads
  near a limit: Max open files 31 of 32
  open: 0 /dev/null; 3 socket:[123] tcp 127.0.0.1:80 LISTEN; 29 more
process 4720 (sh): dead, 1 thread
  thread 4720 (sh): dead
    ran 0.0 ms of its own, 0.0 ms in the kernel; waited 0.0 ms for a processor
machine
  load 0.52 0.58 0.59 2/345 9999
  pressure cpu some avg10=20.29 avg60=35.65
  MemAvailable: 3 GB, SwapFree: 0 kB
not seen
  kernel stacks: permission denied
last output
  merging 40
  merging 41
`

func TestPressing(t *testing.T) {
	for _, c := range []struct{ list, want []string }{
		{nil, nil},
		{[]string{"cpu some avg10=0.00 avg60=0.00 avg300=9.00 total=7"}, []string{"none in the last minute"}},
		{[]string{"cpu some avg10=0.00 avg60=0.02 avg300=9.00 total=7", "something else"}, []string{"cpu some avg10=0.00 avg60=0.02", "something else"}},
	} {
		if got := pressing(c.list); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.list, got, c.want)
		}
	}
}

func written(list []Section) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintln(&b, s.Title)
		for _, l := range s.Lines {
			mark := " "
			if l.Late {
				mark = "!"
			}
			fmt.Fprintf(&b, "%s %s%s\n", mark, strings.Repeat("  ", l.Indent), l.Text)
		}
	}
	return b.String()
}

func TestEvidence(t *testing.T) {
	if got := written(Evidence(full(), now)); got != fullText {
		t.Errorf("got\n%s", got)
	}
}

// TestEvidenceIsBounded: however much was seen, a person gets a page or two of it, and is told that there is more.
func TestEvidenceIsBounded(t *testing.T) {
	a := full()
	for i := range 1000 {
		text := fmt.Sprint(i)
		a.Log = append(a.Log, text)
		a.Verdict.Slots = append(a.Verdict.Slots, api.PulseSlot{Pulse: text})
		a.Evidence.Missing = append(a.Evidence.Missing, text)
		a.Evidence.Pressure = append(a.Evidence.Pressure, text)
		a.Evidence.Memory = append(a.Evidence.Memory, text)
		p := &a.Evidence.Processes[0]
		p.Threads = append(p.Threads, api.Thread{Tid: i, Comm: text})
		a.Evidence.Processes[1].Threads = append(a.Evidence.Processes[1].Threads, api.Thread{Tid: i, Pulse: text})
		p.Files = append(p.Files, text)
		p.Limits = append(p.Limits, text)
		a.Evidence.Processes[0].Threads[0].Stack = append(a.Evidence.Processes[0].Threads[0].Stack, text)
	}
	for len(a.Evidence.Processes) < 100 {
		a.Evidence.Processes = append(a.Evidence.Processes, a.Evidence.Processes[0])
	}
	got := written(Evidence(a, now))
	if n := strings.Count(got, "\n"); n > 300 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	for _, more := range []string{"94 more processes", "995 more threads", "994 more\n", "989 more\n", "  999\n"} {
		if !strings.Contains(got, more) {
			t.Errorf("without %q:\n%s", more, got)
		}
	}
}
