package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options are what a run depends on.
type options struct {
	dir      string // of the run: new, and its own
	binaries string // has stay and stayd
	length   time.Duration
	seed     uint64
	only     string // a glob; "": all injections
	keep     bool
	say      func(format string, a ...any)
}

// phase is how long things are broken between two quiet points.
const phase = 12 * time.Second

// A run is one course of chaos.
type run struct {
	options
	*chronicle
	daemon  *daemon
	stage   *stage
	reviver atomic.Int64 // odd while a dead daemon is started again; see revive
	first   *census      // of the first quiet point
	events  sequence     // of watchEvents, while it runs

	reviveLock sync.Mutex
	seen       time.Time  // when somebody of stay was last seen alive
	deserted   []interval // when nobody may have been
	unwritable struct {   // when logs could not be written
		sync.Mutex
		list []interval
	}
}

// play runs chaos and returns what was violated.
func play(o options) []string {
	r := &run{options: o, chronicle: newChronicle(o.say), events: sequence{seen: map[uint64]string{}}}
	o.say("seed %d, %v, in %s", o.seed, o.length, o.dir)
	ctx := context.Background()
	if err := r.prepare(ctx); err != nil {
		return []string{"it could not begin: " + err.Error()}
	}
	stop := r.watch(ctx)
	r.course(ctx)
	stop()
	if len(r.violations) > 0 {
		r.lastWords()
	}
	r.finish(ctx)
	bad := r.report()
	r.saveLogs(len(bad) > 0 || r.keep)
	return bad
}

// prepare makes the stage and starts the daemon.
func (r *run) prepare(ctx context.Context) error {
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if r.stage, err = newStage(r.dir, self); err != nil {
		return err
	}
	r.daemon = newDaemon(r.dir, r.binaries)
	if err := r.mountLogs(); err != nil {
		return err
	}
	start, cancel := context.WithTimeout(ctx, backBound)
	defer cancel()
	return r.daemon.up(start)
}

// course is quiet point, phase, quiet point, phase, … until the time is over or a promise is broken.
func (r *run) course(ctx context.Context) {
	if !r.quiet(ctx) {
		return
	}
	for n, left := uint64(0), r.length; left > 0; n++ {
		long := min(left, phase)
		left -= long
		r.phase(ctx, n, long)
		if !r.quiet(ctx) {
			return
		}
	}
}

// phase has things broken for some time. Its dice depend on nothing but seed and number.
func (r *run) phase(ctx context.Context, n uint64, long time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	go func() {
		select {
		case <-r.failed:
			cancel()
		case <-ctx.Done():
		}
	}()
	r.note("phase %d", n+1)
	var wg sync.WaitGroup
	for i, part := range []func(context.Context, *rand.Rand){r.injector, r.injector, r.owner, r.restarter, r.restarter, r.changer, r.passer, r.reviving} {
		dice := rand.New(rand.NewPCG(r.seed, n<<8|uint64(i)))
		wg.Go(func() { part(ctx, dice) })
	}
	wg.Wait()
}

// injector injects one thing after the other.
func (r *run) injector(ctx context.Context, dice *rand.Rand) {
	list := possible(r.only)
	for pause(ctx, rest(dice)); ctx.Err() == nil; pause(ctx, rest(dice)) {
		i := choose(list, dice)
		r.note("%s…", i.name)
		if hit := i.run(r, ctx, dice); hit != "" {
			r.inject(i.name, hit)
		}
	}
}

// rest is the time between two things: often short, sometimes long.
func rest(dice *rand.Rand) time.Duration {
	return time.Duration(min(dice.ExpFloat64(), 5) * float64(300*time.Millisecond))
}

// reviving starts the daemon again when both of it are dead, as an operator would.
func (r *run) reviving(ctx context.Context, _ *rand.Rand) {
	for ctx.Err() == nil {
		r.revive(ctx)
		pause(ctx, 200*time.Millisecond)
	}
}

// revive starts a daemon that has died as a whole. While it does, its mark is odd: refusals are no finding then.
func (r *run) revive(ctx context.Context) {
	r.reviveLock.Lock()
	defer r.reviveLock.Unlock()
	look := time.Now()
	for range 2 { // one of them may have been between fork and exec
		if len(r.pids(both)) > 0 {
			r.seen = look
			return
		}
	}
	r.reviver.Add(1)
	defer r.reviver.Add(1)
	defer func() { r.deserted = append(r.deserted, interval{r.seen, time.Now()}) }()
	r.stage.forget()
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*backBound)
	defer cancel()
	for {
		r.note("nobody is left: up")
		err := r.daemon.up(start)
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "signal: killed") { // by an injection
			r.violated("a daemon whose processes are dead cannot be started: %v", err)
			return
		}
	}
}

// An interval is from one moment to another, on the wall: what files have as their times.
type interval struct{ from, to time.Time }

// finish ends the daemon, and looks at what is left and at what was written.
func (r *run) finish(ctx context.Context) {
	r.revive(ctx)
	end, cancel := context.WithTimeout(ctx, 2*backBound)
	defer cancel()
	if out, code := r.daemon.stay(end, "down"); code != 0 {
		r.violated("stay down: exit code %d: %s", code, out)
	}
	if err := r.until(ctx, r.daemon.left); err != nil {
		r.violated("after down: %v", err)
		for _, p := range r.daemon.processes() {
			r.say("ended by force: %v", p)
			_ = killPid(p.pid)
		}
	}
	r.readLogs()
	r.readJournal()
}

// until asks again and again until there is no error, for backBound at most.
func (r *run) until(ctx context.Context, ask func() error) error {
	deadline := time.Now().Add(backBound)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := ask()
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		pause(ctx, wait)
	}
}

// lastWords prints the state of things after a violation.
func (r *run) lastWords() {
	ask, cancel := context.WithTimeout(context.Background(), answerBound)
	defer cancel()
	list, err := r.daemon.client.Status(ask, "")
	r.say("status: %v", err)
	for _, i := range list {
		r.say("  %-12s %-9s gen %d pid %d, %d restarts: %s", i.Name, i.State, i.Generation, i.Pid, i.Restarts, i.Why)
	}
	for _, p := range r.daemon.processes() {
		r.say("  process %v", p)
	}
	log, _ := os.ReadFile(r.daemon.logDir() + "/stay.log")
	r.say("the end of stay.log:\n%s", log[max(0, len(log)-4000):])
}
