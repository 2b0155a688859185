package schedule

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func times(t *testing.T, line, in string) *Cron {
	t.Helper()
	c, err := ParseCron(line, zone(t, in))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return c
}

// layout shows the offset: around a change it is all that tells two times apart.
const layout = "2006-01-02 15:04 -0700"

func TestNext(t *testing.T) {
	tests := []struct{ name, line, zone, after, want string }{
		{"every day", "30 4 * * *", "UTC", "2026-05-01 04:29 +0000", "2026-05-01 04:30 +0000|2026-05-02 04:30 +0000"},
		{"not the moment itself", "30 4 * * *", "UTC", "2026-05-01 04:30 +0000", "2026-05-02 04:30 +0000"},
		{"of its zone", "0 3 * * *", "Asia/Tokyo", "2026-05-01 00:00 +0000", "2026-05-02 03:00 +0900"},
		{"weekdays", "0 0 * * mon-wed", "UTC", "2026-05-01 00:00 +0000", "2026-05-04 00:00 +0000|2026-05-05 00:00 +0000|2026-05-06 00:00 +0000|2026-05-11 00:00 +0000"},
		{"Sunday is 7 too", "0 0 * * 7", "UTC", "2026-05-01 00:00 +0000", "2026-05-03 00:00 +0000"},
		{"either day is enough", "0 0 13 * 5", "UTC", "2026-05-01 00:00 +0000", "2026-05-08 00:00 +0000|2026-05-13 00:00 +0000|2026-05-15 00:00 +0000"},
		{"@hourly", "@hourly", "UTC", "2026-05-01 00:01 +0000", "2026-05-01 01:00 +0000"},
		{"leap day", "0 0 29 2 *", "UTC", "2026-05-01 00:00 +0000", "2028-02-29 00:00 +0000"},
		{"the years around 2100 have none", "0 0 29 2 *", "UTC", "2096-03-01 00:00 +0000", "2104-02-29 00:00 +0000"},

		{"forward: a skipped time is made up for", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00 +0100", "2026-03-29 03:30 +0200|2026-03-30 02:30 +0200"},
		{"forward: one that is not skipped", "0 4 * * *", "Europe/Berlin", "2026-03-28 12:00 +0100", "2026-03-29 04:00 +0200"},
		{"forward: a wildcard goes on", "*/30 * * * *", "Europe/Berlin", "2026-03-29 01:10 +0100", "2026-03-29 01:30 +0100|2026-03-29 03:00 +0200|2026-03-29 03:30 +0200"},
		{"back: a time that comes twice is used once", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00 +0200", "2026-10-25 02:30 +0200|2026-10-26 02:30 +0100"},
		{"back: asked between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25 02:15 +0100", "2026-10-26 02:30 +0100"},
		{"back: the hour after is itself", "0 3 * * *", "Europe/Berlin", "2026-10-24 12:00 +0200", "2026-10-25 03:00 +0100"},
		{"back: a wildcard goes on", "*/30 * * * *", "Europe/Berlin", "2026-10-25 02:10 +0200", "2026-10-25 02:30 +0200|2026-10-25 02:00 +0100|2026-10-25 02:30 +0100|2026-10-25 03:00 +0100"},
		{"back in America", "30 1 * * *", "America/New_York", "2026-10-31 12:00 -0400", "2026-11-01 01:30 -0400|2026-11-02 01:30 -0500"},
		{"back by half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00 +1100", "2026-04-05 01:45 +1100|2026-04-06 01:45 +1030"},
		{"midnight that is skipped", "0 0 * * *", "America/Santiago", "2026-09-05 12:00 -0400", "2026-09-06 01:00 -0300|2026-09-07 00:00 -0300"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := times(t, tt.line, tt.zone)
			at, err := time.Parse(layout, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			for want := range strings.SplitSeq(tt.want, "|") {
				at = c.Next(at)
				if got := at.In(zone(t, tt.zone)).Format(layout); got != want {
					t.Fatalf("after that comes %s, want %s", got, want)
				}
			}
		})
	}
}

func TestParseRefusals(t *testing.T) {
	tests := []struct{ line, want string }{
		{"", "five fields are needed"},
		{"* * * *", "expected exactly 5 fields"},
		{"61 * * * *", "above maximum (59)"},
		{"*/0 * * * *", "must be a positive number"},
		{"0 0 30 2 *", "never comes"},
		{"@every 5s", "a key of its own: every"},
		{"@reboot", "runs once at the start"},
		{"TZ=UTC 0 3 * * *", "a key of its own: timezone"},
		{"CRON_TZ=UTC 0 3 * * *", "a key of its own: timezone"},
		{"@sometimes", "unrecognized descriptor"},
		{"x * * * *", `"x"`},
	}
	for _, tt := range tests {
		if _, err := ParseCron(tt.line, time.UTC); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.line, err, tt.want)
		}
	}
}

// FuzzCron holds a whole year of any line to the promises: times grow, lie on a minute, and none is shown twice on a day
// unless the hour is a wildcard.
func FuzzCron(f *testing.F) {
	for _, line := range []string{"*/7 * * * *", "30 2 * * *", "0 0 31 * 1", "@weekly", "15,45 1-4 * 3,10 0"} {
		f.Add(line, int64(1774742400))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string, from int64) {
		c, err := ParseCron(line, berlin)
		if err != nil {
			return
		}
		at := time.Unix(from%(1<<33), 0).In(berlin)
		shown := map[string]bool{}
		for range 50 {
			next := c.Next(at)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Second() != 0 || next.Nanosecond() != 0 {
				t.Fatalf("%q: after %v comes %v", line, at, next)
			}
			if clock := next.Format("2006-01-02 15:04"); !c.hourly && shown[clock] {
				t.Fatalf("%q: %s twice", line, clock)
			} else {
				shown[clock] = true
			}
			at = next
		}
	})
}
