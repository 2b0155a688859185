package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// This file: what a new configuration does to what runs.

func TestScaleByApply(t *testing.T) {
	t.Parallel()
	config := func(n int) string {
		return fmt.Sprintf("[service.web]\ncommand = \"sleep 1000\"\ninstances = %d\n[service.other]\ncommand = \"sleep 1000\"\n", n)
	}
	d := start(t, config(1))
	web, other := d.running("web", 0), d.running("other", 0)
	if _, err := d.apply(config(3)); err != nil {
		t.Fatal(err)
	}
	d.running("web.2", 0)
	third := d.running("web.3", 0)
	d.killEngine()
	if _, err := d.apply(config(2)); err != nil {
		t.Fatal(err)
	}
	d.wait("web.3 to leave", func() error {
		if list := d.status("web"); len(list) != 2 {
			return fmt.Errorf("there are %d", len(list))
		}
		return nil
	})
	if alive(third.Pid) {
		t.Errorf("web.3 is alive: %d", third.Pid)
	}
	for _, was := range []api.Instance{web, other} {
		if now := d.one(was.Name); now.Pid != was.Pid || now.State != api.Running {
			t.Errorf("%s was %+v, is %+v", was.Name, was, now)
		}
	}
	if _, err := d.apply(config(4)); err != nil { // a number that comes again is a new instance
		t.Fatal(err)
	}
	d.running("web.4", 0)
	d.running("web.3", 0)
}

// TestLeaversStayAway: an instance that a configuration has no place for is on its way out, and neither a start nor a
// restart of its service brings it back.
func TestLeaversStayAway(t *testing.T) {
	t.Parallel()
	config := func(n int) string {
		return fmt.Sprintf("[service.web]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo deaf; exec sleep 1000\"]\ninstances = %d\nstop = { timeout = \"1h\", to = \"main\" }\n", n)
	}
	d := start(t, config(2))
	second := d.running("web.2", 0)
	d.wait("it to be deaf", func() error {
		if !strings.Contains(d.output("web.2"), "deaf") {
			return errNotYet
		}
		return nil
	})
	if _, err := d.apply(config(1)); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []api.Verb{api.Start, api.Restart, api.Reset} {
		if _, err := d.try(api.Command{Verb: verb, Target: "web", NoWait: true}); err != nil {
			t.Errorf("%s web: %v", verb, err)
		}
		_, err := d.try(api.Command{Verb: verb, Target: "web.2", NoWait: true})
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != "not-found" || !strings.Contains(refused.Message, "no longer in the configuration") {
			t.Errorf("%s web.2: %v", verb, err)
		}
	}
	if i := d.one("web.2"); i.Pid != second.Pid || i.State != api.Stopping {
		t.Errorf("web.2 is %+v", i)
	}
	for _, i := range d.status("web") {
		if i.Pid != 0 {
			_ = syscall.Kill(i.Pid, syscall.SIGKILL)
		}
	}
	d.wait("web.2 to leave", func() error {
		if list := d.status("web"); len(list) != 1 {
			return fmt.Errorf("there are %+v", list)
		}
		return nil
	})
	d.write(strings.Replace(config(1), "1h", "100ms", 1))
	if _, err := d.client.Apply(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestBackBeforeItHadLeft: an instance that was scaled away and is wanted again before it has ended comes back.
func TestBackBeforeItHadLeft(t *testing.T) {
	t.Parallel()
	config := func(n int) string {
		return fmt.Sprintf("[service.web]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo deaf; exec sleep 1000\"]\ninstances = %d\nstop = { timeout = \"2s\" }\n", n)
	}
	d := start(t, config(2))
	second := d.running("web.2", 0)
	d.wait("it to be deaf", func() error {
		if !strings.Contains(d.output("web.2"), "deaf") {
			return errNotYet
		}
		return nil
	})
	for _, n := range []int{1, 2} {
		if _, err := d.apply(config(n)); err != nil {
			t.Fatal(err)
		}
	}
	d.running("web.2", second.Generation)
}

func TestApply(t *testing.T) {
	t.Parallel()
	d := start(t, `[service.same]
command = "sleep 1000"
[service.changed]
command = "sleep 1000"
[service.logs]
command = "sleep 1000"
[service.gone]
command = "sleep 1000"
[service.off]
command = "sleep 1000"
`)
	before := map[string]api.Instance{}
	for _, name := range []string{"same", "changed", "logs", "gone", "off"} {
		before[name] = d.running(name, 0)
	}
	d.write(`[service.same]
command = "sleep 1000"
[service.changed]
command = "sleep 2000"
[service.logs]
command = "sleep 1000"
log = { max_size = "1MB" }
[service.off]
command = "sleep 1000"
enabled = false
[service.new]
command = "sleep 1000"
needs = ["changed"]
`)
	planned, err := d.client.Plan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for name, was := range before {
		if now := d.one(name); now.Pid != was.Pid || now.State != api.Running {
			t.Errorf("a plan has changed %s: %+v", name, now)
		}
	}
	done, err := d.client.Apply(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(planned, done) {
		t.Errorf("planned was %+v, done %+v", planned, done)
	}
	changes := map[string]api.Change{}
	for _, c := range done {
		changes[c.Service] = c
	}
	for name, want := range map[string]string{"changed": "restart", "logs": "change", "gone": "stop", "new": "start"} {
		if changes[name].Action != want {
			t.Errorf("%s: apply says %+v, want %s", name, changes[name], want)
		}
	}
	d.running("changed", 1)
	d.running("new", 0)
	d.until("off", "stopped", func(i api.Instance) bool { return i.State == api.Stopped && i.Pid == 0 })
	for _, name := range []string{"same", "logs"} {
		if now := d.one(name); now.Pid != before[name].Pid {
			t.Errorf("%s was %+v, is %+v", name, before[name], now)
		}
	}
	d.wait("gone to be gone", func() error {
		for _, i := range d.status("") {
			if i.Name == "gone" {
				return fmt.Errorf("it is %+v", i)
			}
		}
		return nil
	})
	if alive(before["gone"].Pid) || alive(before["off"].Pid) {
		t.Error("what was taken out is alive")
	}
	if _, err := d.client.Status(context.Background(), "gone"); !isRefused(err, "not-found") {
		t.Errorf("status of what is gone: %v", err)
	}
}

// TestHangup: SIGHUP to the keeper applies the file.
func TestHangup(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n")
	web := d.running("web", 0)
	d.write("[service.web]\ncommand = \"sleep 1000\"\n[service.new]\ncommand = \"sleep 1000\"\n")
	if err := d.keeper.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.wait("the new service", func() error {
		for _, i := range d.status("") {
			if i.Name == "new" && i.State == api.Running {
				return nil
			}
		}
		return errNotYet
	})
	d.write("nonsense")
	if err := d.keeper.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.wait("word of the error", func() error {
		if !strings.Contains(d.log(), "stay.toml:1:") {
			return errNotYet
		}
		return nil
	})
	if now := d.one("web"); now.Pid != web.Pid {
		t.Errorf("it was %+v, is %+v", web, now)
	}
}

// TestScaleCommand: instances come and go at once, over the engine's death too, until the file counts again.
func TestScaleCommand(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\n[job.once]\ncommand = \"true\"\n")
	first := d.running("web", 0)
	scale := func(n int) {
		t.Helper()
		r, err := d.try(api.Command{Verb: api.Scale, Target: "web", Instances: n})
		if err != nil || len(r.Failures) > 0 || len(r.Instances) != n {
			t.Fatalf("scale web=%d: %v, %+v", n, err, r)
		}
	}
	scale(4)
	for _, name := range []string{"web.2", "web.3", "web.4"} {
		if i := d.one(name); i.State != api.Running {
			t.Errorf("after scale %s is %+v", name, i)
		}
	}
	d.killEngine()
	d.running("web.4", 0)
	scale(2)
	d.wait("two instances", func() error {
		if list := d.status("web"); len(list) != 2 {
			return fmt.Errorf("there are %+v", list)
		}
		return nil
	})
	if now := d.one("web"); now.Pid != first.Pid {
		t.Errorf("web was %+v, is %+v", first, now)
	}
	for _, c := range []api.Command{{Target: "nix", Instances: 2}, {Target: "web.2", Instances: 2}, {Target: "once", Instances: 2}, {Target: "web", Instances: 1e6}, {Target: "web"}} {
		c.Verb = api.Scale
		if _, err := d.try(c); !isRefused(err, "refused") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := d.client.Apply(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.wait("the number that the file says", func() error {
		if list := d.status("web"); len(list) != 1 {
			return fmt.Errorf("there are %+v", list)
		}
		return nil
	})
}
