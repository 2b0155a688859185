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

// gated is a service that prints when it starts, when it is ready, which is when its gate opens, and when it ends.
func gated(t *testing.T, name, gate, more string) string {
	return steps(t, name, "now", "start", "open", gate, "now", "ready", "send", "READY=1", "term", "now", "stop", "exit", "0") +
		"ready = \"notify\"\n" + more + "\n"
}

// before fails unless one service had said something before another said something else.
func (d *daemon) before(name, word, other, otherWord string) {
	d.t.Helper()
	if at, then := d.said(name, word), d.said(other, otherWord); at > then {
		d.t.Errorf("%s said %s at %v, after %s said %s at %v", name, word, at, other, otherWord, then)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	db, cache, web := fifo(t, d.dir, "db"), fifo(t, d.dir, "cache"), fifo(t, d.dir, "web")
	d.write(gated(t, "db", db, "") + gated(t, "cache", cache, "") +
		gated(t, "web", web, "needs = [\"db\"]\nwants = [\"cache\"]") +
		timed(t, "log", `after = ["web"]`) + timed(t, "alone", ""))
	d.up()
	for _, name := range []string{"db", "cache", "alone"} { // who depends on nobody waits for nobody
		d.said(name, "start")
	}
	d.why("web", "waiting for db, cache")
	d.why("log", "waiting for web")
	release(t, db)
	d.why("web", "waiting for cache")
	release(t, cache)
	d.said("web", "start")
	d.why("log", "waiting for web")
	release(t, web)
	d.running("log", 0)
	d.before("db", "ready", "web", "start")
	d.before("cache", "ready", "web", "start")
	d.before("web", "ready", "log", "start")
	_ = d.keeper.Process.Signal(sigterm)
	<-d.ended
	d.before("log", "stop", "web", "stop")
	d.before("web", "stop", "db", "stop")
	d.before("web", "stop", "cache", "stop")
}

// TestOrderByApply: what comes with a new configuration is ordered like what comes with the first.
func TestOrderByApply(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	m, z := fifo(t, d.dir, "m"), fifo(t, d.dir, "z")
	if _, err := d.apply(timed(t, "a", `after = ["m"]`) + gated(t, "m", m, `wants = ["z"]`) + gated(t, "z", z, "")); err != nil {
		t.Fatal(err)
	}
	d.said("z", "start")
	d.why("m", "waiting for z")
	d.why("a", "waiting for m")
	release(t, z)
	d.said("m", "start")
	release(t, m)
	d.before("z", "ready", "m", "start")
	d.before("m", "ready", "a", "start")
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

// TestStopTakesAlongWhatNeedsIt: over any number of steps, and in reverse order: who needs nothing that is left goes last.
func TestStopTakesAlongWhatNeedsIt(t *testing.T) {
	d := start(t, `[service.db]
command = "sleep 1000"
[service.api]
command = "sleep 1000"
needs = ["db"]
[service.web]
command = "sh -c 'trap \"sleep 0.2; exit 0\" TERM; while :; do sleep 0.01; done'"
needs = ["api"]
[service.other]
command = "sleep 1000"`)
	web, api1, db, other := d.running("web", 0), d.running("api", 0), d.running("db", 0), d.running("other", 0)
	done := make(chan struct{})
	go func() { d.do(api.Stop, "db"); close(done) }()
	gone := func(pid int) func() error {
		return func() error {
			if alive(pid) {
				return fmt.Errorf("%d is alive", pid)
			}
			return nil
		}
	}
	d.wait("web's end", gone(web.Pid))
	d.wait("api's end", gone(api1.Pid))
	<-done
	if alive(db.Pid) || !alive(other.Pid) {
		t.Errorf("db alive: %v, other alive: %v", alive(db.Pid), alive(other.Pid))
	}
	var ends []string
	for _, e := range d.events() {
		if e.Kind == "exit" {
			ends = append(ends, e.Name)
		}
	}
	if got := strings.Join(ends, " "); got != "web api db" {
		t.Errorf("they ended as %s, want web api db", got)
	}
	for _, name := range []string{"api", "web"} {
		if i := d.one(name); i.State != api.Waiting {
			t.Errorf("%s: %+v", name, i)
		}
	}
	d.do(api.Start, "db")
	d.running("web", web.Generation)
}
