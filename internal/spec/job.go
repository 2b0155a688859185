package spec

import (
	"time"

	"example.com/stay/internal/schedule"
)

// A Job says when a service that is a job runs. With neither Every nor Cron it runs once, when the daemon starts.
type Job struct {
	Every    time.Duration    `json:"every,omitzero"`    // from the end of a run to the next start
	Cron     string           `json:"cron,omitzero"`     // as crontab(5) has it
	Timezone string           `json:"timezone,omitzero"` // of Cron; "": the daemon's own
	Overlap  schedule.Overlap `json:"overlap,omitzero"`  // of Cron
	CatchUp  bool             `json:"catch_up,omitzero"` // of Cron
	Timeout  time.Duration    `json:"timeout,omitzero"`  // a run that takes longer is stopped; 0: it may
	Jitter   time.Duration    `json:"jitter,omitzero"`   // each start comes up to this much later
}

// Once says that the job runs once and not again by itself.
func (j *Job) Once() bool { return j.Every == 0 && j.Cron == "" }

// Schedule returns what decides about the times of a job with a cron line. The line was checked when it was read, so an
// error says that the zone is not there any more.
func (s *Service) Schedule(zone func(string) (*time.Location, error)) (schedule.Job, error) {
	loc, err := zone(s.Job.Timezone)
	if err != nil {
		return schedule.Job{}, err
	}
	times, err := schedule.ParseCron(s.Job.Cron, loc)
	return schedule.Job{Name: s.Name, Times: times, Overlap: s.Job.Overlap, CatchUp: s.Job.CatchUp, Jitter: s.Job.Jitter}, err
}

// A jobDraft is what is known of a job while it is read; its fields are nil for a service.
type jobDraft struct {
	*Job
	at       place
	cron     *slot // where it was written
	timezone *slot
	times    []slot // keys that only make sense beside cron
	spread   *slot  // jitter
	wrong    bool   // every or cron was written, and is none
}

// makeJob makes the draft one of a job. What [defaults] says of restart.when is about services.
func (d *draft) makeJob() {
	d.job = jobDraft{Job: &Job{}, at: d.at}
	d.Restart.When = RestartNever
}

// finish checks what follows from several keys, and returns the job; nil for a service.
func (j *jobDraft) finish(d *draft, errs *problems, out *outside) *Job {
	if j.Job == nil {
		return nil
	}
	if d.Instances != 1 {
		errs.add(d.at, "take out instances", "job %q: a job has one instance", d.Name)
	}
	if j.Job.Every > 0 && j.cron != nil {
		errs.add(j.cron.node.at, "take one of them out", "job %q: every and cron exclude each other", d.Name)
	}
	if j.wrong {
		return j.Job
	}
	if j.cron == nil {
		for _, v := range j.times {
			errs.add(v.node.at, `for example: cron = "0 3 * * *"`, "key %q: it is about the times of cron, and there is no cron", v.Path)
		}
		if j.spread != nil && j.Job.Every == 0 {
			errs.add(j.spread.node.at, `for example: every = "10s"`, "key %q: a job that runs once has no times to spread", j.spread.Path)
		}
		return j.Job
	}
	j.checkCron(out)
	if j.Job.Overlap == "" {
		j.Job.Overlap = schedule.Skip
	}
	return j.Job
}

// checkCron reads the line in its zone.
func (j *jobDraft) checkCron(out *outside) {
	loc := time.UTC
	if out.Zone != nil {
		var err error
		if loc, err = out.Zone(j.Job.Timezone); err != nil {
			if j.timezone != nil {
				j.timezone.complain("there is no time zone %q", shorten(j.Job.Timezone))
			}
			return
		}
	}
	if _, err := schedule.ParseCron(j.Job.Cron, loc); err != nil {
		j.cron.complain("%v", err)
	}
}

func (d *draft) setEvery(v slot) {
	every, ok := v.optionalSpan()
	if !ok {
		d.job.wrong = true
		return
	}
	d.job.Every = every
}

func (d *draft) setCron(v slot) {
	text, ok := v.text()
	if !ok {
		d.job.wrong = true
		return
	}
	d.job.cron = nil
	if d.job.Cron = text; text != "" {
		d.job.cron = &v
	}
}

func (d *draft) setTimezone(v slot) {
	if text, ok := v.text(); ok {
		d.job.Timezone, d.job.timezone = text, &v
		d.job.times = append(d.job.times, v)
	}
}

func (d *draft) setOverlap(v slot) {
	assign(&d.job.Overlap, func() (schedule.Overlap, bool) {
		return choice(v, schedule.Skip, schedule.Queue, schedule.Replace)
	})
	d.job.times = append(d.job.times, v)
}

func (d *draft) setCatchUp(v slot) {
	assign(&d.job.CatchUp, v.boolean)
	d.job.times = append(d.job.times, v)
}

func (d *draft) setJitter(v slot) {
	assign(&d.job.Jitter, v.optionalSpan)
	d.job.spread = &v
}

// jobKey is a key that only a job has.
func jobKey(k serviceKey, get func(*Job) any) serviceKey {
	k.get = func(s *Service) any {
		if s.Job == nil {
			return nil
		}
		return get(s.Job)
	}
	return k
}

// jobKeys declares what a job has beside the keys of a service. A change applies to the next run.
var jobKeys = []serviceKey{
	jobKey(serviceKey{
		Key:     Key{Path: "every", Type: "duration", Doc: "The time from the end of a run to the next start; the first run begins when the daemon starts."},
		example: `"10s"`,
		also:    []string{"interval", "period", "on_unit_active_sec"},
		set:     (*draft).setEvery,
	}, func(j *Job) any { return shownSpan(j.Every) }),
	jobKey(serviceKey{
		Key:     Key{Path: "cron", Type: "string", Doc: "When it runs, as in crontab(5): minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly, @yearly."},
		example: `"0 3 * * *"`,
		also:    []string{"schedule", "on_calendar", "cron_restart"},
		set:     (*draft).setCron,
	}, func(j *Job) any { return unlessZero(j.Cron) }),
	jobKey(serviceKey{
		Key:     Key{Path: "timezone", Type: "string", Doc: "The time zone that cron is read in; by default the daemon's own."},
		example: `"Europe/Berlin"`,
		also:    []string{"tz"},
		set:     (*draft).setTimezone,
	}, func(j *Job) any { return unlessZero(j.Timezone) }),
	jobKey(serviceKey{
		Key:     Key{Path: "overlap", Type: `"skip", "queue" or "replace"`, Default: `"skip"`, Doc: "What becomes of a time of cron that comes while a run is under way: nothing, one more run right after it, or the run is stopped and another begins."},
		example: `"queue"`,
		set:     (*draft).setOverlap,
	}, func(j *Job) any { return unlessZero(string(j.Overlap)) }),
	jobKey(serviceKey{
		Key:     Key{Path: "catch_up", Type: "boolean", Default: "false", Doc: "Times of cron that passed while the daemon was down are made up for, all by one run."},
		example: "true",
		also:    []string{"persistent"},
		set:     (*draft).setCatchUp,
	}, func(j *Job) any { return j.CatchUp }),
	jobKey(serviceKey{
		Key:     Key{Path: "timeout", Type: "duration", Doc: "A run that takes longer is stopped; by default it may take for ever."},
		example: `"1h"`,
		also:    []string{"runtime_max_sec", "max_runtime"},
		set:     func(d *draft, v slot) { assign(&d.job.Timeout, v.optionalSpan) },
	}, func(j *Job) any { return shownSpan(j.Timeout) }),
	jobKey(serviceKey{
		Key:     Key{Path: "jitter", Type: "duration", Doc: "Each start comes up to this much later, another time each."},
		example: `"30s"`,
		also:    []string{"randomized_delay_sec", "splay"},
		set:     (*draft).setJitter,
	}, func(j *Job) any { return shownSpan(j.Jitter) }),
}

// jobTree is what may stand in the table of a job.
var jobTree = grow(jobTable())

// jobTable is the keys of a service and those of a job; where both have one of a name, that of the job.
func jobTable() []serviceKey {
	own := map[string]bool{}
	for _, k := range jobKeys {
		own[k.Path] = true
	}
	var all []serviceKey
	for _, k := range serviceKeys {
		if !own[k.Path] {
			all = append(all, k)
		}
	}
	return append(all, jobKeys...)
}

// jobOnly are the keys that a job has and a service has not.
var jobOnly = func() map[string]bool {
	only := map[string]bool{}
	for _, k := range jobKeys {
		if serviceTree.kids[k.Path] == nil {
			only[k.Path] = true
		}
	}
	return only
}()

// keysOf are the keys that a service has, or a job.
func keysOf(s *Service) []serviceKey {
	if s.Job == nil {
		return serviceKeys
	}
	return jobsKeys
}

var jobsKeys = jobTable()
