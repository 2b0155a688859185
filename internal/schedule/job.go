package schedule

import (
	"hash/fnv"
	"time"
)

// An Overlap says what becomes of a time that comes while a run is under way.
type Overlap string

// The overlaps.
const (
	Skip    Overlap = "skip"    // nothing; it is counted
	Queue   Overlap = "queue"   // one more run, right after this one; more than one wait as one
	Replace Overlap = "replace" // the run under way is stopped, and another begins
)

// A Job is what the file says of when a job with a cron line runs.
type Job struct {
	Name    string // of the job: its jitter follows from it
	Times   *Cron
	Overlap Overlap
	CatchUp bool          // times that passed while nobody was there are made up for, all by one run
	Jitter  time.Duration // each start comes up to this much later
}

// A State is what is remembered of a job between two decisions. The zero value is a job that was never planned.
type State struct {
	Time    time.Time `json:"time,omitzero"`    // the time of the cron line that comes next
	Due     time.Time `json:"due,omitzero"`     // when it is due: Time with its jitter
	Planned time.Time `json:"planned,omitzero"` // what the clock showed when Time was found
	Queued  bool      `json:"queued,omitempty"` // another run begins right after the one under way
	Skipped int       `json:"skipped,omitempty"`
	Missed  int       `json:"missed,omitempty"` // times that passed while nobody was there, by the last count
}

// An Act is what is to be done now.
type Act uint8

// The acts.
const (
	Nothing Act = iota
	Run         // begin a run
	Restart     // stop the run under way and begin another
)

// Plan takes up a job at now: the state is that of before, zero for a new job or one whose times have changed. A time
// that passed unattended is made up for if the job wants that, else the next one counts.
func (j Job) Plan(s State, now time.Time) State {
	s.Missed = 0
	if !s.Time.IsZero() && !s.Due.After(now) {
		s.Missed = 1 + j.Times.Missed(s.Time, now)
		if j.CatchUp {
			s.Due = now
			return s
		}
	}
	if s.Time.IsZero() || !s.Due.After(now) {
		s = j.next(s, now)
	}
	return s
}

// next plans the first time after now.
func (j Job) next(s State, now time.Time) State {
	s.Planned = now
	s.Time = j.Times.Next(now)
	s.Due = s.Time
	if !s.Time.IsZero() {
		s.Due = s.Time.Add(j.spread(s.Time))
	}
	return s
}

// spread is the jitter of one time: the same in every engine.
func (j Job) spread(t time.Time) time.Duration {
	if j.Jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(j.Name)) // a hash.Hash never returns an error
	h.Write([]byte(t.UTC().Format(time.RFC3339)))
	return time.Duration(mixed(h.Sum64()) % uint64(j.Jitter))
}

// mixed is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): FNV alone leaves neighbouring times close together. Package
// backoff has the same, but imports spec, which imports this package.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// putBack is by how much the clock may be put back with no time coming twice. By more, it was wrong before: what was planned
// then means nothing.
const putBack = 3 * time.Hour

// Tick decides at now, a moment at or after which the job was due, or any other: it is harmless to ask. running says that a
// run is under way.
func (j Job) Tick(s State, now time.Time, running bool) (State, Act) {
	if s.Time.IsZero() {
		return s, Nothing
	}
	if s.Due.After(now) {
		if s.Planned.Sub(now) > putBack {
			s = j.next(s, now)
		}
		return s, Nothing
	}
	s = j.next(s, now)
	switch {
	case !running:
		return s, Run
	case j.Overlap == Queue:
		s.Queued = true
	case j.Overlap == Replace:
		return s, Restart
	default:
		s.Skipped++
	}
	return s, Nothing
}

// Ended decides at the end of a run.
func (j Job) Ended(s State) (State, Act) {
	if !s.Queued {
		return s, Nothing
	}
	s.Queued = false
	return s, Run
}

// longestLook is how long nobody looks at the clock at most: the wall clock may be set, and no timer tells.
const longestLook = 30 * time.Second

// Look is how long until Tick has to be asked.
func (j Job) Look(s State, now time.Time) time.Duration {
	if s.Time.IsZero() {
		return longestLook
	}
	return max(0, min(s.Due.Sub(now), longestLook))
}
