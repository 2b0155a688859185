package oldtable

import (
	"math"
	"slices"
	"testing"
	"time"
)

// A clock is both clocks of a test: seconds since boot, and the wall's, which may jump.
type clock struct {
	mono time.Duration
	wall time.Time
}

func newClock() *clock { return &clock{mono: 1000 * time.Second, wall: time.Unix(1_700_000_000, 0)} }

func (c *clock) pass(d time.Duration) { c.mono += d; c.wall = c.wall.Add(d) }

// A rig drives a guard over one entry.
type rig struct {
	t *testing.T
	*clock
	g     Guard
	entry Entry
	alive bool
	start uint64
	rows  []Row
	next  time.Duration
}

func newRig(t *testing.T, timeout time.Duration) *rig {
	r := &rig{t: t, clock: newClock(), g: Guard{Kill: true}, alive: true}
	r.entry = Entry{Index: 7, Pid: 4711, Name: "x", Timeout: timeout, Atime: r.wall.Unix() - 1} // that second is just over
	return r
}

// look looks now.
func (r *rig) look() []Do {
	r.t.Helper()
	var do []Do
	do, r.rows, r.next = r.g.Look(r.mono, r.wall, []Sight{{Entry: r.entry, Alive: r.alive, Start: r.start}})
	return do
}

// run looks whenever it is time until d has passed, and returns what was to be done and how far into d.
func (r *rig) run(d time.Duration) (do []Do, after time.Duration) {
	r.t.Helper()
	begin := r.mono
	for end := r.mono + d; ; {
		if do = r.look(); len(do) > 0 || r.mono >= end {
			return do, r.mono - begin
		}
		if r.next <= r.mono {
			r.t.Fatalf("at %v: the next look is at %v, which is no time to wait", r.mono, r.next)
		}
		r.pass(min(r.next, end) - r.mono)
	}
}

// known has the process identified.
func (r *rig) known(who Identity) {
	r.t.Helper()
	if do := r.look(); !r.is(do, Identify) {
		r.t.Fatalf("at first sight: %v", do)
	}
	r.g.Identified(r.mono, r.entry, who)
}

// beat stores the time.
func (r *rig) beat() { r.entry.Atime = r.wall.Unix() }

func (r *rig) is(do []Do, acts ...Act) bool {
	var got []Act
	for _, d := range do {
		got = append(got, d.Act)
	}
	return slices.Equal(got, acts)
}

func (r *rig) wantRun(d time.Duration, acts ...Act) time.Duration {
	r.t.Helper()
	do, after := r.run(d)
	if !r.is(do, acts...) {
		r.t.Fatalf("after %v of %v: %+v, want %v", after, d, do, acts)
	}
	return after
}

var good = Identity{Start: 99}

func TestLateAtTheLimit(t *testing.T) {
	for _, limit := range []time.Duration{time.Second, 5 * time.Second, time.Minute} {
		r := newRig(t, limit)
		r.known(good)
		if after := r.wantRun(2*limit, End); after != limit {
			t.Errorf("limit %v: late after %v", limit, after)
		}
		if do := r.look(); len(do) != 0 {
			t.Errorf("asked a second time: %v", do)
		}
	}
}

func TestBeatsInTime(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.pass(300 * time.Millisecond)
	r.known(good)
	for range 20 {
		r.beat()
		r.wantRun(4 * time.Second)
	}
	if r.rows[0].Beats != 20 {
		t.Errorf("%d beats were seen", r.rows[0].Beats)
	}
	begin := r.mono
	after := r.wantRun(10*time.Second, End)
	silent := r.mono - begin + 4*time.Second
	if silent < 5*time.Second || silent > 6*time.Second || after == 0 {
		t.Errorf("late after %v of silence", silent)
	}
}

// TestSecondCountsToItsEnd: 10.9 is written as 10; that must not make the silence longer than it is.
func TestSecondCountsToItsEnd(t *testing.T) {
	r := newRig(t, time.Second)
	r.known(good)
	r.pass(900 * time.Millisecond)
	r.beat() // its second began 0.9 s ago
	if after := r.wantRun(10*time.Second, End); after != 1100*time.Millisecond {
		t.Errorf("late after %v", after)
	}

	r = newRig(t, time.Second)
	r.beat() // seen at 0 of a second, and perhaps again at 0.99
	r.known(good)
	if after := r.wantRun(10*time.Second, End); after != 2*time.Second {
		t.Errorf("late after %v", after)
	}
}

// TestBeatBetweenLooks: the moment is taken from the entry, not from the look.
func TestBeatBetweenLooks(t *testing.T) {
	r := newRig(t, 100*time.Second)
	r.known(good)
	r.look()
	r.beat()
	r.pass(2500 * time.Millisecond)
	r.g.planned = r.mono // as planned
	r.look()
	if got, want := r.mono-r.rows[0].Beat, 1500*time.Millisecond; got != want {
		t.Errorf("it beat %v ago, want %v", got, want)
	}
}

func TestHostileTimes(t *testing.T) {
	for _, atime := range []int64{0, -1, math.MaxInt64, math.MinInt64, 1 << 40} {
		r := newRig(t, 5*time.Second)
		r.entry.Atime = atime
		r.known(good)
		r.look()
		r.pass(time.Second)
		r.entry.Atime = atime ^ 1
		r.look()
		if b := r.rows[0].Beat; b > r.mono || b < r.mono-time.Second {
			t.Errorf("%d: beat at %v, seen between %v and %v", atime, b, r.mono-time.Second, r.mono)
		}
		if after := r.wantRun(20*time.Second, End); after > 6*time.Second || after < 4*time.Second {
			t.Errorf("%d: late after %v", atime, after)
		}
	}
}

func TestNobodyIsMeant(t *testing.T) {
	for _, pid := range []int{1, -1, -4711, math.MinInt32} {
		r := newRig(t, time.Second)
		r.entry.Pid = pid
		r.alive = pid == 1
		r.wantRun(time.Hour / 60)
		if r.rows[0].Why == "" {
			t.Errorf("pid %d: nothing says why", pid)
		}
	}
}

func TestNoLimit(t *testing.T) {
	for _, limit := range []time.Duration{0, -time.Second, math.MinInt32 * time.Second} {
		r := newRig(t, limit)
		r.known(good)
		r.wantRun(time.Minute)
	}
}

// TestWallClockJumps: whatever it does, what beats is not late, and what does not is late one limit after it.
func TestWallClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, time.Hour, -3 * time.Second, 3 * time.Second} {
		r := newRig(t, 5*time.Second)
		r.known(good)
		for range 5 {
			r.wantRun(3 * time.Second)
			r.wall = r.wall.Add(jump)
			r.wantRun(time.Second)
			r.beat()
			r.wantRun(3 * time.Second)
			r.beat()
		}
		r.look()
		r.wantRun(3 * time.Second)
		r.wall = r.wall.Add(jump)
		if after := r.wantRun(time.Minute, End); after < 5*time.Second || after > 6*time.Second {
			t.Errorf("jump of %v: late after %v", jump, after)
		}
	}
}

// TestStalls: time in which nobody looked is not counted.
func TestStalls(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(good)
	r.wantRun(2 * time.Second)
	for range 10 {
		r.pass(time.Minute)
		if do := r.look(); len(do) > 0 {
			t.Fatalf("late after a stall: %v", do)
		}
	}
	if after := r.wantRun(time.Minute, End); after != 3*time.Second {
		t.Errorf("late after %v more", after)
	}

	r = newRig(t, 5*time.Second)
	r.known(good)
	r.wantRun(4900 * time.Millisecond)
	r.pass(time.Minute)
	if after := r.wantRun(time.Minute, End); after != time.Second {
		t.Errorf("after a stall it had %v to beat", after)
	}
}

// TestLittleLate: looks that are a little late, all the time, do not keep anybody alive.
func TestLittleLate(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(good)
	for range 10 {
		if do := r.look(); len(do) > 0 {
			if after := r.mono - 1000*time.Second; after > 7*time.Second {
				t.Errorf("late after %v", after)
			}
			return
		}
		r.pass(r.next - r.mono + 100*time.Millisecond)
	}
	t.Error("never late")
}

func TestDead(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.alive = false
	r.wantRun(time.Second, Clear)
	if r.rows[0].Alive || r.rows[0].Why == "" {
		t.Errorf("row %+v", r.rows[0])
	}
	r.g.Kill = false
	r.wantRun(time.Minute)
}

func TestOnlyShown(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.g.Kill = false
	r.known(good)
	r.wantRun(time.Minute)
}

// TestOwned: what belongs to somebody else is shown, and nothing else.
func TestOwned(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(Identity{Start: 99, Owner: "web", Gen: 3})
	r.start = 99
	r.wantRun(time.Minute)
	if w := r.rows[0].Who; w.Owner != "web" || w.Gen != 3 {
		t.Errorf("row %+v", r.rows[0])
	}
	r.start = 100 // the pid is another's
	if do := r.look(); !r.is(do, Identify) || r.rows[0].Who.Owner != "" {
		t.Errorf("a reused pid: %v, %+v", do, r.rows[0])
	}
}

// TestLeftAlone: who may not be touched is not, that is said once, and it is looked at anew when the entry beats.
func TestLeftAlone(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(Identity{Start: 99, Why: "it is another"})
	if after := r.wantRun(time.Minute, Leave); after != 5*time.Second {
		t.Errorf("said after %v", after)
	}
	r.wantRun(time.Minute)
	if r.rows[0].Why != "it is another" {
		t.Errorf("row %+v", r.rows[0])
	}
	r.beat()
	r.wantRun(time.Second, Identify)
	r.g.Identified(r.mono, r.entry, good)
	r.wantRun(time.Minute, End)
}

// TestAskAgain: what could not be found out is asked again, but not at once.
func TestAskAgain(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(Identity{Why: "too many open files", Again: true})
	if after := r.wantRun(time.Minute, Identify); after < time.Second {
		t.Errorf("asked again after %v", after)
	}
}

func TestTraced(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(good)
	r.wantRun(time.Minute, End)
	r.g.Ended(r.mono, r.entry, Excused, Identity{})
	for range 10 {
		if after := r.wantRun(time.Minute, Excuse); after < time.Second {
			t.Fatalf("asked again after %v", after)
		}
		r.g.Ended(r.mono, r.entry, Excused, Identity{})
	}
	if r.look(); r.rows[0].Why != "traced" {
		t.Errorf("row %+v", r.rows[0])
	}
	r.wantRun(time.Minute, Excuse)
	r.g.Ended(r.mono, r.entry, Freed, Identity{})
	if after := r.wantRun(time.Minute, End); after != 5*time.Second {
		t.Errorf("late %v after it was let go", after)
	}
}

func TestAnswers(t *testing.T) {
	r := newRig(t, 5*time.Second)
	r.known(good)
	r.wantRun(time.Minute, End)
	r.beat()
	r.g.Ended(r.mono, r.entry, Beats, Identity{})
	r.look()
	if r.rows[0].Late != 1 || r.rows[0].Why != "" {
		t.Errorf("it beat again: %+v", r.rows[0])
	}
	r.wantRun(time.Minute, End)
	r.g.Ended(r.mono, r.entry, Other, Identity{Start: 99, Owner: "web"})
	r.start = 99
	r.wantRun(time.Minute)

	was := r.entry
	r.entry.Pid++
	r.wantRun(time.Second, Identify)
	r.g.Ended(r.mono, was, Other, Identity{Why: "of the one before"}) // who has the entry by now is not meant
	r.g.Identified(r.mono, was, Identity{Why: "of the one before"})
	r.look()
	if r.rows[0].Who.Why != "" || r.rows[0].Why != "" {
		t.Errorf("an answer about somebody else was taken: %+v", r.rows[0])
	}
	r.g.Identified(r.mono, r.entry, good)
	r.wantRun(time.Minute, End)
}

// FuzzGuard holds it to what must never be: a time to look again that has passed, and an end of somebody who beats.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{1, 1, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		c := newClock()
		g := Guard{Kill: true}
		e := Entry{Index: 1, Pid: 5, Timeout: 3 * time.Second, Atime: c.wall.Unix()}
		stored := c.mono
		next := c.mono
		for _, b := range script {
			switch b % 6 {
			case 0:
				c.pass(max(0, next-c.mono))
			case 1:
				c.pass(time.Duration(b) * 10 * time.Millisecond)
			case 2:
				if e.Atime != c.wall.Unix() {
					e.Atime, stored = c.wall.Unix(), c.mono
				}
			case 3:
				c.wall = c.wall.Add(time.Duration(int8(b)) * time.Minute)
			case 4:
				g.Identified(c.mono, e, Identity{Start: 1})
			case 5:
				g.Ended(c.mono, e, Result(b/6)%5, Identity{Start: 1})
			}
			var do []Do
			do, _, next = g.Look(c.mono, c.wall, []Sight{{Entry: e, Alive: b != 255}})
			if next <= c.mono || next > c.mono+each {
				t.Fatalf("look again at %v, now %v", next, c.mono)
			}
			for _, d := range do {
				if d.Act == End && (c.mono-stored < e.Timeout || d.Who == nil || d.Who.Why != "") {
					t.Fatalf("to be ended %v after a beat: %+v", c.mono-stored, d)
				}
			}
		}
	})
}
