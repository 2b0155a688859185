package judge

import (
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A Judge holds what concerns all pulses: stalls, the crowd and the brake.
type Judge struct{}

// New returns a judge that begins at now. Nothing before it counts as silence, unless Lived says otherwise.
func New(now unit.Time) *Judge { return &Judge{} }

// Lived tells when the engine before this one was last alive: the time between is a stall, what was before is not.
func (j *Judge) Lived(until unit.Time) {}

// SetBrake sets how many verdicts a minute there may be; 0: the larger of 5 and 10 % of instances; -1: no brake.
func (j *Judge) SetBrake(perMinute, instances int) {}

// Tick says that the engine runs at now: call it first whenever it wakes.
func (j *Judge) Tick(now unit.Time) {}

// NextTick is when Tick has to be called again; 0 while no pulse lives.
func (j *Judge) NextTick() unit.Time { return 0 }

// A Rule is what the configuration says about one instance.
type Rule struct {
	Pulse        *spec.Pulse   // nil: no page and no watchdog
	Silence      time.Duration // 0: not judged
	StartTimeout time.Duration
}

// Watch returns the memory of one generation, whose process was made at born.
func (j *Judge) Watch(r Rule, born unit.Time) *Watch { return &Watch{} }

// A Watch is what is remembered of the pulses of one generation.
type Watch struct{}

// SetRule goes on with another configuration.
func (w *Watch) SetRule(r Rule) {}

// Ready says that the instance became ready at now; what was late before starts anew.
func (w *Watch) Ready(now unit.Time) {}

// Read takes a reading. The slots are the caller's again afterwards; broken is "", or what is wrong with the page.
func (w *Watch) Read(now unit.Time, slots []Slot, broken string) What { return What{} }

// Looked takes looks at late slots, and a reading that is newer than they are.
func (w *Watch) Looked(now unit.Time, slots []Slot, broken string, looks []Look) What { return What{} }

// Confirm takes the last reading before the first signal, and says whether the verdict stands. If it does not, the Watch goes
// on as if it had never been.
func (w *Watch) Confirm(now unit.Time, slots []Slot, broken string) (bool, What) { return true, What{} }

// Trigger takes WATCHDOG=trigger: a verdict that passes the brake like others.
func (w *Watch) Trigger(now unit.Time) What { return What{} }

// SetWatchdog takes WATCHDOG_USEC: the limit of datagrams from now on.
func (w *Watch) SetWatchdog(now unit.Time, limit time.Duration) {}

// Failed takes the bad answer of a check that has failed too often; it passes the brake like others.
func (w *Watch) Failed(now unit.Time, check string, failures int, message string) What { return What{} }

// A Standing is what `stay pulse` says of one slot.
type Standing struct {
	Slot  Slot
	Age   time.Duration // without stalls
	Limit time.Duration // that counts
	State string        // "busy", "idle", "paused", "lost", "broken"
	Late  int           // how often it was late and beat again
	Why   string        // why it is late and not killed, "" if it is not
	Rate  float64       // beats a second between the last two readings that were at least half a second apart
}

// Standings is what the last reading means at now, in the order of the slots.
func (w *Watch) Standings(now unit.Time) []Standing { return nil }

// Close forgets the watch: its generation has ended.
func (w *Watch) Close() {}

// A Check counts the answers of one check.
type Check struct {
	Failures int    // in a row
	Message  string // of the last bad answer
}

// Answer takes one answer. Late says that the asker was late itself: a bad answer then does not count. It returns true when
// limit is reached, and again with each bad answer after it.
func (c *Check) Answer(good, late bool, message string, limit int) bool { return false }
