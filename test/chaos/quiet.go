package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/stay/api"
)

// restless are the services that never come to rest by themselves: they are stopped while descriptors are counted.
var restless = []string{"crash", "crash-tree", "hang", "asked"}

// quiet is a point at which nothing is broken: everything has to be as it was asked for. It reports whether it is.
func (r *run) quiet(ctx context.Context) bool {
	r.note("quiet")
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"what was asked for is not so", r.kept},
		{"the configuration cannot be applied", r.restore},
		{"not everybody is back", r.back},
		{"what is there is not what was there", r.count},
	} {
		if r.hasFailed() {
			return false
		}
		begin := time.Now()
		if err := step.do(ctx); err != nil {
			r.violated("%s: %v", step.what, err)
			return false
		}
		r.note("quiet: %.20s… checked in %v", step.what, time.Since(begin).Round(time.Millisecond))
	}
	return true
}

func (r *run) hasFailed() bool {
	select {
	case <-r.failed:
		return true
	default:
		return false
	}
}

// kept: who was stopped is stopped, who was started runs.
func (r *run) kept(ctx context.Context) error {
	r.revive(ctx)
	wants := r.stage.wanted()
	return r.until(ctx, func() error {
		list, err := r.status(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, i := range list {
			switch w := wants[i.Service]; {
			case w == down && (i.State != api.Stopped || i.Pid != 0):
				errs = append(errs, fmt.Errorf("%s was stopped and is %s (pid %d, %s)", i.Name, i.State, i.Pid, i.Why))
			case w == up && i.State != api.Running && !slices.Contains(restless, i.Service) && !r.blocked(i.Service, wants):
				errs = append(errs, fmt.Errorf("%s is wanted and is %s (%s)", i.Name, i.State, i.Why))
			case w == up && slices.Contains([]api.State{api.Stopped, api.Failed, api.Done}, i.State):
				errs = append(errs, fmt.Errorf("%s is wanted and is %s (%s)", i.Name, i.State, i.Why))
			}
		}
		return errors.Join(errs...)
	})
}

// blocked says whether a service lacks what it needs because somebody has stopped that.
func (r *run) blocked(name string, wants map[string]want) bool {
	return (name == "web" || name == "front") && wants["db"] != up
}

func (r *run) status(ctx context.Context) ([]api.Instance, error) {
	ask, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	return r.daemon.client.Status(ask, "")
}

// restore goes back to the first configuration, with everything started.
func (r *run) restore(ctx context.Context) error {
	if err := r.stage.write(cast()); err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	if _, err := r.daemon.client.Apply(ask); err != nil {
		return err
	}
	if _, err := r.daemon.client.Do(ask, api.Command{Verb: api.Stop, Target: "t-*"}); err != nil {
		return err
	}
	for _, ro := range cast() {
		if _, err := r.daemon.client.Do(ask, api.Command{Verb: api.Start, Target: ro.name, NoWait: true}); err != nil {
			return err
		}
		if slices.Contains(owned, ro.name) {
			r.stage.set(ro.name, up)
		}
	}
	return nil
}

// back: everybody of the cast and nobody else is there, and those who never come to rest have been seen running.
func (r *run) back(ctx context.Context) error {
	seen := map[string]bool{}
	return r.until(ctx, func() error {
		list, err := r.status(ctx)
		if err != nil {
			return err
		}
		var errs []error
		want := names(cast())
		for _, i := range list {
			seen[i.Name] = seen[i.Name] || i.State == api.Running
			switch {
			case !want[i.Name]:
				errs = append(errs, fmt.Errorf("%s is not configured any more and is %s", i.Name, i.State))
			case !seen[i.Name] || i.State != api.Running && !slices.Contains(restless, i.Service):
				errs = append(errs, fmt.Errorf("%s is %s (%s)", i.Name, i.State, i.Why))
			}
			delete(want, i.Name)
		}
		for _, name := range sorted(want) {
			errs = append(errs, fmt.Errorf("%s is configured and not there", name))
		}
		return errors.Join(errs...)
	})
}

// A census is what keeper and engine hold, and how many processes each tree has, at a quiet point.
type census struct {
	keeper, engine holding
	trees          string // "plain 1, plain.2 1, …"
}

// A holding is the descriptors of a process, by what they are, and its threads.
type holding struct {
	files   map[string]int // "pipe": 20, "anon_inode:[eventpoll]": 1, …
	threads int
}

// count stops who never comes to rest, starts everybody else anew, so that nobody is a survivor of an earlier keeper, and
// compares what there is with the first time.
func (r *run) count(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, 2*backBound)
	defer cancel()
	for _, ro := range cast() {
		c := api.Command{Verb: api.Restart, Target: ro.name, NoWait: true}
		if slices.Contains(restless, ro.name) {
			c.Verb = api.Stop
		}
		if _, err := r.daemon.client.Do(ask, c); err != nil {
			return fmt.Errorf("%s %s: %w", c.Verb, c.Target, err)
		}
	}
	for _, ro := range cast() { // each is asked again and waited for
		c := api.Command{Verb: api.Wait, Target: ro.name, For: "running"}
		if slices.Contains(restless, ro.name) {
			c.For = "stopped"
		}
		if result, err := r.daemon.client.Do(ask, c); err != nil || len(result.Failures) > 0 {
			return fmt.Errorf("wait for %s: %v %+v", ro.name, err, result.Failures)
		}
	}
	if err := r.until(ctx, r.compare); err != nil {
		return err
	}
	for _, name := range restless {
		if _, err := r.daemon.client.Do(ask, api.Command{Verb: api.Start, Target: name, NoWait: true}); err != nil {
			return err
		}
	}
	return nil
}

// moreThreads is how many threads more than at first are no leak: the runtime makes one for each that is in a system call.
const moreThreads = 12

// atMost is what a process may have that it had not at first: what the runtime makes when it is needed first, and once; two
// for an engine that another keeper started, and one for the main process that launch has named.
var atMost = map[string]int{"anon_inode:[eventpoll]": 1, "anon_inode:[eventfd]": 1, "anon_inode:[pidfd]": 3}

// memoryFile is every file in memory that stay has made, by whatever name.
const memoryFile = "file in memory"

// compare finds what there is more of than at first. Less is no leak: a keeper that took over has no log of its own.
func (r *run) compare() error {
	now, err := r.take()
	if err != nil {
		return err
	}
	if want := expectedTrees(); now.trees != want {
		return fmt.Errorf("the trees are\n  %s\nand should be\n  %s", now.trees, want)
	}
	if r.first == nil {
		r.first = now
		r.say("at first: keeper %d threads, %s", now.keeper.threads, counts(now.keeper.files))
		r.say("at first: engine %d threads, %s", now.engine.threads, counts(now.engine.files))
		return nil
	}
	for _, c := range []struct {
		who        string
		first, now holding
	}{{"keeper", r.first.keeper, now.keeper}, {"engine", r.first.engine, now.engine}} {
		for kind, n := range c.now.files {
			most := max(c.first.files[kind], atMost[kind])
			if n > most {
				return fmt.Errorf("the %s holds %d of %s\n  %s\nat first it was\n  %s", c.who, n, kind, counts(c.now.files), counts(c.first.files))
			}
		}
		if c.now.threads > c.first.threads+moreThreads {
			return fmt.Errorf("the %s has %d threads, at first it had %d", c.who, c.now.threads, c.first.threads)
		}
	}
	return nil
}

// take counts.
func (r *run) take() (*census, error) {
	keepers, engines := r.daemon.own()
	if len(keepers) != 1 || len(engines) != 1 {
		return nil, fmt.Errorf("there are the keepers %v and the engines %v", keepers, engines)
	}
	trees := map[string]int{}
	gens := map[string]string{}
	for _, p := range r.daemon.members() {
		name, gen, _ := strings.Cut(p.mark, "/")
		if other, ok := gens[name]; ok && other != gen {
			return nil, fmt.Errorf("%s has processes of the generations %s and %s", name, other, gen)
		}
		gens[name] = gen
		trees[name]++
	}
	return &census{keeper: held(keepers[0]), engine: held(engines[0]), trees: counts(trees)}, nil
}

func expectedTrees() string {
	trees := map[string]int{}
	for _, ro := range cast() {
		if slices.Contains(restless, ro.name) {
			continue
		}
		for name := range names([]role{ro}) {
			trees[name] = 1
			if strings.Contains(ro.tricks, "tree") {
				trees[name] = 2
			}
		}
	}
	return counts(trees)
}

// held counts the descriptors of a process.
func held(pid int) holding {
	dir := fmt.Sprintf("/proc/%d", pid)
	fds, _ := os.ReadDir(filepath.Join(dir, "fd"))
	files := map[string]int{}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil {
			continue // it was closed meanwhile
		}
		kind := strings.TrimRight(to, "0123456789:[]")
		switch {
		case strings.HasPrefix(to, "/memfd:"), strings.Contains(to, "/#"), strings.Contains(to, "/.held."):
			kind = memoryFile
		case strings.HasPrefix(to, "/"):
			kind = filepath.Base(to)
		case strings.HasPrefix(to, "anon_inode"):
			kind = to
		}
		files[kind]++
	}
	tasks, _ := os.ReadDir(filepath.Join(dir, "task"))
	return holding{files: files, threads: len(tasks)}
}

// counts is a map as text, sorted.
func counts(m map[string]int) string {
	var parts []string
	for k, n := range m {
		parts = append(parts, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
