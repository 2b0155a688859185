package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"example.com/stay/api"
)

// This file: commands, through a client.

func TestTargets(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\ninstances = 3\n[service.worker]\ncommand = \"sleep 1000\"\n[service.db]\ncommand = \"sleep 1000\"\n")
	d.do(api.Start, "all")
	for target, want := range map[string]string{
		"all": "db web web.2 web.3 worker", "": "db web web.2 web.3 worker", "web": "web web.2 web.3", "web.2": "web.2",
		"web.1": "web", "w*": "web web.2 web.3 worker", "web.[23]": "web.2 web.3", "x*": "",
	} {
		var names []string
		for _, i := range d.status(target) {
			names = append(names, i.Name)
		}
		check(t, fmt.Sprintf("what %q names", target), strings.Join(names, " "), want)
	}
	before := d.status("web")
	d.do(api.Restart, "web.2")
	for n, now := range d.status("web") {
		if restarted := now.Generation != before[n].Generation; restarted != (now.Name == "web.2") {
			t.Errorf("%s was %+v, is %+v", now.Name, before[n], now)
		}
	}
	d.do(api.Stop, "w*")
	for _, i := range d.status("") {
		if stopped := i.State == api.Stopped; stopped != strings.HasPrefix(i.Name, "w") {
			t.Errorf("after stop w*: %+v", i)
		}
	}
	if _, err := d.try(api.Command{Verb: api.Stop, Target: "nobody"}); !isRefused(err, "not-found") {
		t.Errorf("stop of what is not there: %v", err)
	}
	if _, err := d.try(api.Command{Verb: api.Stop, Target: "["}); !isRefused(err, "bad-request") {
		t.Errorf("stop of a bad pattern: %v", err)
	}
}

func TestSignal(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sh -c 'trap \\\"echo HUP\\\" HUP; trap \\\"echo USR2\\\" USR2; echo here; while :; do sleep .01; done'\"\n[service.off]\ncommand = \"true\"\nenabled = false\n")
	web := d.running("web", 0)
	d.says("web", "here")
	for _, name := range []string{"HUP", "SIGUSR2"} {
		if _, err := d.try(api.Command{Verb: api.Signal, Target: "web", Signal: name}); err != nil {
			t.Errorf("signal %s: %v", name, err)
		}
		d.says("web", strings.TrimPrefix(name, "SIG"))
	}
	if _, err := d.try(api.Command{Verb: api.Signal, Target: "web", Signal: "NONSENSE"}); !isRefused(err, "bad-request") {
		t.Errorf("an unknown signal: %v", err)
	}
	if _, err := d.try(api.Command{Verb: api.Signal, Target: "off", Signal: "HUP"}); !isRefused(err, "conflict") {
		t.Errorf("a signal to nobody: %v", err)
	}
	if now := d.one("web"); now.Pid != web.Pid {
		t.Errorf("it was %+v, is %+v", web, now)
	}
	if _, err := d.try(api.Command{Verb: api.Signal, Target: "web", Signal: "9"}); err != nil {
		t.Errorf("signal 9: %v", err)
	}
	if now := d.running("web", web.Generation); now.Restarts != 1 {
		t.Errorf("killed by command, as by anybody: %+v", now)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	d.write(steps(t, "web", "open", gate, "send", "READY=1", "open", gate, "exit", "0") + "ready = \"notify\"\nrestart = { when = \"never\" }\n")
	d.up()
	wait := func(what string) chan error {
		done := make(chan error, 1)
		go func() {
			r, err := d.try(api.Command{Verb: api.Wait, Target: "web", For: what})
			if err == nil && len(r.Failures) > 0 {
				err = fmt.Errorf("%+v", r.Failures)
			}
			done <- err
		}()
		return done
	}
	ready := wait("ready")
	d.killEngine() // who waits goes on waiting
	select {
	case err := <-ready:
		t.Errorf("it is not ready, and waiting is over: %v", err)
	default:
	}
	release(t, gate)
	if err := <-ready; err != nil {
		t.Errorf("wait for ready: %v", err)
	}
	stopped := wait("stopped")
	release(t, gate)
	if err := <-stopped; err != nil {
		t.Errorf("wait for stopped: %v", err)
	}
	if _, err := d.try(api.Command{Verb: api.Wait, Target: "web", For: "better times"}); !isRefused(err, "bad-request") {
		t.Errorf("wait for nonsense: %v", err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	run := api.Run{Name: "once", Command: []string{"sh", "-c", "echo $GREETING from $PWD; exec sleep 1000"}, Directory: d.dir, Env: []string{"GREETING=hello"}}
	r, err := d.client.Run(ctx, run)
	if err != nil || len(r.Instances) != 1 || r.Instances[0].State != api.Running {
		t.Fatalf("run: %v, %+v", err, r)
	}
	d.says("once", "hello from "+d.dir)
	if _, err := d.client.Run(ctx, run); !isRefused(err, "conflict") {
		t.Errorf("run of the same name: %v", err)
	}
	d.killEngine()
	if _, err := d.apply("[service.web]\ncommand = \"sleep 1000\"\n"); err != nil {
		t.Errorf("apply: %v", err)
	}
	if now := d.one("once"); now.Pid != r.Instances[0].Pid {
		t.Errorf("another engine and a new configuration have touched it: %+v", now)
	}
	kill(t, r.Instances[0].Pid)
	again := d.running("once", 1)
	d.do(api.Stop, "once")
	d.wait("it to be forgotten", func() error {
		if _, err := d.client.Status(ctx, "once"); !isRefused(err, "not-found") {
			return fmt.Errorf("status: %v", err)
		}
		return nil
	})
	if alive(again.Pid) {
		t.Errorf("%d is alive", again.Pid)
	}
	if _, err := d.client.Run(ctx, run); err != nil {
		t.Errorf("run of a name that is free again: %v", err)
	}
	for _, bad := range []api.Run{{}, {Command: []string{"true"}, Name: "No Name"}, {Command: []string{"true"}, Ready: "maybe"}} {
		if _, err := d.client.Run(ctx, bad); !isRefused(err, "bad-request") {
			t.Errorf("run %+v: %v", bad, err)
		}
	}
	r, err = d.client.Run(ctx, api.Run{Command: []string{"sh", "-c", "echo no luck; exit 7"}, Restart: "never", Ready: "after:1s"})
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Name != "sh" || !strings.HasPrefix(r.Failures[0].Message, "exit code 7") {
		t.Errorf("run of what fails: %v, %+v", err, r)
	}
}

// TestStartBehindAStoppedOne: who needs what somebody has stopped will not start by itself, and that is said at once.
func TestStartBehindAStoppedOne(t *testing.T) {
	d := start(t, `[service.db]
command = "sleep 1000"
[service.api]
command = "sleep 1000"
needs = ["db"]
[service.web]
command = "sleep 1000"
needs = ["api"]`)
	d.running("web", 0)
	d.do(api.Stop, "db")
	for target, want := range map[string]string{"api": "waiting for db, which is stopped", "web": "waiting for api, waiting for db, which is stopped"} {
		r, err := d.try(api.Command{Verb: api.Wait, Target: target, For: "ready"})
		if err != nil || len(r.Failures) != 1 || r.Failures[0].Message != want {
			t.Errorf("wait for %s: %+v %v, want %q", target, r, err, want)
		}
	}
	// Whoever waits already hears it too; and a start brings back what it needs.
	d.do(api.Start, "web")
	answer := make(chan api.Result, 1)
	d.do(api.Stop, "api")
	go func() {
		r, _ := d.try(api.Command{Verb: api.Wait, Target: "web", For: "ready"})
		answer <- r
	}()
	d.do(api.Start, "api")
	if r := <-answer; len(r.Failures) > 0 && r.Failures[0].Message != "waiting for api, which is stopped" {
		t.Errorf("wait for web: %+v", r)
	}
}
