package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"example.com/stay/api"
)

// A want is what is known of what was asked for.
type want int

const (
	unknown want = iota // the answer of the last command was lost
	up
	down
)

// A stage is what is configured and what is wanted: what the operators of the run have asked for, and got.
type stage struct {
	dir, self string

	mu    sync.Mutex
	roles []role // in the file
	wants map[string]want
}

func newStage(dir, self string) (*stage, error) {
	s := &stage{dir: dir, self: self, wants: map[string]want{}}
	for _, sub := range []string{"locks", "facts", "counts"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return s, s.write(cast())
}

// write writes the configuration.
func (s *stage) write(roles []role) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles = roles
	path := filepath.Join(s.dir, "stay.toml")
	if err := os.WriteFile(path+".new", []byte(render(roles, s.self, s.dir)), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s *stage) set(name string, w want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wants[name] = w
}

func (s *stage) wanted() map[string]want {
	s.mu.Lock()
	defer s.mu.Unlock()
	wants := map[string]want{}
	for _, r := range s.roles {
		wants[r.name] = up
	}
	for name, w := range s.wants {
		wants[name] = w
	}
	return wants
}

// forget makes unknown what is wanted of all who are owned: the daemon that was told has died as a whole.
func (s *stage) forget() {
	for _, name := range owned {
		s.set(name, unknown)
	}
}

// doubled is what actors have found held.
func (s *stage) doubled() []string {
	data, _ := os.ReadFile(filepath.Join(s.dir, "doubled"))
	return slices.Collect(strings.Lines(string(data)))
}

// The operators: each is one goroutine that asks for one thing after the other until ctx ends.

// owner starts and stops the services that are owned.
func (r *run) owner(ctx context.Context, dice *rand.Rand) {
	for ctx.Err() == nil {
		name := owned[dice.IntN(len(owned))]
		verb, then := api.Stop, down
		if dice.IntN(2) == 0 {
			verb, then = api.Start, up
		}
		r.stage.set(name, unknown)
		_, err := r.do(ctx, api.Command{Verb: verb, Target: name})
		if err == nil {
			r.stage.set(name, then)
		}
		r.note("%s %s: %v", verb, name, err)
		pause(ctx, rest(dice))
	}
}

// restarter restarts, resets and signals what is not owned.
func (r *run) restarter(ctx context.Context, dice *rand.Rand) {
	for ctx.Err() == nil {
		roles := cast()
		role := roles[dice.IntN(len(roles))]
		if slices.Contains(owned, role.name) {
			continue
		}
		c := api.Command{Verb: api.Restart, Target: role.name}
		switch dice.IntN(6) {
		case 0:
			c.Verb = api.Reset
		case 1:
			c.Verb, c.Signal = api.Signal, "HUP"
		case 2:
			c.NoWait = true
		}
		_, err := r.do(ctx, c)
		r.note("%s %s: %v", c.Verb, c.Target, err)
		pause(ctx, rest(dice))
	}
}

// changer applies random configurations.
func (r *run) changer(ctx context.Context, dice *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, 4*rest(dice))
		if err := r.stage.write(vary(dice, cast())); err != nil {
			r.note("write: %v", err)
			continue
		}
		ask, cancel := context.WithTimeout(ctx, answerBound)
		changes, err := r.daemon.client.Apply(ask)
		cancel()
		r.note("apply: %d changes, %v", len(changes), err)
	}
}

// passer runs services that no file names, and stops them again.
func (r *run) passer(ctx context.Context, dice *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("t-%d", dice.IntN(3))
		ask, cancel := context.WithTimeout(ctx, backBound)
		_, err := r.daemon.client.Run(ask, api.Run{Name: name, Directory: r.dir, Command: []string{r.stage.self, actorArg, r.stage.dir, "tree"}, StopTimeout: stopTimeout})
		cancel()
		r.note("run %s: %v", name, err)
		pause(ctx, rest(dice))
		_, err = r.do(ctx, api.Command{Verb: api.Stop, Target: name})
		r.note("stop %s: %v", name, err)
		pause(ctx, 2*rest(dice))
	}
}

// do has a command carried out. That a service did not get where it should is no matter here.
func (r *run) do(ctx context.Context, c api.Command) (api.Result, error) {
	ask, cancel := context.WithTimeout(ctx, backBound)
	defer cancel()
	result, err := r.daemon.client.Do(ask, c)
	if err == nil && len(result.Failures) > 0 {
		err = fmt.Errorf("%+v", result.Failures[0])
	}
	return result, err
}
