package engine

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/schedule"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A desk is an engine whose loop does not run, with clocks that the test moves and one job that is due at half past each hour.
type desk struct {
	*Engine
	t    *testing.T
	mono unit.Time
	real time.Time
	job  *inst
}

func newDesk(t *testing.T, overlap schedule.Overlap) *desk {
	t.Helper()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); unix.Close(other) })
	d := &desk{t: t, mono: 1e12, real: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	d.Engine = newEngine(Options{Conn: conn, Log: slog.New(slog.DiscardHandler), MemoryDir: t.TempDir(),
		Now:  func() (unit.Time, time.Time) { return d.mono, d.real },
		Zone: func(string) (*time.Location, error) { return time.UTC, nil }})
	close(d.loop) // what the edge posts is dropped: the test acts for it
	job := aService("job", func(s *spec.Service) {
		s.Job = &spec.Job{Cron: "30 * * * *", Overlap: overlap}
		s.Restart.When, s.Ready.When, s.Success = spec.RestartNever, spec.ReadyExec, []spec.Success{{Code: 0}}
	})
	d.cfg, d.daemon = &spec.Config{Services: []*spec.Service{job}}, daemonRecord{Mode: running}
	d.jobTimes = openJobTimes(t.TempDir(), d.log)
	t.Cleanup(d.jobTimes.wait)
	d.events.start(0, 0)
	d.build(d.cfg)
	d.initGraph()
	d.job = d.insts["job"]
	d.timeAll()
	d.step(d.job, d.job.asPlanned())
	d.batch()
	return d
}

// wait returns when everything is on disk, so that the test's directory can go.
func (t *jobTimes) wait() {
	for {
		t.mu.Lock()
		writing := t.writing
		t.mu.Unlock()
		if !writing {
			return
		}
		<-time.After(time.Millisecond)
	}
}

// pass lets time go by on both clocks, and does what is due whenever it is.
func (d *desk) pass(by time.Duration) {
	end := d.mono.Add(by)
	for d.mono < end {
		next := d.timetables.next()
		if next == 0 || next > end {
			next = end
		}
		step := max(next.Sub(d.mono), 0)
		d.mono, d.real = d.mono.Add(step), d.real.Add(step)
		d.tick()
		d.batch()
	}
}

// begun says that the process of the run has been made; over, that it has ended.
func (d *desk) begun() {
	d.t.Helper()
	if d.job.u.Phase != unit.Spawning {
		d.t.Fatalf("nothing is made: %+v", d.job.u)
	}
	d.step(d.job, unit.Event{Kind: unit.Spawned, Gen: d.job.u.Gen, Pid: int(d.job.u.Gen) * 10})
	d.batch()
}

func (d *desk) over(code int) {
	d.t.Helper()
	d.step(d.job, unit.Event{Kind: unit.Exited, Gen: d.job.u.Gen, Pid: d.job.u.Pid, Empty: true, End: unit.End{Reason: unit.ExitCode, Code: code, At: d.mono}})
	d.batch()
}

func (d *desk) is(phase unit.Phase, gen uint64) {
	d.t.Helper()
	if d.job.u.Phase != phase || d.job.u.Gen != gen {
		d.t.Fatalf("at %s it is in %s of generation %d, want %s of %d", d.real.Format("15:04:05"), d.job.u.Phase, d.job.u.Gen, phase, gen)
	}
}

// said is the last event about the job's times.
func (d *desk) said() string {
	for i := len(d.events.ring) - 1; i >= 0; i-- {
		if a := d.events.ring[i]; a.Kind == "job" {
			return a.Message
		}
	}
	return ""
}

func TestJobRunsAtItsTimes(t *testing.T) {
	d := newDesk(t, schedule.Skip)
	d.is(unit.Idle, 0)
	if got := d.why(d.job); got != "next run at "+d.real.Local().Add(30*time.Minute).Format("15:04") {
		t.Errorf("before its time: %q", got)
	}
	d.pass(30*time.Minute - time.Second)
	d.is(unit.Idle, 0)
	if got := d.why(d.job); got != "next run in 1s" {
		t.Errorf("a second before its time: %q", got)
	}
	d.pass(time.Second)
	d.is(unit.Spawning, 1)
	d.begun()
	d.over(0)
	d.is(unit.Idle, 1)
	d.pass(time.Hour)
	d.is(unit.Spawning, 2)
	d.begun()
	d.over(3)
	d.is(unit.Failed, 2)
	if got := d.why(d.job); !strings.HasPrefix(got, "exit code 3") || !strings.Contains(got, "next run at ") {
		t.Errorf("after a failure: %q", got)
	}
	d.pass(time.Hour)
	d.is(unit.Spawning, 3)
	d.begun()
	d.over(0)
	d.step(d.job, unit.Event{Kind: unit.Stop, Reason: unit.ByOperator})
	d.pass(2 * time.Hour)
	d.is(unit.Idle, 3)
}

func TestTimeDuringRun(t *testing.T) {
	for overlap, want := range map[schedule.Overlap]struct {
		during, after unit.Phase
		gen           uint64
		says          string
	}{
		schedule.Skip:    {unit.Ready, unit.Idle, 1, "it is skipped"},
		schedule.Queue:   {unit.Ready, unit.Spawning, 2, "another follows"},
		schedule.Replace: {unit.Stopping, unit.Spawning, 2, "it is replaced"},
	} {
		d := newDesk(t, overlap)
		d.pass(30 * time.Minute)
		d.begun()
		d.pass(time.Hour)
		d.is(want.during, 1)
		if !strings.HasSuffix(d.said(), want.says) {
			t.Errorf("%s: the event says %q", overlap, d.said())
		}
		d.over(0)
		d.is(want.after, want.gen)
	}
}

// TestClockIsSet: nobody tells when the wall clock is set; it is looked at often enough.
func TestClockIsSet(t *testing.T) {
	d := newDesk(t, schedule.Skip)
	d.real = d.real.Add(24 * time.Hour)
	d.pass(31 * time.Second)
	d.is(unit.Spawning, 1)
	d.begun()
	d.over(0)
	d.real = d.real.Add(-48 * time.Hour)
	d.pass(30 * time.Minute)
	d.is(unit.Spawning, 2)
}

// TestPlanOutlivesEngine: the next engine has it from the record, the next daemon the time from the file.
func TestPlanOutlivesEngine(t *testing.T) {
	d := newDesk(t, schedule.Queue)
	d.pass(30 * time.Minute)
	d.begun()
	d.pass(time.Hour)
	var r record
	if err := json.Unmarshal(d.record(d.job), &r); err != nil {
		t.Fatal(err)
	}
	if r.Times == nil || !r.Times.State.Queued || r.Times.Line != "30 * * * *\n" {
		t.Errorf("the record has %+v", r.Times)
	}
	d.jobTimes.wait()
	again := openJobTimes(filepath.Dir(d.jobTimes.path), d.log)
	s := again.remembered("job", r.Times.Line)
	if !s.Time.Equal(d.job.times.state.Time) || s.Queued {
		t.Errorf("the file has %+v, want the time of %+v", s, d.job.times.state)
	}
	if s := again.remembered("job", "0 0 * * *\n"); s != (schedule.State{}) {
		t.Errorf("of other times it has %+v", s)
	}
}

func TestDamagedJobTimes(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "null", `{"job":5}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "jobs.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		times := openJobTimes(dir, slog.New(slog.DiscardHandler))
		times.note("job", "x", schedule.State{Time: time.Unix(1e9, 0)})
		times.wait()
		if s := openJobTimes(dir, times.log).remembered("job", "x"); s.Time.Unix() != 1e9 {
			t.Errorf("%q: what is noted afterwards is not kept: %+v", text, s)
		}
	}
}
