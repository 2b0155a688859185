package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: jobs. Cron lines have no times nearer than a minute: what is shown of them here is how a time that was missed is
// made up for; the rest are scripts of package schedule.

// TestJobBeforeService: a service that needs a job waits for its success, however often that takes.
func TestJobBeforeService(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := filepath.Join(d.dir, "gate")
	d.write(fmt.Sprintf(`
[job.migrate]
command = ["sh", "-c", "test -e %s"]
restart = { when = "on-failure", step = "10ms", max_delay = "50ms" }
[service.web]
command = "sleep 1000"
needs = ["migrate"]
`, gate))
	d.up()
	d.until("migrate", "tried twice", func(i api.Instance) bool { return i.Generation > 2 })
	d.why("web", "waiting for migrate")
	if err := os.WriteFile(filepath.Join(d.root, gate), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.running("web", 0)
	done := d.one("migrate")
	if done.State != api.Done || done.LastRun == nil || !done.LastRun.OK || done.Restarts != 0 {
		t.Errorf("the job is %+v, last run %+v", done, done.LastRun)
	}
	d.killEngine()
	if again := d.one("migrate"); again.State != api.Done || again.Generation != done.Generation {
		t.Errorf("after the engine's death the job is %+v", again)
	}
	if r := d.do(api.Start, "migrate"); len(r.Failures) > 0 {
		t.Errorf("an operator wants it again: %v", r.Failures)
	}
	if again := d.one("migrate"); again.Generation != done.Generation+1 || again.State != api.Done {
		t.Errorf("after a run on demand it is %+v", again)
	}
}

// TestJobAgainAndAgain: the span counts from the end of a run; a failed run is a run, and no restart.
func TestJobAgainAndAgain(t *testing.T) {
	t.Parallel()
	d := start(t, `
[job.tick]
command = ["sh", "-c", "echo run; exit 3"]
every = "20ms"
jitter = "10ms"
`)
	ran := d.until("tick", "run five times", func(i api.Instance) bool { return i.Generation >= 5 })
	if ran.Restarts != 0 {
		t.Errorf("%d restarts", ran.Restarts)
	}
	d.killEngine()
	d.until("tick", "run on", func(i api.Instance) bool { return i.Generation >= ran.Generation+3 })
	resting := d.until("tick", "resting", func(i api.Instance) bool { return i.State == api.Waiting })
	if l := resting.LastRun; l == nil || l.OK || !strings.HasPrefix(l.Result, "exit code 3") || resting.Next.Before(l.Ended.Add(20*time.Millisecond)) {
		t.Errorf("resting it is %+v, last run %+v", resting, l)
	}
	d.do(api.Stop, "tick")
	stopped := d.one("tick")
	if !stopped.Next.IsZero() || stopped.State != api.Stopped {
		t.Errorf("stopped it is %+v", stopped)
	}
}

// TestJobTimeout: a run that takes too long is examined, ended, and explained.
func TestJobTimeout(t *testing.T) {
	t.Parallel()
	d := start(t, "[job.slow]\ncommand = \"sleep 1000\"\ntimeout = \"50ms\"\n")
	d.until("slow", "ended", func(i api.Instance) bool { return i.State == api.Failed })
	last := d.incident("slow", 0)
	if last.Cause != api.CauseRunTimeout || last.Evidence == nil {
		t.Errorf("the incident is %+v", last)
	}
}

// TestJobFailureIsTold: who starts a job waits for its end.
func TestJobFailureIsTold(t *testing.T) {
	t.Parallel()
	d := start(t, "[job.bad]\ncommand = [\"sh\", \"-c\", \"echo no such table; exit 3\"]\ncron = \"0 0 1 1 *\"\n")
	if i := d.one("bad"); i.State != api.Waiting || i.Generation != 0 || i.Next.IsZero() {
		t.Errorf("before its time it is %+v", i)
	}
	r, err := d.try(api.Command{Verb: api.Start, Target: "bad"})
	if err != nil || len(r.Failures) != 1 || !strings.HasPrefix(r.Failures[0].Message, "exit code 3") {
		t.Errorf("%v, %+v", err, r)
	}
	if i := d.one("bad"); i.State != api.Failed || i.Next.IsZero() {
		t.Errorf("after a failure it is %+v", i)
	}
}

// TestJobCatchesUp: times that passed while no daemon was there are made up for by one run, where the job wants that.
func TestJobCatchesUp(t *testing.T) {
	t.Parallel()
	d := prepare(t, `
[job.late]
command = "true"
cron = "0 0 1 1 *"
catch_up = true
[job.never]
command = "true"
cron = "0 0 1 1 *"
[job.other]
command = "true"
cron = "0 0 2 1 *"
catch_up = true
`)
	missed := map[string]any{"time": "2020-01-01T00:00:00Z", "due": "2020-01-01T00:00:00Z"}
	times := map[string]any{}
	for _, name := range []string{"late", "never", "other"} { // the line of the last one is another by now
		times[name] = map[string]any{"line": "0 0 1 1 *\n", "state": missed}
	}
	data, err := json.Marshal(times)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(d.root, d.dir, ".stay", "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "jobs.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	d.up()
	d.until("late", "run once", func(i api.Instance) bool { return i.Generation == 1 && i.State == api.Waiting })
	for _, name := range []string{"never", "other"} {
		if i := d.one(name); i.Generation != 0 {
			t.Errorf("%s has run: %+v", name, i)
		}
	}
	d.killEngine()
	if i := d.one("late"); i.Generation != 1 {
		t.Errorf("the next engine makes up for it again: %+v", i)
	}
	d.wait("the times to be kept", func() error {
		data, err := os.ReadFile(filepath.Join(state, "jobs.json"))
		if err == nil && strings.Contains(string(data), "2020-01-01") {
			err = fmt.Errorf("they are %s", data)
		}
		return err
	})
}
