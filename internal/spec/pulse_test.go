package spec

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPulseForms: the forms of the key, and how [defaults] and the service's own table go together.
func TestPulseForms(t *testing.T) {
	type p = Pulse
	s, m := time.Second, time.Minute
	for _, c := range []struct {
		defaults, own string
		want          *Pulse
	}{
		{"", "", nil},
		{"", `pulse = ""`, nil},
		{"", `pulse = "0s"`, nil},
		{"", `pulse = "10ms"`, &p{Limit: s / 100, LimitMax: s / 10, ExtendMax: s / 10, Lost: LostMark, Slots: 31}},
		{"", `pulse.limit = "1m"`, &p{Limit: m, LimitMax: 10 * m, ExtendMax: 10 * m, Lost: LostMark, Slots: 31}},
		{`pulse = "1s"`, ``, &p{Limit: s, LimitMax: 10 * s, ExtendMax: 10 * s, Lost: LostMark, Slots: 31}},
		{`pulse = "1s"`, `pulse = ""`, nil},
		{`pulse = "1s"`, `pulse = "2s"`, &p{Limit: 2 * s, LimitMax: 20 * s, ExtendMax: 20 * s, Lost: LostMark, Slots: 31}},
		{`pulse = "1s"`, `pulse.required = true`, &p{Limit: s, Required: true, LimitMax: 10 * s, ExtendMax: 10 * s, Lost: LostMark, Slots: 31}},
		{`pulse = { slots = 62, extend_max = "0s" }`, `pulse = "1s"`, &p{Limit: s, LimitMax: 10 * s, Lost: LostMark, Slots: 62}},
		{`pulse.slots = 62`, ``, nil}, // a default for those who have a pulse
		{`pulse = { limit = "1m", progress = "2m", pause_max = "3m", limit_max = "1m" }`, `pulse = { progress = "", pause_max = "0s" }`,
			&p{Limit: m, LimitMax: m, ExtendMax: 10 * m, Lost: LostMark, Slots: 31}},
	} {
		text := "[defaults]\n" + c.defaults + "\n[service.x]\ncommand = \"x\"\n" + c.own
		if got := (files{"/srv/stay.toml": text}).load(t).Service("x").Pulse; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q over %q is %+v, want %+v", c.own, c.defaults, got, c.want)
		}
	}
}

// TestPulseErrors: what is wrong between keys of several tables is told where it was written.
func TestPulseErrors(t *testing.T) {
	const x = "[service.x]\ncommand = \"x\"\n"
	for text, want := range map[string]string{
		"[defaults]\npulse.limit_max = \"1s\"\n" + x + "pulse = \"2s\"": `toml:2:19: key "pulse.limit_max": 1s is less than the limit, 2s`,
		"[defaults]\npulse = \"\"\n" + x + "pulse.slots = 3":            `toml:5:1: key "pulse": no limit`,
		"[defaults]\nrestart.delay = \"1m\"\n" + x:                      `toml:2:17: key "restart.delay": 1m is more than max_delay, 30s`,
		x + "restart = { max_delay = \"1s\", delay = \"1001ms\" }":      `toml:3:39: key "restart.delay": 1s1ms is more than max_delay, 1s`,
		x + "pulse.limit = 5":      `key "pulse.limit": expected a duration, found the number 5`,
		x + "pulse = 5":            `key "pulse": expected a duration or table, found the number 5`,
		x + "hang.dump = \"STOP\"": `key "hang.dump": "STOP" leaves`,
		x + "check = [" + strings.Repeat("{ tcp = \"a:1\" },", 33) + "]":      `key "check": 33 of them, allowed are 32`,
		x + "[[service.x.check]]\nhttp = \"http://a\"\nexec = \"y\"\ntcp = 1": `key "check[].tcp": expected a string`,
	} {
		_, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": text}.source())
		if len(errs) == 0 || !strings.Contains(errs.Error(), want) {
			t.Errorf("%s\nsays %v\nwant %s", text, errs, want)
		}
	}
}

func TestKillBrake(t *testing.T) {
	for text, want := range map[string]int{`""`: 0, `"off"`: -1, `"5/m"`: 5, `"1/s"`: 60, `"0.5/s"`: 30} {
		c := files{"/srv/stay.toml": "[stay]\nkill_brake = " + text}.load(t)
		if c.Daemon.KillBrake != want {
			t.Errorf("kill_brake = %s is %d, want %d", text, c.Daemon.KillBrake, want)
		}
	}
	for text, want := range map[string]string{
		`"0/m"`: "less than one a minute", `"0.1/m"`: "less than one", `"60/h"`: "write 60/m", `5`: "expected a rate", `"1000000000/s"`: "too large",
		`"-1/m"`: "is not a rate", `"5/d"`: "unknown unit", `"on"`: "is not a rate",
	} {
		_, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": "[stay]\nkill_brake = " + text}.source())
		wantErrors(t, errs, want)
	}
}

func TestNameOfCheck(t *testing.T) {
	for want, c := range map[string]Check{
		"http://a/": {HTTP: "http://a/"}, "tcp a:1": {TCP: "a:1"}, "exec pg_isready -q": {Exec: []string{"pg_isready", "-q"}},
		"exec sh -c a b " + strings.Repeat("c", 50) + "…": {Exec: []string{"sh", "-c", "a\n\tb\x1b " + strings.Repeat("c", 100)}},
	} {
		if got := c.Name(); got != want {
			t.Errorf("Name() = %q, want %q", got, want)
		}
	}
}

func TestTransientPulse(t *testing.T) {
	s, errs := NewTransient(Transient{Command: []string{"x"}, Pulse: "5s"})
	if errs != nil || s.Pulse == nil || s.Pulse.Limit != 5*time.Second || s.Pulse.Slots != 31 {
		t.Errorf("%+v, %v", s, errs)
	}
	_, errs = NewTransient(Transient{Command: []string{"x"}, Pulse: "5"})
	wantErrors(t, errs, `key "pulse": "5" has no unit`)
}
