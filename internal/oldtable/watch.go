package oldtable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/sysv"
)

// Options are what Watch needs. Functions are called from goroutines of Watch, Show and Say from one at a time.
type Options struct {
	Shm   sysv.Key                                            // of the table
	Sem   sysv.Key                                            // of the semaphore around it; 0: there is none
	Kill  bool                                                // clear the entries of the dead, and end the late; else only look
	Clock func() (mono time.Duration, wall time.Time)         // nil: the machine's
	Owner func(pid int) (name string, gen uint64, owned bool) // whose a process is; who is owned is not ended here; nil: nobody's
	Show  func(Shown)                                         // what was seen, after each look: once a second or more often; nil: nobody wants to know
	Say   func(text string)                                   // what is worth an event; nil: nobody wants to know
	Obey  time.Duration                                       // from SIGTERM to SIGKILL; 0: 5 s
}

// Shown is what was seen at one look. Nobody changes it afterwards.
type Shown struct {
	Missing string // why there is no table; "" if there is one
	Rows    []Row
}

// again is how long Watch waits until it looks for a table that is not there.
const again = 2 * time.Second

// atOnce is how many processes are looked at at the same time.
const atOnce = 16

// Watch guards a table until ctx ends. Where there is none it waits for one; when it was removed it waits for the next.
func Watch(ctx context.Context, o Options) {
	o.fill()
	for said := ""; ctx.Err() == nil; {
		t, err := Open(o.Shm, o.Sem)
		text := "it was removed"
		switch {
		case err == nil:
			newSession(o, t).run(ctx)
		case errors.Is(err, fs.ErrNotExist):
			text = "no program has made it yet"
		default:
			if text = err.Error(); text != said {
				o.Say(fmt.Sprintf("table %s: %s", o.Shm, text))
			}
		}
		said = text
		o.Show(Shown{Missing: text})
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

func (o *Options) fill() {
	if o.Clock == nil {
		o.Clock = clocks
	}
	if o.Show == nil {
		o.Show = func(Shown) {}
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Obey == 0 {
		o.Obey = obey
	}
}

// clocks reads the machine's.
func clocks() (time.Duration, time.Time) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, time.Now()
	}
	return time.Duration(ts.Nano()), time.Now()
}

// A session is the time in which one table is attached. Its loop owns table and guard.
type session struct {
	o       Options
	t       *Table
	g       Guard
	ender   ender
	calls   chan func() // from the goroutines that look at processes and end them
	looking chan struct{}
	edge    sync.WaitGroup
	trouble string
	brief   brevity        // of what anybody who may write the table can have said
	told    map[int]string // what was said of entries that cannot be cleared
	owned   map[int]bool   // entries whose process belonged to somebody at the last look
}

func newSession(o Options, t *Table) *session {
	s := &session{o: o, t: t, g: Guard{Kill: o.Kill}, calls: make(chan func()), looking: make(chan struct{}, atOnce), told: map[int]string{}, owned: map[int]bool{}}
	s.ender = ender{
		prover: prover{key: o.Shm, memory: t.memory, owner: o.Owner, wall: func() time.Time { _, w := o.Clock(); return w }},
		obey:   o.Obey,
	}
	return s
}

// run looks at the table until it is removed, or ctx ends.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.ender.again = func(e Entry) (same bool) { s.call(ctx, func() { same = s.t.Again(e) }); return same }
	s.ender.clear = func(ctx context.Context, e Entry, dead func() bool) (cleared bool, err error) {
		s.call(ctx, func() { cleared, err = s.t.Clear(ctx, e, dead) })
		return cleared, err
	}
	s.ender.say = func(e Entry, text string) { s.call(ctx, func() { s.say(e, text) }) }
	timer := time.NewTimer(0)
	for ctx.Err() == nil && s.t.Current() {
		next := s.look(ctx)
		now, _ := s.o.Clock()
		timer.Reset(max(0, next-now))
		select {
		case <-ctx.Done():
		case f := <-s.calls:
			f()
			s.drain()
		case <-timer.C:
		}
	}
	timer.Stop()
	cancel()
	s.edge.Wait()
	_ = s.t.Close() // it cannot but be there
}

// drain carries out what else was asked for meanwhile, so that many answers are one look.
func (s *session) drain() {
	for {
		select {
		case f := <-s.calls:
			f()
		default:
			return
		}
	}
}

// call has the loop run f, and waits until it did; when ctx ends it may not have.
func (s *session) call(ctx context.Context, f func()) {
	done := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(done) }:
		<-done
	case <-ctx.Done():
	}
}

// look reads the table once, and has done what the guard decides. It returns when to look again.
func (s *session) look(ctx context.Context) time.Duration {
	entries := s.t.Read(ctx)
	s.tell(s.t.Trouble())
	sights := make([]Sight, len(entries))
	for i, e := range entries {
		sights[i] = Sight{Entry: e, Alive: e.odd() == "" && exists(e.Pid)}
		if s.owned[e.Index] {
			st, _ := statOf(e.Pid) // 0 if it has just gone
			sights[i].Start = st.start
		}
	}
	now, wall := s.o.Clock()
	do, rows, next := s.g.Look(now, wall, sights)
	for _, d := range do {
		s.carryOut(ctx, d)
	}
	clear(s.owned)
	for _, r := range rows {
		if r.Who.Owner != "" {
			s.owned[r.Entry.Index] = true
		}
	}
	s.o.Show(Shown{Rows: rows})
	return next
}

func (s *session) carryOut(ctx context.Context, d Do) {
	switch d.Act {
	case Clear:
		s.clearDead(ctx, d.Entry)
	case Leave:
		s.mention(d.Entry, "did not beat for "+d.Entry.Timeout.String()+", and is left alone: "+d.Who.Why)
	case Identify:
		s.edge.Go(func() {
			who := s.slowly(ctx, func() Identity { return s.ender.identify(d.Entry) })
			s.call(ctx, func() {
				now, _ := s.o.Clock()
				s.g.Identified(now, d.Entry, who)
			})
		})
	case End, Excuse:
		s.edge.Go(func() {
			result, who := Excused, Identity{}
			if d.Act == End {
				result, who = s.ender.end(ctx, d.Entry, *d.Who)
			} else if !traced(d.Entry.Pid) {
				result = Freed
			}
			s.call(ctx, func() {
				now, _ := s.o.Clock()
				s.g.Ended(now, d.Entry, result, who)
			})
		})
	}
}

// slowly looks at a process when it is its turn.
func (s *session) slowly(ctx context.Context, look func() Identity) Identity {
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
		return look()
	case <-ctx.Done():
		return Identity{Why: ctx.Err().Error(), Again: true}
	}
}

// clearDead clears the entry of a process that has gone, on the loop.
func (s *session) clearDead(ctx context.Context, e Entry) {
	cleared, err := s.t.Clear(ctx, e, func() bool { return !exists(e.Pid) })
	text := ""
	switch {
	case err != nil:
		text = "its process has gone, and its entry cannot be cleared: " + err.Error()
	case cleared:
		text = "its process has gone: its entry is cleared"
	}
	if text != "" && s.told[e.Index] != text {
		s.mention(e, text)
	}
	if s.told[e.Index] = text; err == nil {
		delete(s.told, e.Index)
	}
}

func (s *session) say(e Entry, text string) {
	s.o.Say(fmt.Sprintf("table %s, entry %d, %q, process %d: %s", s.o.Shm, e.Index, e.Name, e.Pid, text))
}

// mention says something of an entry, unless too much was said.
func (s *session) mention(e Entry, text string) {
	if s.mayMention() {
		s.say(e, text)
	}
}

func (s *session) mayMention() bool {
	now, _ := s.o.Clock()
	may, last := s.brief.more(now)
	if last {
		s.o.Say(fmt.Sprintf("table %s: so much is wrong with it that no more is told for a minute", s.o.Shm))
	}
	return may
}

// tell says what is wrong with the table as a whole, once.
func (s *session) tell(trouble string) {
	if trouble != s.trouble && trouble != "" && s.mayMention() {
		s.o.Say(fmt.Sprintf("table %s: %s; it is read and changed without", s.o.Shm, trouble))
	}
	s.trouble = trouble
}
