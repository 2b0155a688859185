package capture

import (
	"context"
	"errors"
	"sync"
)

// gapText stands where a follower could not read what was written.
const gapText = "— stay: lines are missing here: "

var (
	errMoving = errors.New("the files are being rotated")
	errLost   = errors.New("the file was deleted before it could be read")
)

// Follow calls emit with the lines of the past that q chooses, merged by time, then with each new line that fits, in the order of
// each name's log, also of names that appear later: names is asked again after Changed and when a stream starts. A
// name whose stream started while Follow was under way is followed from there. An unfinished line is told when it is
// finished or its process's output is at its end. Follow returns what emit returned, or ctx's error, or nil after Close when
// all that was written before is told. emit may take as long as it likes.
func (s *Store) Follow(ctx context.Context, names func() []string, q Query, emit func(Line) error) error {
	f := &follower{
		store: s, q: q, emit: emit, bell: make(chan struct{}, 1), block: make([]byte, pageSize),
		changed: true, first: true, starts: map[string]start{}, cursors: map[string]*cursor{},
	}
	s.mu.Lock()
	s.followers[f] = true
	s.mu.Unlock()
	defer f.leave()
	for {
		var last bool
		select {
		case <-s.closed:
			last = true
		default:
		}
		if err := f.pass(ctx, names); err != nil || last {
			return err
		}
		select {
		case <-f.bell:
		case <-s.closed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A follower is one call of Follow.
type follower struct {
	store *Store
	q     Query
	emit  func(Line) error
	bell  chan struct{} // one token: there may be something new

	mu      sync.Mutex // leaf
	gone    bool
	changed bool
	starts  map[string]start // of names that are not followed

	// Owned by Follow's goroutine.
	block   []byte
	first   bool // the names are asked for the first time
	order   []*cursor
	cursors map[string]*cursor
}

// A start is where a stream began to write. The sink is held: the numbers of a place mean nothing in another.
type start struct {
	sink *sink
	at   place
}

func (f *follower) wake() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

func (f *follower) change() {
	f.mu.Lock()
	f.changed = true
	f.mu.Unlock()
	f.wake()
}

// started remembers the first place of a stream for when its name is followed.
func (f *follower) started(k *sink, at place) {
	if _, err := f.store.hold(k.name); err != nil {
		return // closed
	}
	f.mu.Lock()
	_, known := f.starts[k.name]
	keep := !known && !f.gone
	if keep {
		f.starts[k.name] = start{k, at}
	}
	f.changed = true
	f.mu.Unlock()
	if !keep {
		f.store.release(k)
	}
	f.wake()
}

// forget drops the starts of names that need none any more.
func (f *follower) forget(unneeded func(name string) bool) {
	var drop []*sink
	f.mu.Lock()
	for name, from := range f.starts {
		if unneeded(name) {
			drop = append(drop, from.sink)
			delete(f.starts, name)
		}
	}
	f.mu.Unlock()
	for _, k := range drop {
		f.store.release(k)
	}
}

// pass looks once at every name.
func (f *follower) pass(ctx context.Context, names func() []string) error {
	f.mu.Lock()
	changed := f.changed
	f.changed = false
	f.mu.Unlock()
	if changed {
		if err := f.refresh(ctx, names()); err != nil {
			return err
		}
	}
	for _, c := range f.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.drain(c); err != nil {
			return err
		}
	}
	f.economize()
	return nil
}

// refresh begins to follow what is new in names and stops following what is no longer there.
func (f *follower) refresh(ctx context.Context, names []string) error {
	wanted := make(map[string]bool, len(names))
	var order []*cursor
	var list []*past
	defer func() {
		for _, p := range list {
			p.close()
		}
	}()
	for _, name := range names {
		if wanted[name] {
			continue
		}
		wanted[name] = true
		c := f.cursors[name]
		if c == nil {
			var err error
			var p *past
			c, p, err = f.begin(ctx, name)
			if p != nil {
				list = append(list, p)
			}
			if err != nil {
				return err
			}
		}
		if c != nil {
			order = append(order, c)
		}
	}
	if err := merge(ctx, list, f.emit); err != nil {
		return err
	}
	for name, c := range f.cursors {
		if !wanted[name] {
			if err := f.drain(c); err != nil {
				return err
			}
			f.drop(c)
		}
	}
	f.order, f.first = order, false
	f.forget(func(name string) bool { return wanted[name] })
	return nil
}

// begin follows one more name: from where its stream started, or with lines of its past first.
func (f *follower) begin(ctx context.Context, name string) (*cursor, *past, error) {
	k, err := f.store.hold(name)
	if err != nil {
		return nil, nil, nil // closed: Follow is about to end
	}
	c := &cursor{sink: k, choice: chooser{q: &f.q, time: f.store.now()}}
	f.cursors[name] = c
	at := k.attach(f)
	f.mu.Lock()
	from, started := f.starts[name]
	f.mu.Unlock()
	if started && !f.first {
		c.number, c.off = from.at.number, from.at.end
		return c, nil, nil
	}
	p, err := f.beginWithPast(ctx, c, at)
	return c, p, err
}

// beginWithPast waits while the files of a name change their names.
func (f *follower) beginWithPast(ctx context.Context, c *cursor, at place) (*past, error) {
	defer f.wake() // the token taken here may have been about something else
	for {
		p, err := f.past(c, at)
		if err == nil {
			return p, nil
		}
		if p != nil {
			p.close()
		}
		if err != errMoving {
			return nil, f.gap(c, err)
		}
		if at = c.sink.place(); !at.rotating {
			continue
		}
		select {
		case <-f.bell: // the end of the rotation rings
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// past finds the lines before at that are wanted, and leaves c there, or at the beginning of the line that is unfinished there.
func (f *follower) past(c *cursor, at place) (*past, error) {
	c.number, c.off, c.newline = at.number, at.end, true
	_, goesOn := f.q.After[c.sink.name]
	if f.q.N == 0 && !at.partial && !goesOn {
		return nil, nil
	}
	p := &past{name: c.sink.name, h: history{dir: at.home.dir, name: at.home.name, block: f.block}}
	file, err := c.sink.reader(at.number)
	switch {
	case err == nil:
		end := at.end
		if at.partial {
			if end, err = wholeLines(file, end, f.block[:readBlock]); err != nil {
				end = at.end
			}
		}
		p.h.begin(file, end)
		c.off = end
	case err != errLost:
		return p, err
	}
	if err := p.choose(&f.q); err != nil {
		return p, err
	}
	if file == nil && c.sink.place().number != at.number {
		return p, errMoving // what was found may be newer than what is followed
	}
	return p, nil
}

// gap tells that something could not be read.
func (f *follower) gap(c *cursor, why error) error {
	return f.emit(Line{Name: c.sink.name, Time: f.store.now(), Text: gapText + why.Error()})
}

// drop ends following one name.
func (f *follower) drop(c *cursor) {
	c.shut()
	c.sink.detach(f)
	f.store.release(c.sink)
	delete(f.cursors, c.sink.name)
}

// leave gives back all there is.
func (f *follower) leave() {
	f.store.mu.Lock()
	delete(f.store.followers, f)
	f.store.mu.Unlock()
	f.mu.Lock()
	f.gone = true
	f.mu.Unlock()
	f.forget(func(string) bool { return true })
	for _, c := range f.cursors {
		f.drop(c)
	}
}

// attach lets f be woken by what is written after the place it returns.
func (k *sink) attach(f *follower) place {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bells = append(append([]*follower(nil), k.bells...), f)
	return k.state
}

func (k *sink) detach(f *follower) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var rest []*follower
	for _, g := range k.bells {
		if g != f {
			rest = append(rest, g)
		}
	}
	k.bells = rest
}
