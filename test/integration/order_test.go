package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: who starts before whom, stops before whom, and what becomes of who needs somebody that is gone. The times are
// the services' own.

// said waits for a word of a service, and returns the time that it has printed after it; the last one if there are several.
func (d *daemon) said(name, word string) time.Duration {
	d.t.Helper()
	var at time.Duration
	d.wait(name+" to say "+word, func() error {
		for line := range strings.Lines(d.output(name)) {
			f := strings.Fields(line) // time stamp of the log, word, time
			if len(f) == 3 && f[1] == word && strings.HasSuffix(line, "\n") {
				n, err := strconv.ParseInt(f[2], 10, 64)
				if err != nil {
					d.t.Fatal(err)
				}
				at = time.Duration(n)
			}
		}
		if at == 0 {
			return fmt.Errorf("it has said %q", d.output(name))
		}
		return nil
	})
	return at
}

// timed is a service that prints when it starts and when it ends.
func timed(t *testing.T, name, more string) string {
	return steps(t, name, "now", "start", "term", "now", "stop", "exit", "0") + more + "\n"
}

func TestOrder(t *testing.T) {
	t.Parallel()
	const pause = 250 * time.Millisecond
	d := start(t, timed(t, "db", `ready = "after:250ms"`)+
		timed(t, "cache", `ready = "after:250ms"`)+
		// It is ready when it has said so; a program that only has to be executed may speak after the next one.
		steps(t, "web", "now", "start", "send", "READY=1", "term", "now", "stop", "exit", "0")+
		"ready = \"notify\"\nneeds = [\"db\"]\nwants = [\"cache\"]\n"+
		timed(t, "log", `after = ["web"]`)+
		timed(t, "alone", ""))
	for _, name := range []string{"db", "cache", "web", "log", "alone"} {
		d.running(name, 0)
		d.said(name, "start")
	}
	db, cache, web, log, alone := d.said("db", "start"), d.said("cache", "start"), d.said("web", "start"), d.said("log", "start"), d.said("alone", "start")
	if web < db+pause*9/10 || web < cache+pause*9/10 || log < web {
		t.Errorf("starts: db %v, cache %v, web %v, log %v", db, cache, web, log)
	}
	for _, at := range []time.Duration{cache, alone} { // who depends on nobody waits for nobody
		if at > db+pause/2 || at < db-pause/2 {
			t.Errorf("starts: db %v, cache %v, alone %v: they do not start together", db, cache, alone)
		}
	}
	_ = d.keeper.Process.Signal(sigterm)
	<-d.ended
	for _, pair := range [][2]string{{"log", "web"}, {"web", "db"}, {"web", "cache"}} {
		if first, then := d.said(pair[0], "stop"), d.said(pair[1], "stop"); first > then {
			t.Errorf("%s stopped at %v, after %s at %v", pair[0], first, pair[1], then)
		}
	}
}

// TestOrderByApply: what comes with a new configuration is ordered like what comes with the first.
func TestOrderByApply(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	if _, err := d.apply(timed(t, "a", `after = ["m"]`) + timed(t, "m", `wants = ["z"]`+"\n"+`ready = "after:100ms"`) + timed(t, "z", `ready = "after:200ms"`)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"z", "m", "a"} {
		d.running(name, 0)
		d.said(name, "start")
	}
	if z, m, a := d.said("z", "start"), d.said("m", "start"), d.said("a", "start"); m < z+180*time.Millisecond || a < m {
		t.Errorf("starts: z %v, m %v, a %v", z, m, a)
	}
}

// TestWaitsFor: a dependent waits for as long as it takes, and says for whom; stopping what is needed stops who needs it
// first.
func TestWaitsFor(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "db", "open", gate, "send", "READY=1", "term", "now", "stop", "exit", "0") + "ready = \"notify\"\n" +
		"[service.net]\ncommand = \"no-such-program\"\n" +
		timed(t, "web", `needs = ["db"]`) + timed(t, "both", `needs = ["db", "net"]`) + timed(t, "soft", `wants = ["net"]`))
	d.up()
	d.why("web", "waiting for db")
	d.why("both", "waiting for db, net")
	d.running("soft", 0) // what it wants has come to rest without being ready
	release(t, gate)
	d.running("web", 0)
	d.why("both", "waiting for net")
	d.said("web", "start")
	d.do(api.Stop, "db")
	if i := d.one("web"); i.Pid != 0 || i.State != api.Waiting || i.Why != "waiting for db" {
		t.Errorf("what it needs is stopped, and it is %+v", i)
	}
	if web, db := d.said("web", "stop"), d.said("db", "stop"); web > db {
		t.Errorf("db stopped at %v, before web at %v", db, web)
	}
	if _, err := d.try(api.Command{Verb: api.Start, Target: "db", NoWait: true}); err != nil {
		t.Fatal(err)
	}
	release(t, gate)
	d.running("web", 1)
}

// TestStartPullsNeeds: starting one thing starts what it needs.
func TestStartPullsNeeds(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.web]
command = "sleep 1000"
needs = ["db"]
wants = ["cache"]
enabled = false
[service.db]
command = "sleep 1000"
enabled = false
[service.cache]
command = "sleep 1000"
enabled = false
[service.other]
command = "sleep 1000"
enabled = false
`)
	for _, i := range d.status("") {
		if i.State != api.Stopped {
			t.Errorf("not enabled, and it is %+v", i)
		}
	}
	d.do(api.Start, "web")
	for name, want := range map[string]api.State{"web": api.Running, "db": api.Running, "cache": api.Running, "other": api.Stopped} {
		d.until(name, string(want), func(i api.Instance) bool { return i.State == want })
	}
}

func TestLostAfter(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.db]
command = "sleep 1000"
restart = { delay = "1200ms" }
[service.patient]
command = "sleep 1000"
needs = ["db"]
lost_after = "20s"
[service.hasty]
command = "sleep 1000"
needs = ["db"]
lost_after = "200ms"
`)
	db, patient, hasty := d.running("db", 0), d.running("patient", 0), d.running("hasty", 0)
	kill(t, db.Pid)
	d.why("hasty", "waiting for db")
	d.running("db", db.Generation)
	again := d.running("hasty", hasty.Generation)
	if now := d.one("patient"); now.Pid != patient.Pid {
		t.Errorf("a restart within lost_after has touched it: %+v, was %+v", now, patient)
	}
	if again.Restarts != 0 {
		t.Errorf("a restart for a dependency's sake is counted as a death: %+v", again)
	}
	kill(t, d.one("patient").Pid) // its own death is its own business
	d.running("patient", patient.Generation)
	if now := d.one("hasty"); now.Pid != again.Pid {
		t.Errorf("the death of a neighbour has touched it: %+v, was %+v", now, again)
	}
}
