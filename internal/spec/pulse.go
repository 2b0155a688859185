package spec

import "time"

// The bounds of spans of time in which a sign of life is awaited. Shorter ones than the least are lost in the scheduling of
// any machine; the longest leaves room for ten times of it in a Duration.
const (
	leastSpan   = 10 * time.Millisecond
	longestSpan = 365 * 24 * time.Hour
)

// A pulseDraft is the pulse of a service while it is read. Its Limit is 0 until it is known that there is one.
type pulseDraft struct {
	Pulse
	wrong     bool  // a limit was written that is none
	table     *slot // a table in the service itself, not in [defaults]
	limitMax  *slot // where it was written; nil: by default
	extendMax *slot
}

func newPulseDraft() pulseDraft { return pulseDraft{Pulse: Pulse{Lost: LostMark, Slots: 31}} }

// finish returns the pulse, nil if there is none.
func (p *pulseDraft) finish(errs *problems) *Pulse {
	if p.Limit == 0 {
		if v := p.table; v != nil && !p.wrong {
			errs.add(v.node.at, `add limit = "30s"`, "key %q: no limit", v.Path)
		}
		return nil
	}
	out := p.Pulse
	if p.limitMax == nil {
		out.LimitMax = 10 * out.Limit
	} else if out.LimitMax < out.Limit {
		errs.add(p.limitMax.node.at, "raise it, or lower pulse.limit", "key %q: %s is less than the limit, %s", p.limitMax.Path,
			formatDuration(out.LimitMax), formatDuration(out.Limit))
	}
	if p.extendMax == nil {
		out.ExtendMax = 10 * out.Limit
	}
	return &out
}

func (d *draft) setPulse(v slot) {
	limit, ok := v.optionalSpan()
	if d.pulse.wrong = !ok; ok {
		d.pulse.Limit = limit
	}
}

// openPulse notes that a table was written. Those of [defaults] need no limit: it may stand in each service.
func (d *draft) openPulse(v slot) {
	if v.problems != nil {
		d.pulse.table = &v
	}
}

func (d *draft) setHangDump(v slot) {
	if v.node.kind == stringKind && v.node.text == "" {
		d.Hang.Dump = 0
		return
	}
	s, ok := v.signal()
	switch {
	case !ok:
	case s == sigKILL || s == sigSTOP:
		v.complain("%q leaves a process no time to write anything", s.String())
	default:
		d.Hang.Dump = s
	}
}

// pulseKey is a key that a service without a pulse has not.
func pulseKey(k serviceKey, get func(*Pulse) any) serviceKey {
	k.get = func(s *Service) any {
		if s.Pulse == nil {
			return nil
		}
		return get(s.Pulse)
	}
	return k
}

// shownSpan is what get returns of a span that may be 0: not set.
func shownSpan(d time.Duration) any {
	if d == 0 {
		return nil
	}
	return formatDuration(d)
}

// hangKeys say what it means to hang, and what is done then. A change applies to the processes there are, except for
// what their page is made with.
var hangKeys = []serviceKey{
	{
		Key: Key{Path: "pulse", Type: "duration or table",
			Doc: `The longest time between two heartbeats, 10ms at least; "": none are awaited.`},
		example: `"30s"`,
		also:    []string{"watchdog", "watchdog_sec", "heartbeat"},
		set:     (*draft).setPulse,
		open:    (*draft).openPulse,
	},
	pulseKey(serviceKey{
		Key:     Key{Path: "pulse.limit", Type: "duration", Doc: "The longest time between two heartbeats, 10ms at least. A shorter one counts from the next start on."},
		example: `"30s"`,
		set:     (*draft).setPulse,
	}, func(p *Pulse) any { return formatDuration(p.Limit) }),
	pulseKey(serviceKey{
		Key: Key{Path: "pulse.required", Type: "boolean", Default: "false",
			Doc: "Without a live pulse at the end of start_timeout it hangs."},
		example: "true",
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.pulse.Required, v.boolean) },
	}, func(p *Pulse) any { return p.Required }),
	pulseKey(serviceKey{
		Key: Key{Path: "pulse.progress", Type: "duration",
			Doc: "The longest time that the progress of a busy pulse may stand still; by default it may."},
		example: `"2m"`,
		set:     func(d *draft, v slot) { assign(&d.pulse.Progress, v.optionalSpan) },
	}, func(p *Pulse) any { return shownSpan(p.Progress) }),
	pulseKey(serviceKey{
		Key: Key{Path: "pulse.limit_max", Type: "duration",
			Doc: "The longest limit that a pulse may set for itself. Default: ten times the limit."},
		example: `"5m"`,
		set: func(d *draft, v slot) {
			d.pulse.limitMax = &v
			assign(&d.pulse.LimitMax, func() (time.Duration, bool) { return v.span(leastSpan) })
		},
	}, func(p *Pulse) any { return formatDuration(p.LimitMax) }),
	pulseKey(serviceKey{
		Key: Key{Path: "pulse.extend_max", Type: "duration",
			Doc: "The longest time for which a pulse may announce a silence; 0s: none. Default: ten times the limit."},
		example: `"5m"`,
		set: func(d *draft, v slot) {
			d.pulse.extendMax = &v
			assign(&d.pulse.ExtendMax, func() (time.Duration, bool) { return v.span(0) })
		},
	}, func(p *Pulse) any { return formatDuration(p.ExtendMax) }),
	pulseKey(serviceKey{
		Key:     Key{Path: "pulse.pause_max", Type: "duration", Doc: "The longest pause of a pulse. By default a pause may last."},
		example: `"1h"`,
		set:     func(d *draft, v slot) { assign(&d.pulse.PauseMax, v.optionalSpan) },
	}, func(p *Pulse) any { return shownSpan(p.PauseMax) }),
	pulseKey(serviceKey{
		Key: Key{Path: "pulse.lost", Type: `"mark" or "restart"`, Default: `"mark"`,
			Doc: "What is done when a thread ended and left its pulse behind: it is shown, or the service is restarted."},
		example: `"mark"`,
		set: func(d *draft, v slot) {
			assign(&d.pulse.Lost, func() (LostSlot, bool) { return choice(v, LostMark, LostRestart) })
		},
	}, func(p *Pulse) any { return string(p.Lost) }),
	pulseKey(serviceKey{
		Key:     Key{Path: "pulse.slots", Type: "integer", Default: "31", Doc: "How many pulses there can be at a time, 1 to 4096."},
		example: "31",
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.pulse.Slots, func() (int, bool) { return v.integer(1, 4096) }) },
	}, func(p *Pulse) any { return p.Slots }),
	checkKey,
	{
		Key:     Key{Path: "silence", Type: "duration", Doc: `No output for this long is a hang; "": it is not.`},
		example: `"5m"`,
		set:     func(d *draft, v slot) { assign(&d.Silence, v.optionalSpan) },
		get:     func(s *Service) any { return shownSpan(s.Silence) },
	},
	{
		Key: Key{Path: "hang.dump", Type: "signal",
			Doc: `A signal that makes it write down where it stands, sent before it is stopped for a hang; "": none.`},
		example: `"QUIT"`,
		set:     (*draft).setHangDump,
		get: func(s *Service) any {
			if s.Hang.Dump == 0 {
				return nil
			}
			return s.Hang.Dump.String()
		},
	},
	durationKey("hang.dump_wait", "How long it has for that.", `"1s"`, func(s *Service) *time.Duration { return &s.Hang.DumpWait }),
	{
		Key: Key{Path: "fd_store", Type: "integer",
			Doc: "How many descriptors it may store with stay by sd_notify (FDSTORE=1), 0 to 64; its next process gets them."},
		example: "8",
		also:    []string{"file_descriptor_store_max", "fdstore"},
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.FDStore, func() (int, bool) { return v.integer(0, 64) }) },
		get:     func(s *Service) any { return s.FDStore },
	},
}
