package spec

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/schedule"
)

// zones are a Source's, as a machine with two of them has.
func zones(name string) (*time.Location, error) {
	switch name {
	case "", "UTC":
		return time.UTC, nil
	case "Test/East":
		return time.FixedZone("east", 2*60*60), nil
	}
	return nil, errors.New("unknown time zone")
}

func loadJobs(t *testing.T, text string) (*Config, Errors) {
	t.Helper()
	src := files{"/conf/stay.toml": text}.source()
	src.Zone = zones
	return Load("/conf/stay.toml", src)
}

func TestJobs(t *testing.T) {
	c, errs := loadJobs(t, `
[defaults]
restart = { when = "always", step = "1s" }
[job.once]
command = "a"
[job.again]
command = "b"
every = "10s"
timeout = "1h"
restart = { when = "on-failure" }
[job.cron]
command = "c"
cron = "30 4 * * *"
timezone = "Test/East"
overlap = "replace"
catch_up = true
jitter = "1m"
[service.web]
command = "d"
needs = ["once"]
`)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := map[string]Job{
		"once": {}, "again": {Every: 10 * time.Second, Timeout: time.Hour},
		"cron": {Cron: "30 4 * * *", Timezone: "Test/East", Overlap: schedule.Replace, CatchUp: true, Jitter: time.Minute},
	}
	for name, job := range want {
		if got := c.Service(name).Job; got == nil || *got != job {
			t.Errorf("job %q is %+v, want %+v", name, got, job)
		}
	}
	if c.Service("web").Job != nil {
		t.Error("a service is a job")
	}
	for name, when := range map[string]RestartWhen{"once": RestartNever, "again": RestartOnFailure, "cron": RestartNever, "web": RestartAlways} {
		if got := c.Service(name).Restart; got.When != when || got.Step != time.Second {
			t.Errorf("%q is restarted %q after %v, want %q after 1s", name, got.When, got.Step, when)
		}
	}
	if !c.Service("once").Job.Once() || c.Service("again").Job.Once() || c.Service("cron").Job.Once() {
		t.Error("which of them run once is wrong")
	}
	frozen, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(frozen)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Service("cron").Job; *got != want["cron"] {
		t.Errorf("frozen, it is %+v", got)
	}
}

func TestScheduleOfJob(t *testing.T) {
	s := &Service{Name: "a", Job: &Job{Cron: "30 4 * * *", Timezone: "Test/East", Jitter: time.Nanosecond}}
	j, err := s.Schedule(zones)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	if got := j.Plan(schedule.State{}, now).Due.UTC().Format("15:04"); got != "02:30" {
		t.Errorf("due at %s", got)
	}
	s.Job.Timezone = "Test/West"
	if _, err := s.Schedule(zones); err == nil {
		t.Error("a zone that has gone is no error")
	}
}

func TestUnknownZone(t *testing.T) {
	_, errs := loadJobs(t, "[job.a]\ncommand = \"x\"\ncron = \"@daily\"\ntimezone = \"Test/West\"\n")
	if len(errs) != 1 || !strings.Contains(errs.Error(), `4:12: key "timezone": there is no time zone "Test/West"`) {
		t.Errorf("errors: %v", errs)
	}
}

func TestJobDiff(t *testing.T) {
	load := func(text string) *Config {
		c, errs := loadJobs(t, text)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		return c
	}
	job := "[job.a]\ncommand = \"x\"\n"
	for _, tt := range []struct {
		old, new, keys string
		action         Action
	}{
		{job + `every = "10s"`, job + `every = "20s"`, "every", ActionChange},
		{job, job + `cron = "@daily"`, "cron,overlap", ActionChange},
		{job, "[service.a]\ncommand = \"x\"\n", "restart.when", ActionRestart},
		{job + `timeout = "10s"`, job + `timeout = "10000ms"`, "", ActionSame},
	} {
		got := Diff(load(tt.old), load(tt.new))[0]
		if got.Action != tt.action || strings.Join(got.Keys, ",") != tt.keys {
			t.Errorf("%q to %q: %s of %v, want %s of %s", tt.old, tt.new, got.Action, got.Keys, tt.action, tt.keys)
		}
	}
}

func TestTransientJob(t *testing.T) {
	s, errs := NewTransient(Transient{Command: []string{"/bin/true"}, Every: "10s"})
	if len(errs) > 0 || s.Job == nil || s.Job.Every != 10*time.Second || s.Restart.When != RestartNever {
		t.Errorf("%+v, %v", s, errs)
	}
	if _, errs := NewTransient(Transient{Command: []string{"/bin/true"}, Every: "often"}); len(errs) != 1 {
		t.Errorf("errors: %v", errs)
	}
}
