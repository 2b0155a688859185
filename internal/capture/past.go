package capture

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"
)

// firstRoom is the memory that reading of one name begins with; it grows to pageSize for lines that need it.
const firstRoom = 4 << 10

// Past calls emit with the lines of names that q chooses, merged by time. What is held in memory is a small block of each
// name. A name that cannot be read has a line that says so.
func (s *Store) Past(ctx context.Context, names []string, q Query, emit func(Line) error) error {
	return s.dir.past(ctx, names, &q, emit)
}

// Past is Store.Past for when there is no daemon; it needs nothing but the right to read.
func Past(ctx context.Context, dir string, names []string, q Query, emit func(Line) error) error {
	d, err := openDir(dir)
	if err != nil {
		return fmt.Errorf("open log directory %q: %w", dir, err)
	}
	defer d.close()
	return d.past(ctx, names, &q, emit)
}

func (d *dir) past(ctx context.Context, names []string, q *Query, emit func(Line) error) error {
	var list []*past
	defer func() {
		for _, p := range list {
			p.close()
		}
	}()
	block := make([]byte, pageSize)
	for _, name := range names {
		if !validName(name) {
			return fmt.Errorf("read log of %q: no name of a service", name)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		at, leave, err := d.visit(name)
		if err != nil {
			return fmt.Errorf("read log of %q: %w", name, err)
		}
		p := &past{name: name, h: history{dir: at.dir, name: at.name, index: -1, block: block}, leave: leave}
		list = append(list, p)
		if err := p.choose(q); err != nil {
			return fmt.Errorf("read log of %q: %w", name, err)
		}
	}
	return merge(ctx, list, emit)
}

// A past is the chosen lines of one name that are in files, to be had one after the other.
type past struct {
	name  string
	h     history
	leave func() // nil: nothing to be given back but the files

	choice chooser
	skip   int       // so many that fit are not wanted
	after  time.Time // no line up to then; zero: no matter

	open  bool  // the last of h.files is being read
	id    ident // its
	room  []byte
	fresh []byte // of room, what was not told
	off   int64  // where fresh ends in the file

	line  Line // the next one
	time  time.Time
	order int
}

func (p *past) close() {
	p.h.close()
	if p.leave != nil {
		p.leave()
	}
}

// choose finds where to begin.
func (p *past) choose(q *Query) error {
	p.choice.q = q
	if at, ok := q.After[p.name]; ok {
		return p.goOn(at)
	}
	if !q.narrow() {
		return p.h.reach(q.N)
	}
	return p.search(q)
}

// goOn finds a position. If it is nowhere any more, what is younger than its line is all there is to tell.
func (p *past) goOn(at Position) error {
	for more := len(p.h.files) > 0; ; {
		if more {
			f := &p.h.files[len(p.h.files)-1]
			if err := f.findEnd(); err != nil {
				return err
			}
			f.start = 0
			if at.holds(f.src) {
				f.start = min(at.off, f.end)
				p.open, p.id, p.off = true, at.file, f.start
				return p.trimNewline(f)
			}
		}
		var err error
		if more, err = p.h.older(); err != nil {
			return err
		}
		if !more {
			p.after = time.UnixMicro(at.time)
			return nil
		}
	}
}

// trimNewline passes over the newline of a line that was told before it had one.
func (p *past) trimNewline(f *piece) error {
	var around [2]byte
	if p.off == 0 || p.off >= f.end {
		return nil
	}
	if n, err := f.src.ReadAt(around[:], p.off-1); n < len(around) {
		return short(err)
	}
	if around[0] != '\n' && around[1] == '\n' {
		p.off++
	}
	return nil
}

// search goes back until there are enough lines that fit, or all that follow are too old.
func (p *past) search(q *Query) error {
	if q.N == 0 {
		return nil
	}
	found := 0
	for more := len(p.h.files) > 0; ; {
		if more {
			f := &p.h.files[len(p.h.files)-1]
			if err := f.findEnd(); err != nil {
				return err
			}
			f.start = 0
			n, old, err := p.count(f, q)
			if err != nil {
				return err
			}
			found += n
			if old || q.N > 0 && found >= q.N {
				break
			}
		}
		var err error
		if more, err = p.h.older(); err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if q.N > 0 {
		p.skip = max(0, found-q.N)
	}
	return nil
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// count returns how many lines of a file fit, if that matters, and whether files before it are too old.
func (p *past) count(f *piece, q *Query) (n int, old bool, err error) {
	choice, begun := chooser{q: q}, false
	_, err = scan(f.src, f.start, f.end, true, p.h.block, func(b []byte) error {
		l := parseLine(p.name, b)
		if !begun && !l.Time.IsZero() {
			begun, old = true, l.Time.Before(q.Since)
		}
		if choice.fits(l) {
			n++
		}
		if begun && q.N < 0 {
			return errEnough
		}
		return nil
	})
	if err == errEnough || err == errShort {
		err = nil
	}
	return n, old, err
}

// next makes line the next one, and says whether there is one.
func (p *past) next() (bool, error) {
	for len(p.h.files) > 0 {
		f := &p.h.files[len(p.h.files)-1]
		if !p.open {
			if err := p.begin(f); err != nil {
				return false, err
			}
		}
		b, ok := p.cut(f)
		if !ok {
			why := f.src.damage()
			f.src.close()
			p.h.files = p.h.files[:len(p.h.files)-1]
			p.open = false
			if why != nil {
				p.line = Line{Name: p.name, Text: gapText + why.Error()}
				return true, nil
			}
			continue
		}
		l := parseLine(p.name, b)
		l.Pos = positionOf(p.id, p.off-int64(len(p.fresh)), l)
		if !p.choice.fits(l) || !p.after.IsZero() && !l.Time.After(p.after) {
			continue
		}
		if p.skip > 0 {
			p.skip--
			continue
		}
		p.line = l
		return true, nil
	}
	return false, nil
}

// begin starts with the next younger file.
func (p *past) begin(f *piece) (err error) {
	if err = f.findEnd(); err != nil {
		return err
	}
	if p.id, err = f.src.ident(); err != nil {
		return err
	}
	if f.src.packed != nil {
		if id := originOf(f.src.f); id != (ident{}) {
			p.id = id
		}
	}
	p.open, p.off, p.fresh, p.choice.time = true, f.start, nil, time.Time{}
	return nil
}

// cut takes one line. One that does not fit a page comes in pieces, as scan has it.
func (p *past) cut(f *piece) (line []byte, ok bool) {
	seen := 0
	for {
		if i := bytes.IndexByte(p.fresh[seen:], '\n'); i >= 0 {
			line, p.fresh = p.fresh[:seen+i], p.fresh[seen+i+1:]
			return line, true
		}
		if seen = len(p.fresh); seen == pageSize || p.off == f.end {
			line, p.fresh = p.fresh, nil
			return line, len(line) > 0
		}
		if seen == len(p.room) {
			grown := make([]byte, min(max(firstRoom, 4*len(p.room)), pageSize))
			copy(grown, p.fresh)
			p.room = grown
		} else {
			copy(p.room, p.fresh)
		}
		n, _ := f.src.ReadAt(p.room[seen:min(int64(len(p.room)), int64(seen)+f.end-p.off)], p.off)
		p.fresh, p.off = p.room[:seen+n], p.off+int64(n)
		if n == 0 {
			f.end = p.off // somebody cut it, or it cannot be read
		}
	}
}

// A queue has the names by the time of their next lines.
type queue []*past

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(v any)   { *q = append(*q, v.(*past)) }

func (q queue) Less(i, j int) bool {
	if !q[i].time.Equal(q[j].time) {
		return q[i].time.Before(q[j].time)
	}
	return q[i].order < q[j].order
}

func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// merge calls emit with the lines of all, by time. The order of one name's lines stays as it is, and a line without a stamp
// follows the one before it at once.
func merge(ctx context.Context, list []*past, emit func(Line) error) error {
	var q queue
	for i, p := range list {
		p.order = i
		if p.advance() {
			q = append(q, p)
		}
	}
	heap.Init(&q)
	for len(q) > 0 {
		p := q[0]
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := emit(p.line); err != nil {
				return err
			}
			if !p.advance() {
				heap.Pop(&q)
				break
			}
			if !p.line.Time.IsZero() {
				heap.Fix(&q, 0)
				break
			}
		}
	}
	return nil
}

// advance is next with the time by which lines are merged. What cannot be read ends in a line that says so.
func (p *past) advance() bool {
	ok, err := p.next()
	if err != nil {
		p.h.close()
		p.line, ok = Line{Name: p.name, Text: gapText + err.Error()}, true
	}
	if !p.choice.time.IsZero() {
		p.time = p.choice.time
	}
	return ok
}
