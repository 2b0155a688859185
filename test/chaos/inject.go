package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"syscall"
	"time"
)

// An injection breaks something and has undone it when it returns, early if ctx ends.
type injection struct {
	name   string
	weight int
	inside bool // it needs a mount namespace of its own, which only root can have
	nobody bool // root is not subject to it
	run    func(r *run, ctx context.Context, dice *rand.Rand) string
}

// injections are all there are. What run returns says what was hit; "" if there was nothing to hit.
var injections = []injection{
	{name: "kill-engine", weight: 12, run: func(r *run, _ context.Context, _ *rand.Rand) string { return r.kill(engines) }},
	{name: "kill-keeper", weight: 6, run: func(r *run, _ context.Context, _ *rand.Rand) string { return r.kill(keepers) }},
	{name: "stop-engine", weight: 3, run: func(r *run, ctx context.Context, dice *rand.Rand) string {
		return r.stop(ctx, dice, engines, 8*time.Second)
	}},
	{name: "stop-keeper", weight: 3, run: func(r *run, ctx context.Context, dice *rand.Rand) string {
		return r.stop(ctx, dice, keepers, 8*time.Second)
	}},
	{name: "stop-both", weight: 2, run: func(r *run, ctx context.Context, dice *rand.Rand) string {
		return r.stop(ctx, dice, both, 3*time.Second)
	}},
	{name: "kill-both", weight: 2, run: killBoth},
	{name: "kill-one-then-other", weight: 4, run: killInTurn},
	{name: "kill-process", weight: 12, run: killProcess},
	{name: "kill-tree", weight: 6, run: killTree},
	{name: "kill-many", weight: 2, run: killMany},
	{name: "stop-process", weight: 6, run: stopProcess},
}

// choose takes one by its weight.
func choose(list []injection, dice *rand.Rand) injection {
	sum := 0
	for _, i := range list {
		sum += i.weight
	}
	n := dice.IntN(sum)
	for _, i := range list {
		if n -= i.weight; n < 0 {
			return i
		}
	}
	panic("internal error: weights")
}

// possible are those that this user can do, of those that the glob names.
func possible(only string) []injection {
	var list []injection
	for _, i := range injections {
		if ok, _ := path.Match(only, i.name); only != "" && !ok {
			continue
		}
		if i.inside && !inside() || i.nobody && os.Geteuid() == 0 {
			continue
		}
		list = append(list, i)
	}
	return list
}

// whom is which of the daemon's own processes are hit.
type whom int

const (
	engines whom = 1 + iota
	keepers
	both
)

func (r *run) pids(w whom) []int {
	k, e := r.daemon.own()
	switch w {
	case engines:
		return e
	case keepers:
		return k
	default:
		return append(k, e...)
	}
}

func (r *run) kill(w whom) string {
	pids := r.pids(w)
	if len(pids) == 0 {
		return ""
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Sprint(pids)
}

// stop stops them for a while.
func (r *run) stop(ctx context.Context, dice *rand.Rand, w whom, most time.Duration) string {
	pids := r.pids(w)
	if len(pids) == 0 {
		return ""
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	long := time.Duration(dice.Float64() * dice.Float64() * float64(most))
	pause(ctx, long)
	for _, pid := range pids {
		if _, ok := r.daemon.process(pid); ok {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	return fmt.Sprintf("%v for %v", pids, long.Round(time.Millisecond))
}

// killBoth stops them first, so that neither sees the other die.
func killBoth(r *run, _ context.Context, _ *rand.Rand) string {
	pids := r.pids(both)
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range pids {
			_ = syscall.Kill(pid, s)
		}
	}
	return fmt.Sprint(pids)
}

// killInTurn kills the second while stay is busy with the death of the first.
func killInTurn(r *run, ctx context.Context, dice *rand.Rand) string {
	first, second := engines, keepers
	if dice.IntN(2) == 0 {
		first, second = keepers, engines
	}
	wait := time.Duration(dice.Float64() * dice.Float64() * float64(100*time.Millisecond))
	a := r.kill(first)
	pause(ctx, wait)
	return fmt.Sprintf("%s, after %v %s", a, wait.Round(time.Microsecond), r.kill(second))
}

// victim is a process of a service.
func (r *run) victim(dice *rand.Rand) (process, bool) {
	list := r.daemon.members()
	if len(list) == 0 {
		return process{}, false
	}
	return list[dice.IntN(len(list))], true
}

func killProcess(r *run, _ context.Context, dice *rand.Rand) string {
	v, ok := r.victim(dice)
	if !ok {
		return ""
	}
	_ = syscall.Kill(v.pid, syscall.SIGKILL)
	return fmt.Sprintf("%s %d", v.mark, v.pid)
}

func killTree(r *run, _ context.Context, dice *rand.Rand) string {
	v, ok := r.victim(dice)
	if !ok {
		return ""
	}
	for _, p := range r.daemon.members() {
		if p.mark == v.mark {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	return v.mark
}

func killMany(r *run, _ context.Context, dice *rand.Rand) string {
	n := 0
	for _, p := range r.daemon.members() {
		if dice.IntN(3) == 0 {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
			n++
		}
	}
	return fmt.Sprintf("%d processes", n)
}

func stopProcess(r *run, ctx context.Context, dice *rand.Rand) string {
	v, ok := r.victim(dice)
	if !ok {
		return ""
	}
	_ = syscall.Kill(v.pid, syscall.SIGSTOP)
	pause(ctx, time.Duration(dice.Int64N(int64(2*time.Second))))
	if _, ok := r.daemon.process(v.pid); ok {
		_ = syscall.Kill(v.pid, syscall.SIGCONT)
	}
	return fmt.Sprintf("%s %d", v.mark, v.pid)
}

// pause waits, less if ctx ends.
func pause(ctx context.Context, long time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(long):
	}
}
