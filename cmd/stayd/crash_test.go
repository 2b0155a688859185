package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// A script is what is asked of a daemon in one run, and what has to have come of it, whoever died meanwhile.
type script struct {
	name   string
	config string
	play   func(r *crashRun)
	signal syscall.Signal    // to the keeper, to take the daemon down; 0: by Shutdown
	check  func(r *crashRun) // of the files that services left, when all is over
}

// commands is the everyday: readiness of both kinds, crashes in growing delays, a restart, a stop that has to wait for
// another service, and a start.
var commands = script{
	name: "commands",
	config: `[defaults]
ready = "fd:3"
env = { GORACE = "atexit_sleep_ms=0" }
[service.quiet]
command = "sh service.sh stay"
[service.db]
command = "sh service.sh stay"
[service.web]
command = ["{{self}}", "` + beacon + `"]
ready = "notify"
needs = ["db"]
[service.fork]
command = ["{{self}}", "` + beacon + `", "background"]
ready = "notify"
[service.crash]
command = "sh service.sh crash"
restart = { step = "30ms", factor = 3.0, jitter = 0.0 }
`,
	play: func(r *crashRun) {
		r.ready("[qdwf]*")
		r.do(api.Command{Verb: api.Restart, Target: "web"})
		r.do(api.Command{Verb: api.Stop, Target: "db"})
		r.settled(map[string]api.State{"quiet": api.Running, "fork": api.Running, "db": api.Stopped, "web": api.Waiting, "crash": api.Waiting})
		r.do(api.Command{Verb: api.Start, Target: "db", NoWait: true})
		all := r.settled(map[string]api.State{"quiet": api.Running, "fork": api.Running, "db": api.Running, "web": api.Running, "crash": api.Waiting})
		if c := all["crash"]; c.Restarts != int(c.Generation)-1 {
			r.errorf("crash has %d restarts in %d generations", c.Restarts, c.Generation)
		}
		r.until("fork is its child", func() error {
			if fork, lines := r.status()["fork"], r.starts()["fork"]; len(lines) != 1 || lines[0].pid != fork.Pid || fork.Generation != 1 {
				return fmt.Errorf("it is %+v, it started %+v", fork, lines)
			}
			return nil
		})
		if web := all["web"]; web.Status != "shining" || web.Restarts != 0 {
			r.errorf("web is %+v", web)
		}
	},
	check: func(r *crashRun) {
		r.started("quiet", 1, 1)
		r.started("fork", 1, 1)
		r.started("db", 2, 2)
		r.started("web", 3, 3)
		r.delays("crash", 0, 0, .09, .27, .81)
	},
}

// changes is an apply that adds, removes, changes, scales, enables and disables, after a stop that needs SIGKILL.
var changes = script{
	name: "changes",
	config: `[defaults]
ready = "fd:3"
env = { GORACE = "atexit_sleep_ms=0" }
[service.quiet]
command = "sh service.sh stay"
[service.deaf]
command = "sh service.sh deaf"
stop = { timeout = "60ms" }
[service.gone]
command = "sh service.sh stay"
[service.other]
command = "sh service.sh stay"
env = { A = "1" }
[service.more]
command = "sh service.sh stay"
instances = 1
[service.fewer]
command = "sh service.sh stay"
instances = 2
[service.on]
command = "sh service.sh stay"
enabled = false
[service.off]
command = "sh service.sh stay"
[service.rest]
command = "sh service.sh stay"
`,
	play: func(r *crashRun) {
		r.ready("all")
		r.do(api.Command{Verb: api.Stop, Target: "deaf"})
		r.do(api.Command{Verb: api.Stop, Target: "rest"})
		config := r.read("stay.toml")
		_, gone, _ := strings.Cut(config, "[service.gone]")
		gone, _, _ = strings.Cut(gone, "[service.other]")
		config = strings.NewReplacer("[service.gone]"+gone, "[service.new]\ncommand = \"sh service.sh stay\"\n", "instances = 2", "instances = 1",
			"instances = 1", "instances = 2", "enabled = false", "enabled = true", "[service.off]", "[service.off]\nenabled = false",
			`A = "1"`, `A = "2"`, "[service.rest]", "[service.rest]\ninstances = 2").Replace(config)
		r.write("stay.toml", config)
		if _, err := r.client.Apply(r.ctx); err != nil {
			r.errorf("apply: %v", err)
		}
		r.settled(map[string]api.State{"quiet": api.Running, "deaf": api.Stopped, "new": api.Running, "other": api.Running, "more": api.Running,
			"more.2": api.Running, "fewer": api.Running, "on": api.Running, "off": api.Stopped, "rest": api.Stopped, "rest.2": api.Stopped})
	},
	signal: syscall.SIGTERM,
	check: func(r *crashRun) {
		for _, name := range []string{"quiet", "deaf", "gone", "new", "more", "more.2", "fewer", "fewer.2", "on", "off", "rest"} {
			r.started(name, 1, 1)
		}
		r.started("rest.2", 0, 0)
		r.started("other", 2, 2)
	},
}

// endings is services without a file, that end and are forgotten, and a down in the order of dependencies.
var endings = script{
	name: "endings",
	config: `[defaults]
ready = "fd:3"
env = { GORACE = "atexit_sleep_ms=0" }
[service.a]
command = "sh service.sh order"
needs = ["b"]
[service.b]
command = "sh service.sh order"
needs = ["c"]
[service.c]
command = "sh service.sh order"
[service.d]
command = "sh service.sh order"
`,
	play: func(r *crashRun) {
		for _, name := range []string{"one", "two"} {
			_, err := r.client.Run(r.ctx, api.Run{Name: name, Command: []string{"sh", "service.sh", "once"}, Directory: r.dir})
			if err != nil {
				r.errorf("run %s: %v", name, err)
			}
			r.until(name+" runs", func() error {
				if r.starts()[name] == nil {
					return errors.New("it has not said so")
				}
				return nil
			})
		}
		r.ready("all")
		r.do(api.Command{Verb: api.Stop, Target: "two", NoWait: true})
		r.do(api.Command{Verb: api.Stop, Target: "d", NoWait: true})
		r.settled(map[string]api.State{"a": api.Running, "b": api.Running, "c": api.Running, "d": api.Stopped, "one": api.Running})
	},
	check: func(r *crashRun) {
		for _, name := range []string{"a", "b", "c", "d", "one", "two"} {
			r.started(name, 1, 1)
		}
		if got := strings.Fields(r.read("ends")); !slices.Equal(got, []string{"d", "a", "b", "c"}) {
			r.errorf("they ended in the order %v, not d a b c", got)
		}
	},
}

// stores is services that die right after they have stored a descriptor, and live when they have got it back.
var stores = script{
	name: "stores",
	config: `[defaults]
ready = "notify"
fd_store = 4
env = { GORACE = "atexit_sleep_ms=0" }
[service.keep]
command = ["{{self}}", "` + beacon + `", "store"]
instances = 3
`,
	play: func(r *crashRun) {
		for name, i := range r.settled(map[string]api.State{"keep": api.Running, "keep.2": api.Running, "keep.3": api.Running}) {
			if i.Generation != 2 || i.Status != "shining" {
				r.errorf("%s is %+v", name, i)
			}
		}
		r.do(api.Command{Verb: api.Restart, Target: "keep"})
		r.do(api.Command{Verb: api.Stop, Target: "keep.2"})
		r.do(api.Command{Verb: api.Start, Target: "keep.2"})
	},
	check: func(r *crashRun) {
		r.started("keep", 3, 3)
		r.started("keep.2", 5, 5) // the stop has dropped it
		r.started("keep.3", 3, 3)
	},
}

// delays checks that an instance that dies at once was started again no earlier than each delay after the start before,
// and at most as late as a busy machine makes it.
func (r *crashRun) delays(name string, delays ...float64) {
	lines := r.starts()[name]
	if len(lines) < 2 {
		r.errorf("%s was started %d times", name, len(lines))
	}
	for i := 1; i < len(lines) && i <= len(delays); i++ {
		if took := lines[i].at - lines[i-1].at; took < .9*delays[i-1]-.011 || took > delays[i-1]+3 { // a life of some ms shortens the next delay, and /proc/uptime counts in 10 ms
			r.errorf("%s: start %d came %.2fs after the one before, its delay is %.2fs", name, i+1, took, delays[i-1])
		}
	}
}

func scripts(t testing.TB) []script {
	t.Helper()
	for _, tool := range []string{"sh", "flock", "sleep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	commands.config = strings.ReplaceAll(commands.config, "{{self}}", self)
	stores.config = strings.ReplaceAll(stores.config, "{{self}}", self)
	return []script{commands, changes, endings, stores}
}

// atOnce is how many daemons run at the same time: most of a run is waiting.
const atOnce = 8

// playAll plays a script once for each plan and reports what went wrong, a few of them in full.
func playAll(t *testing.T, s script, plans [][]int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	slots := make(chan struct{}, atOnce)
	for _, plan := range plans {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, killed, errs := play(t, s, plan)
			if errs == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if failed++; failed <= 3 {
				t.Errorf("%s, engines killed at %q:\n%s", s.name, killed, strings.Join(errs, "\n"))
			} else {
				t.Errorf("%s, engines killed at %q: %s", s.name, killed, errs[0])
			}
		})
	}
	wg.Wait()
}

// reference plays a script without a death and returns how many points it has.
func reference(t *testing.T, s script) int {
	t.Helper()
	points, _, errs := play(t, s, nil)
	if errs != nil {
		t.Fatalf("%s, without a death:\n%s", s.name, strings.Join(errs, "\n"))
	}
	return points
}

// TestEngineKilledAtEveryMessage kills the engine once in each run: at every message that it sends or receives in a run,
// right before and right after. With -short every fifth.
func TestEngineKilledAtEveryMessage(t *testing.T) {
	for _, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			points := reference(t, s)
			t.Logf("%d points", points)
			var plans [][]int
			for n := 1; n <= points; n += every() {
				plans = append(plans, []int{n})
			}
			playAll(t, s, plans)
		})
	}
}

// TestEngineKilledWhileRecovering kills the next engine too, at a point of its recovery or soon after.
func TestEngineKilledWhileRecovering(t *testing.T) {
	for _, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			points := reference(t, s)
			var plans [][]int
			for n := 1; n <= points; n += 3 * every() {
				plans = append(plans, []int{n, n + 1 + n*7%50})
			}
			playAll(t, s, plans)
		})
	}
}

// TestEnginesKilledAgainAndAgain kills engines at random. Two deaths are never so close together that three engines in a
// row die before they are ready: that is another story (the keeper starts one without records then).
func TestEnginesKilledAgainAndAgain(t *testing.T) {
	seed := rand.Uint64()
	if given := os.Getenv("STAYD_TEST_SEED"); given != "" {
		fmt.Sscan(given, &seed)
	}
	t.Logf("STAYD_TEST_SEED=%d repeats this", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			var plans [][]int
			for range 24 / every() {
				var plan []int
				for n := 0; len(plan) < 2+random.IntN(6); {
					n += 1 + random.IntN(60) + len(plan)%2*100
					plan = append(plan, n)
				}
				plans = append(plans, plan)
			}
			playAll(t, s, plans)
		})
	}
}

// TestFreshEngineTouchesNobody kills three engines more before they are ready, so that the next one starts without records:
// it knows processes, and the configuration, and that has to do.
func TestFreshEngineTouchesNobody(t *testing.T) {
	scripts(t)
	s := script{
		name:   "fresh",
		config: strings.Replace(commands.config, "[service.crash]", "[service.last]", 1),
		play: func(r *crashRun) {
			r.ready("[qdwf]*")
			r.settled(map[string]api.State{"quiet": api.Running, "fork": api.Running, "db": api.Running, "web": api.Running, "last": api.Waiting})
		},
		check: func(r *crashRun) {
			for _, name := range []string{"quiet", "fork", "db", "web"} {
				r.started(name, 1, 1)
			}
			if log := r.read(".stay/log/stay.log"); len(r.faults.killed()) == 4 && !strings.Contains(log, "starts fresh") {
				r.errorf("no engine started fresh")
			}
		},
	}
	var plans [][]int
	for n := 1; n <= reference(t, s); n += 2 * every() {
		plans = append(plans, []int{n, n + 2, n + 5, n + 9})
	}
	playAll(t, s, plans)
}

// every is which share of the runs is played: all, or one of so many. Root plays all: an unprivileged engine passes the same
// points.
func every() int {
	switch {
	case testing.Short() || raceDetector:
		return 5
	case os.Geteuid() != 0:
		return 3
	}
	return 1
}
