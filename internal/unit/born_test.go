package unit

import "testing"

// TestNewsOfABirthMayBeOld: who was born while no engine was there has lived since then, and no process was made in the
// future.
func TestNewsOfABirthMayBeOld(t *testing.T) {
	const now = Time(100e9)
	for _, c := range []struct{ at, started Time }{{0, now}, {40e9, 40e9}, {now, now}, {now + 1, now}, {-1, now}} {
		for _, p := range []Phase{Spawning, Killing} {
			u := Unit{Want: Up, Phase: p, Gen: 3, DepsMet: true, Deadline: 200e9}
			got, _ := Step(u, "web", service(), now, Event{Kind: Spawned, Gen: 3, Pid: 70, At: c.at})
			if got.Started != c.started || got.Pid != 70 {
				t.Errorf("%s, made at %d: started %d with pid %d, want %d", p, c.at, got.Started, got.Pid, c.started)
			}
		}
	}
}
