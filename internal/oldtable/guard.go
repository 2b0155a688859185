package oldtable

import (
	"math"
	"time"
)

// A Guard decides what is to be done about the entries of one table. It knows no clock and touches nothing: times and what
// was seen come in, what is to be done comes out. Moments are CLOCK_MONOTONIC, since boot.
type Guard struct {
	Kill bool // else nothing is done but looking

	marks   map[int]*mark
	looked  time.Duration // when the last look was; 0: never
	planned time.Duration // when the next one should be
	offset  time.Duration // of the wall clock to the monotonic one
}

// A mark is what is remembered of one entry.
type mark struct {
	entry   Entry
	seen    time.Duration // when the time in it was first what it is
	beat    time.Duration // its last: as late as it can have been
	from    time.Duration // since when silence counts: beat, less stalls and excuses
	beats   uint64
	who     *Identity     // nil: not known yet
	asked   bool          // somebody looks at the process, or ends it
	again   time.Duration // not to be asked before
	excused bool
	left    bool // it was said why nothing is done
	late    int
	why     string
}

// A Sight is one entry, and whether a process has its pid.
type Sight struct {
	Entry
	Alive bool
	Start uint64 // of that process; 0: not looked at, which is enough where nobody owns it
}

// An Identity is the process that an entry is about.
type Identity struct {
	Start uint64 // start time, in ticks since boot
	Owner string // whose it is, "" if nobody's
	Gen   uint64 // the owner's
	Why   string // why it may not be touched, "" if it may
	Again bool   // that was no answer: ask again
}

// An Act is a kind of thing to be done.
type Act uint8

// The acts.
const (
	Identify Act = iota // see whose process it is, then call Identified
	Clear               // its process is dead: clear the entry
	End                 // it is late: look at it, end it, clear the entry; then call Ended
	Excuse              // see whether it is still excused, then call Ended
	Leave               // it is late and may not be touched, for Who.Why: nothing but to say so
)

// A Do is one thing to be done.
type Do struct {
	Act   Act
	Entry Entry
	Who   *Identity // nil for Identify, and where it is not known
}

// A Row is one entry as it is shown.
type Row struct {
	Entry Entry
	Beat  time.Duration
	Beats uint64 // seen
	Late  int    // how often it was late and beat again before anything was done
	Alive bool
	Who   Identity // zero where it is not known
	Why   string   // why nothing is done about it, "" if it is well
}

const (
	each       = time.Second            // the longest time between two looks
	lateness   = 20 * time.Millisecond  // how late a look may be before it is called a stall
	steadily   = 250 * time.Millisecond // how much the clocks may move against each other between two looks
	second     = time.Second            // the grain of the time in an entry
	standstill = 250 * time.Millisecond // a stall that others on this machine may have had too
	aMoment    = time.Second            // what is left to everybody after a standstill
)

// Look takes what stands in the table at now, and returns what is to be done, all rows, and when to look again.
func (g *Guard) Look(now time.Duration, wall time.Time, sights []Sight) (do []Do, rows []Row, next time.Duration) {
	stall := g.stall(now)
	offset := time.Duration(wall.UnixNano()) - now
	jumped := g.looked != 0 && (offset-g.offset).Abs() > steadily
	was := g.marks
	g.marks, next = make(map[int]*mark, len(sights)), now+each
	rows = make([]Row, 0, len(sights))
	for _, s := range sights {
		m := was[s.Index]
		if m == nil || m.entry.Pid != s.Pid {
			m = &mark{seen: now, beat: now, from: now}
		} else {
			g.renew(m, s.Entry, now, wall, stall, jumped)
		}
		if !s.Alive || s.Start != 0 && m.who != nil && m.who.Start != s.Start {
			m.who = nil
		}
		m.entry = s.Entry
		g.marks[s.Index] = m
		if d, ok := g.decide(m, s.Alive, now); ok {
			do = append(do, d)
		}
		if limit := m.from + s.Timeout; s.Timeout > 0 && limit > now {
			next = min(next, limit)
		}
		rows = append(rows, m.row(s.Alive))
	}
	g.looked, g.planned, g.offset = now, next, offset
	return do, rows, next
}

// stall is how much of the time since the last look does not count: how late this look is, or all
// of it after a standstill.
func (g *Guard) stall(now time.Duration) time.Duration {
	late := now - g.planned
	switch {
	case g.looked == 0 || late <= lateness:
		return 0
	case late <= standstill:
		return late
	}
	return now - g.looked
}

// renew goes on with an entry that was there before.
func (g *Guard) renew(m *mark, e Entry, now time.Duration, wall time.Time, stall time.Duration, jumped bool) {
	changed := e.Atime != m.entry.Atime
	if m.from += stall; stall > standstill { // who did not run either has a moment to beat
		m.from = max(m.from, now-e.Timeout+aMoment)
	}
	m.from = min(m.from, now)
	if changed {
		m.beats++
		m.seen = now
		m.why, m.left = "", false
		if m.who != nil && m.who.Why != "" { // who beats lives: it may be somebody else by now
			m.who = nil
		}
	}
	switch {
	case jumped:
		m.seen, m.beat, m.from = now, now, now
	case changed:
		m.beat = now
		if end := endOf(e, now, wall); end < now {
			m.beat = max(end, g.looked) // then it had not changed yet
		}
	default: // in the same second it may have beaten again
		m.beat = max(m.beat, min(endOf(e, now, wall), m.seen+second, now))
	}
	m.from = max(m.from, m.beat)
}

// endOf is the end of the second that stands in an entry, on the monotonic clock: nothing in it says that it is not older.
func endOf(e Entry, now time.Duration, wall time.Time) time.Duration {
	ago := wall.Sub(time.Unix(e.Atime, 0).Add(second)) // at most 292 years, whatever stands there
	if ago < 0 && now-ago < 0 {
		return math.MaxInt64
	}
	return now - ago
}

// decide says what is to be done about one entry.
func (g *Guard) decide(m *mark, alive bool, now time.Duration) (Do, bool) {
	if why := m.entry.odd(); why != "" {
		m.why = why
		return Do{}, false
	}
	late := m.entry.Timeout > 0 && now-m.from >= m.entry.Timeout
	d := Do{Entry: m.entry, Who: m.who}
	switch {
	case m.asked || now < m.again:
		return Do{}, false
	case !alive:
		m.why = "its process has gone"
		d.Act = Clear
		return d, g.Kill
	case m.who == nil:
		d.Act, m.asked = Identify, true
		return d, true
	case m.who.Why != "":
		d.Act, m.why = Leave, ""
		if !late {
			return Do{}, false
		}
		said := m.left
		m.left, m.why = true, m.who.Why
		return d, g.Kill && !said
	case m.who.Owner != "" || !g.Kill:
		return Do{}, false
	case m.excused:
		d.Act, m.asked = Excuse, true
		return d, true
	case late:
		d.Act, m.asked = End, true
		return d, true
	}
	return Do{}, false
}

func (m *mark) row(alive bool) Row {
	r := Row{Entry: m.entry, Beat: m.beat, Beats: m.beats, Late: m.late, Alive: alive, Why: m.why}
	if m.who != nil {
		r.Who = *m.who
	}
	return r
}

// mark finds what an answer is about; nil if the entry is somebody else's by now.
func (g *Guard) mark(e Entry) *mark {
	if m := g.marks[e.Index]; m != nil && m.entry.Pid == e.Pid {
		return m
	}
	return nil
}

// Identified takes the answer to Identify.
func (g *Guard) Identified(now time.Duration, e Entry, who Identity) {
	if m := g.mark(e); m != nil {
		m.know(now, who)
		m.asked = false
	}
}

// know takes what was found out of a process.
func (m *mark) know(now time.Duration, who Identity) {
	m.who = &who
	if who.Again {
		m.who, m.again = nil, now+each
	}
}

// A Result is how End or Excuse went.
type Result uint8

// The results.
const (
	Over    Result = iota // the process has gone, and the entry with it
	Beats                 // it beat again before the first signal
	Excused               // somebody has it on a leash: it has a full limit from when that is over
	Freed                 // nobody has any more: the full limit begins
	Other                 // it is not the process that it was, or may not be touched; Identity says why
)

// Ended takes the answer to End and Excuse; who is for Other.
func (g *Guard) Ended(now time.Duration, e Entry, r Result, who Identity) {
	m := g.mark(e)
	if m == nil {
		return
	}
	m.asked, m.again, m.why = false, 0, ""
	switch r {
	case Beats:
		m.late++
	case Excused:
		m.excused, m.from, m.again, m.why = true, now, now+each, "traced"
	case Freed:
		m.excused, m.from = false, now
	case Other:
		m.know(now, who)
	}
}
