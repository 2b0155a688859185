package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// parser reads five fields, as crontab(5) has them; with both days restricted either is enough, as there too.
var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)

// A Cron is the times of one cron line in one time zone.
type Cron struct {
	times  *cron.SpecSchedule
	hourly bool // the hour is a wildcard
}

// farthest is how far ahead a next time is looked for: 29 February falls on a given weekday every 28 years, and around a
// year such as 2100 every 40.
const farthest = 41 // years

// ParseCron reads a line of five fields or one of @yearly, @monthly, @weekly, @daily and @hourly. The error says what is
// wrong with the line, also when its times never come, as those of 30 February.
func ParseCron(line string, zone *time.Location) (*Cron, error) {
	text := strings.TrimSpace(line)
	switch word, _, _ := strings.Cut(text, " "); {
	case text == "":
		return nil, fmt.Errorf("no times: five fields are needed: minute, hour, day, month, weekday")
	case strings.Contains(word, "TZ="):
		return nil, fmt.Errorf("%q: the time zone is a key of its own: timezone", word)
	case word == "@every":
		return nil, fmt.Errorf("%q: a span is a key of its own: every", text)
	case word == "@reboot":
		return nil, fmt.Errorf("%q: a job without times runs once at the start", word)
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "cron: "))
	}
	times, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q are no times of day", text)
	}
	times.Location, times.MaxSearchYears = zone, farthest
	fields := strings.Fields(text)
	c := &Cron{times: times, hourly: text == "@hourly" || len(fields) == 5 && strings.HasPrefix(fields[1], "*")}
	if c.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, zone)).IsZero() {
		return nil, fmt.Errorf("%q never comes: there is no such day", text)
	}
	return c, nil
}

// Next is the first time after t, in the zone of the times; the zero Time if there is none within a lifetime.
func (c *Cron) Next(t time.Time) time.Time {
	t = t.In(c.times.Location)
	next := c.times.Next(t)
	if c.hourly {
		return next
	}
	for !next.IsZero() && again(next) {
		next = c.times.Next(next)
	}
	if made := c.skipped(t, next); !made.IsZero() {
		return made
	}
	return next
}

// skipped is the first time between t and next that the clock never shows, because it is put forward over it: as the clock
// would have shown it without the change. Zero: there is none. The library makes up for most of them, but not for midnight.
func (c *Cron) skipped(t, next time.Time) time.Time {
	old := *c.times
	for {
		_, change := t.ZoneBounds()
		if change.IsZero() || !change.Before(next) {
			return time.Time{}
		}
		_, before := t.Zone()
		_, after := change.Zone()
		if gap := time.Duration(after-before) * time.Second; gap > 0 {
			old.Location = time.FixedZone("", before)
			if made := old.Next(change.Add(-time.Second)); made.Before(change.Add(gap)) && made.Before(next) {
				return made.In(c.times.Location)
			}
		}
		t = change
	}
}

// widestChange is more than any zone puts its clock back by.
const widestChange = 3 * time.Hour

// again says whether the clock has shown this time before, on the same day, because it was put back since.
func again(t time.Time) bool {
	_, before := t.Add(-widestChange).Zone()
	_, now := t.Zone()
	back := time.Duration(before-now) * time.Second
	if back <= 0 {
		return false
	}
	_, then := t.Add(-back).Zone()
	return then == before
}

// maxMissed bounds counting: what was missed is made up for by one run anyway.
const maxMissed = 1000

// Missed is how many times lie after since, up to and including now, 1,000 at most.
func (c *Cron) Missed(since, now time.Time) int {
	n := 0
	for t := c.Next(since); !t.IsZero() && !t.After(now) && n < maxMissed; t = c.Next(t) {
		n++
	}
	return n
}
