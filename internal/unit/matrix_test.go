package unit

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/spec"
)

var update = flag.Bool("update", false, "write docs/states.md anew")

// service is a plain service with a dump signal, so that every phase can be reached.
func service() *spec.Service {
	return &spec.Service{
		Name: "web", Command: []string{"web"}, Instances: 1, Enabled: true, StartTimeout: 60 * time.Second, LostAfter: 10 * time.Second,
		Ready:   spec.Ready{When: spec.ReadyNotify},
		Stop:    spec.Stop{Signal: 15, Timeout: 5 * time.Second, To: spec.StopMain},
		Restart: spec.Restart{When: spec.RestartAlways, Step: 100 * time.Millisecond, MaxDelay: 30 * time.Second, Factor: 2, Stable: 10 * time.Second},
		Success: []spec.Success{{Code: 0}},
		Reload:  1,
	}
}

// in returns a unit that is in phase p at t, wanted up, with what that phase implies.
func in(p Phase, t Time) Unit {
	u := Unit{Want: Up, Phase: p, Gen: 7, Since: t, DepsMet: true, Restarts: 3}
	switch p {
	case Idle:
		u.Want = Down
	case Blocked:
		u.DepsMet = false
	case Spawning:
		u.Deadline = t.Add(time.Minute)
	case Starting:
		u.Pid, u.Started, u.Deadline = 70, t, t.Add(time.Minute)
	case Ready:
		u.Pid, u.Started, u.WasReady = 70, t, true
	case Examining, Dumping:
		u.Pid, u.Started, u.WasReady, u.Reason, u.Deadline = 70, t, true, Hang, t.Add(time.Second)
	case Stopping, Killing:
		u.Pid, u.Started, u.WasReady, u.Reason, u.Deadline = 70, t, true, Hang, t.Add(time.Second)
	case Backoff, Failed:
		u.Reason = ExitCode
		u.Last = End{Reason: ExitCode, Code: 1, Gen: 7}
		if p == Backoff {
			u.Deadline = t.Add(time.Second)
		}
	}
	return u
}

// matrixEvents are the events of the matrix: each kind, and the variants that lead elsewhere.
func matrixEvents() []struct {
	name string
	ev   Event
	at   time.Duration // after the phase began
} {
	exit := End{Reason: ExitCode, Code: 1}
	return []struct {
		name string
		ev   Event
		at   time.Duration
	}{
		{"Start", Event{Kind: Start}, 0},
		{"Stop", Event{Kind: Stop, Reason: ByOperator}, 0},
		{"Stop, held", Event{Kind: Stop, Held: true}, 0},
		{"Stop, now", Event{Kind: Stop, Now: true}, 0},
		{"Restart", Event{Kind: Restart, Reason: ByOperator}, 0},
		{"Reload", Event{Kind: Reload}, 0},
		{"Reset", Event{Kind: Reset}, 0},
		{"DepsMet", Event{Kind: DepsMet}, 0},
		{"DepsUnmet", Event{Kind: DepsUnmet}, 0},
		{"DepLost", Event{Kind: DepLost}, 0},
		{"Deadline", Event{Kind: Deadline}, 2 * time.Minute},
		{"Deadline, early", Event{Kind: Deadline}, 0},
		{"Spawned", Event{Kind: Spawned, Gen: 7, Pid: 70}, 0},
		{"SpawnFailed", Event{Kind: SpawnFailed, Gen: 7, End: End{Stage: "exec", Errno: 2}}, 0},
		{"Exited, tree empty", Event{Kind: Exited, Gen: 7, Pid: 70, Empty: true, End: exit}, 0},
		{"Exited, some left", Event{Kind: Exited, Gen: 7, Pid: 70, End: exit}, 0},
		{"Exited, another pid", Event{Kind: Exited, Gen: 7, Pid: 71, Empty: true, End: exit}, 0},
		{"TreeEmpty", Event{Kind: TreeEmpty, Gen: 7}, 0},
		{"MainMoved", Event{Kind: MainMoved, Gen: 7, Pid: 72}, 0},
		{"ReadyNoted", Event{Kind: ReadyNoted, Gen: 7}, 0},
		{"StoppingNoted", Event{Kind: StoppingNoted, Gen: 7}, 0},
		{"Hung", Event{Kind: Hung, Gen: 7}, 0},
		{"Recovered", Event{Kind: Recovered, Gen: 7}, 0},
		{"ProbeFailed", Event{Kind: ProbeFailed, Gen: 7}, 0},
		{"WentOver", Event{Kind: WentOver, Gen: 7}, 0},
		{"EvidenceTaken", Event{Kind: EvidenceTaken, Gen: 7}, 0},
		{"ExtendNoted", Event{Kind: ExtendNoted, Gen: 7, For: 10 * time.Minute}, 0},
		{"ExtendNoted, late", Event{Kind: ExtendNoted, Gen: 7, For: 10 * time.Minute}, 2 * time.Minute},
		{"ResetNoted", Event{Kind: ResetNoted, Gen: 7}, 0},
		{"anything, old Gen", Event{Kind: Exited, Gen: 6, Pid: 70, Empty: true, End: exit}, 0},
	}
}

const start = Time(1_000_000_000_000)

// cell is what an event does in a phase, in words.
func cell(p Phase, ev Event, at time.Duration) string {
	before := in(p, start)
	after, act := Step(before, "web", service(), start.Add(at), ev)
	var parts []string
	if after.Phase != before.Phase || after.Gen != before.Gen {
		parts = append(parts, "**"+after.Phase.String()+"**")
	}
	if after.Want != before.Want {
		parts = append(parts, "want "+after.Want.String())
	}
	if after.Held && !before.Held {
		parts = append(parts, "held")
	}
	switch act.Kind {
	case NoAction:
	case Signal:
		parts = append(parts, fmt.Sprintf("%s to %s", act.Signal, act.To))
	default:
		parts = append(parts, act.Kind.String())
	}
	if len(parts) == 0 {
		if after != before {
			return "noted"
		}
		return "·"
	}
	return strings.Join(parts, ", ")
}

// TestMatrix compares every phase under every event with docs/states.md, which it also writes (-update).
func TestMatrix(t *testing.T) {
	const file = "../../docs/states.md"
	var b strings.Builder
	b.WriteString(statesHead)
	b.WriteString("| event |")
	for p := range phases {
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(phases)) + "\n")
	seen := map[EventKind]bool{}
	for _, e := range matrixEvents() {
		seen[e.ev.Kind] = true
		fmt.Fprintf(&b, "| %s |", e.name)
		for p := range phases {
			fmt.Fprintf(&b, " %s |", cell(p, e.ev, e.at))
		}
		b.WriteString("\n")
	}
	for k := range eventKinds {
		if !seen[k] {
			t.Errorf("the matrix has no row for %s", k)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s is not what the state machine does: look at the difference, then `go test ./internal/unit -run Matrix -update`", file)
		diffLines(t, string(want), b.String())
	}
}

func diffLines(t *testing.T, want, got string) {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Errorf("line %d\n  want %s\n  got  %s", i+1, a, b)
		}
	}
}

const statesHead = `# What every event does in every phase

Generated from the state machine by ` + "`go test ./internal/unit -run Matrix -update`" + `, and compared with it in every test run.

A cell names the phase that follows, what changes in what is wanted, and the action for the keeper; "noted" is a change
inside the same phase, "·" is nothing at all. The unit has generation 7 and main process 70, is wanted up (in Idle: down), its
service is ready by notify, has a reload signal and restarts always; in the phases of a forced end its reason is a hang.
"Deadline" comes after its moment, "early" before it.

`
