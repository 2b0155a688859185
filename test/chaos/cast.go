package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A role is one service of the configuration: which tricks it plays and what the file says of it.
type role struct {
	name      string
	tricks    string // arguments of the actor
	keys      string // lines of the file besides command
	instances int
	flavour   int // changes with an apply, and restarts it: a value of its environment
}

// limits of the cast, in the file and in what is expected of it.
const stopTimeout = "400ms"

// defaults are for everybody. Delays are short, so that much happens in a minute, and bounded, so that what does not come
// back is found.
const defaults = `[defaults]
stop = { timeout = "` + stopTimeout + `" }
start_timeout = "20s"
restart = { step = "50ms", max_delay = "500ms" }
lost_after = "1s"
log = { max_size = "256KiB", keep = 10000, compress = false }
`

// cast are the services that are always there, one of each kind at least.
func cast() []role {
	return []role{
		{name: "plain", instances: 2},
		{name: "tree", tricks: "tree", instances: 2},
		{name: "deaf-tree", tricks: "tree deaf"},
		{name: "notify", tricks: "notify tree", keys: `ready = "notify"`},
		{name: "launch", tricks: "launch", keys: `ready = "notify"`},
		{name: "fd", tricks: "fd", keys: `ready = "fd:3"`, instances: 2},
		{name: "after", keys: `ready = "after:100ms"`},
		{name: "beat", tricks: "beat", keys: `pulse = "2s"`, instances: 2},
		{name: "hang", tricks: "hang", keys: `pulse = "300ms"`},
		{name: "slow", tricks: "slow"},
		{name: "deaf", tricks: "deaf"},
		{name: "crash", tricks: "crash", instances: 2},
		{name: "crash-tree", tricks: "crash tree"},
		{name: "flood", tricks: "flood", instances: 2},
		{name: "flood-raw", tricks: "flood", keys: `log.timestamps = false`},
		{name: "asked", keys: `check = [ { exec = ["{self}", "` + actorArg + `", "{stage}", "ask"], every = "200ms", timeout = "5s", failures = 2 } ]`},
		{name: "db", tricks: "fd", keys: `ready = "fd:3"`},
		{name: "web", tricks: "fd", keys: "ready = \"fd:3\"\nneeds = [\"db\"]", instances: 2},
		{name: "front", keys: `needs = ["web"]` + "\n" + `wants = ["plain"]`},
	}
}

// owned are the services that commands start and stop, one command at a time, so that it is known what is wanted of them.
var owned = []string{"plain", "tree", "notify", "slow", "deaf-tree", "db", "flood"}

// extras are roles that a random configuration may have besides the cast.
var extras = []role{
	{name: "x-plain"}, {name: "x-tree", tricks: "tree"}, {name: "x-notify", tricks: "notify", keys: `ready = "notify"`},
	{name: "x-flood", tricks: "flood"}, {name: "x-beat", tricks: "beat", keys: `pulse = "1s"`}, {name: "x-deaf", tricks: "deaf tree"},
}

// vary changes a cast at random: extras come and go, some change, some scale.
func vary(dice *rand.Rand, before []role) []role {
	now := cast()
	for i := range now {
		old := slices.IndexFunc(before, func(r role) bool { return r.name == now[i].name })
		now[i].flavour, now[i].instances = before[old].flavour, max(1, before[old].instances)
		switch dice.IntN(8) {
		case 0:
			now[i].flavour++
		case 1:
			now[i].instances = 1 + dice.IntN(4)
		}
	}
	for _, x := range extras {
		if dice.IntN(2) == 0 {
			x.flavour, x.instances = dice.IntN(2), 1+dice.IntN(3)
			now = append(now, x)
		}
	}
	return now
}

// names are all instances of a cast.
func names(roles []role) map[string]bool {
	all := map[string]bool{}
	for _, r := range roles {
		all[r.name] = true
		for n := 2; n <= r.instances; n++ {
			all[fmt.Sprintf("%s.%d", r.name, n)] = true
		}
	}
	return all
}

// render writes the configuration file.
func render(roles []role, self, stage string) string {
	var b strings.Builder
	b.WriteString(defaults)
	for _, r := range roles {
		argv := []string{self, actorArg, stage}
		argv = append(argv, strings.Fields(r.tricks)...)
		fmt.Fprintf(&b, "[service.%s]\ncommand = [", r.name)
		for _, w := range argv {
			fmt.Fprintf(&b, "%q, ", w)
		}
		fmt.Fprintf(&b, "]\ninstances = %d\nenv = { FLAVOUR = \"%d\", GORACE = \"atexit_sleep_ms=0\" }\n", max(1, r.instances), r.flavour)
		b.WriteString(strings.NewReplacer("{self}", self, "{stage}", stage).Replace(r.keys) + "\n")
	}
	return b.String()
}

// sorted are the keys of a set.
func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
