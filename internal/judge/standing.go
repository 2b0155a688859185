package judge

import (
	"time"

	"example.com/stay/internal/unit"
)

// A Standing is what `stay pulse` says of one slot.
type Standing struct {
	Slot  Slot
	Age   time.Duration // since its last sign of life, without stalls; negative: extended
	Limit time.Duration // that counts; 0: it is not judged
	State string        // "busy", "idle", "paused", "lost", "broken"
	Late  int           // how often it was late and beat again
	Why   string        // why it is late and not killed: "late", "starved", "crowd", "traced", "frozen", "log", "brake"; "" if it is not late
	Rate  float64       // beats a second between the last two readings that were at least half a second apart
}

// Standings is what the last reading means at now, in the order of the slots. Slots that are being claimed are left out,
// unless that never ends.
func (w *Watch) Standings(now unit.Time) []Standing {
	list := make([]Standing, 0, len(w.pulses))
	for i := range w.pulses {
		p := &w.pulses[i]
		if p.slot.State == Claimed && p.told&oddClaim == 0 {
			continue
		}
		s := Standing{Slot: p.slot, Limit: p.limit, State: w.state(p), Late: p.relived, Why: w.why(p), Rate: p.rate}
		from, stalled := p.life, min(p.life, p.seen)
		if p.slot.State == Claimed {
			from, stalled = p.entered, p.entered
		}
		s.Age = now.Sub(from + w.judge.stalls.since(stalled))
		list = append(list, s)
	}
	return list
}

// state is the state of a pulse for people.
func (w *Watch) state(p *pulse) string {
	switch {
	case p.slot.State == Claimed || p.slot.Source == Page && w.page.count > 0:
		return "broken"
	case p.lost || p.late != nil && p.late.kind == Lost:
		return "lost"
	case p.slot.State == Paused:
		return "paused"
	case p.slot.State == Idle:
		return "idle"
	}
	return "busy"
}

// why says why a pulse is late and not killed.
func (w *Watch) why(p *pulse) string {
	if p.late == nil {
		return ""
	}
	switch l := &p.late.look; p.late.phase {
	case starved:
		return "starved"
	case crowded:
		return "crowd"
	case guilty:
		if w.ticket != 0 {
			return "brake"
		}
	case excused:
		switch {
		case l.Frozen:
			return "frozen"
		case l.InLog && !l.Traced && l.State != 't':
			return "log"
		}
		return "traced"
	}
	return "late"
}
