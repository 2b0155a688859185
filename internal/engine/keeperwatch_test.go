package engine

import (
	"slices"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

// TestKeeperWatch plays what a keeper says and when the engine runs, and holds what is done about it, and when, against it.
func TestKeeperWatch(t *testing.T) {
	const s = unit.Time(time.Second)
	type done struct {
		act keeperAct
		at  unit.Time
	}
	for name, c := range map[string]struct {
		says  func(at unit.Time) bool // every 100 ms
		sleep [][2]unit.Time          // when the engine does not run
		want  []done
	}{
		"speaks once a second": {says: func(at unit.Time) bool { return at%s == 0 }},
		"falls silent": {says: func(at unit.Time) bool { return at <= 3*s && at%s == 0 },
			want: []done{{rouseKeeper, 8 * s}, {killKeeper, 13 * s}}},
		"comes back when roused": {says: func(at unit.Time) bool { return at%s == 0 && (at <= 3*s || at > 8*s) },
			want: []done{{rouseKeeper, 8 * s}}},
		"the engine did not run either": {says: func(at unit.Time) bool { return at <= 3*s && at%s == 0 },
			sleep: [][2]unit.Time{{4 * s, 10 * s}}, want: []done{{rouseKeeper, 15 * s}}},
		"both were stopped, and speak again": {says: func(at unit.Time) bool { return at%s == 0 && (at <= 3*s || at >= 12*s) },
			sleep: [][2]unit.Time{{4 * s, 11*s + s/2}}},
		"the engine runs by fits and starts": {says: func(at unit.Time) bool { return at == s },
			sleep: [][2]unit.Time{{2 * s, 4 * s}, {4*s + s/5, 6 * s}, {6*s + s/5, 8 * s}, {8*s + s/5, 10 * s}, {10*s + s/5, 16 * s}}},
	} {
		t.Run(name, func(t *testing.T) {
			var w keeperWatch
			var got []done
			heard := false
			for at := unit.Time(0); at <= 16*s; at += s / 10 {
				heard = heard || c.says(at)
				if slices.ContainsFunc(c.sleep, func(x [2]unit.Time) bool { return x[0] <= at && at < x[1] }) {
					continue
				}
				if heard {
					w.said(at)
					heard = false
				}
				if act := w.look(at); act != leaveKeeper {
					got = append(got, done{act, at})
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("did %v, want %v", got, c.want)
			}
		})
	}
	if w := (keeperWatch{}); w.next() != 0 || w.look(100*s) != leaveKeeper {
		t.Error("a keeper of which nothing is known is looked at")
	}
}
