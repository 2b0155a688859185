package capture

// openCursors is how many files a follower keeps open between two passes. An open file can be read to its end after
// rotation deleted it; with more names, silent ones are opened when there is something to read.
const openCursors = 64

// A cursor is how far a follower has come with one name.
type cursor struct {
	sink    *sink
	number  uint64   // of the file
	off     int64    // the end of the last line that was told
	file    *logFile // of number; nil: not open
	newline bool     // the line before off was told unfinished: a newline at off belongs to it
	active  bool     // something was read in this pass
	id      ident    // of file
	choice  chooser
}

func (c *cursor) shut() {
	if c.file != nil {
		c.file.close()
		c.file = nil
	}
}

// goTo begins another file.
func (c *cursor) goTo(number uint64, at place) {
	c.shut()
	c.number, c.off, c.newline = number, 0, false
	if number == at.number {
		c.off = at.begin
	}
}

// drain tells everything that is new of one name.
func (f *follower) drain(c *cursor) error {
	for {
		at := c.sink.place()
		if c.number == at.number && c.off == at.end {
			return nil
		}
		if c.number+1 == at.number && c.off == at.before {
			c.goTo(at.number, at)
			continue
		}
		if c.file == nil {
			file, err := c.sink.reader(c.number)
			if err == errMoving {
				return nil // the end of the rotation wakes us
			}
			if err != nil {
				if err := f.gap(c, err); err != nil {
					return err
				}
				f.skip(c, at)
				continue
			}
			c.file = file
			c.id, _ = file.ident() // without it, a reader that is cut off goes on by time
		}
		more, err := f.read(c, at)
		if err != nil || !more {
			return err
		}
	}
}

// read tells what the open file has, and says whether there may be more.
func (f *follower) read(c *cursor, at place) (more bool, err error) {
	old := c.number < at.number
	end, final := at.end, !at.partial
	if old {
		final = true
		if end, err = c.file.end(); err != nil {
			end = 0
		}
	}
	if end < c.off {
		err = errShort
	}
	next := c.off
	if err == nil {
		next, err = f.scan(c, end, final)
	}
	if err != nil && err != errShort {
		return false, err
	}
	if next != c.off {
		c.active, c.off, more = true, next, true
	}
	switch {
	case err == errShort && !old:
		return false, nil // the writer will notice, and begin a new file for readers
	case err == errShort:
		if err := f.gap(c, err); err != nil {
			return false, err
		}
		f.skip(c, at)
		return true, nil
	case old:
		err = f.missing(c, at)
		f.skip(c, at)
		return true, err
	}
	return more, nil
}

// missing tells what is lost between the file that is read and the next.
func (f *follower) missing(c *cursor, at place) (err error) {
	if why := c.file.damage(); why != nil {
		err = f.gap(c, why)
	}
	if err == nil && at.base > c.number+1 {
		err = f.gap(c, errLost)
	}
	return err
}

// scan tells the lines from c.off to end. If the last one is unfinished, the newline that may follow is part of it.
func (f *follower) scan(c *cursor, end int64, final bool) (int64, error) {
	from := c.off
	var last [1]byte
	if c.newline && from < end {
		if _, err := c.file.ReadAt(last[:], from); err != nil {
			return from, short(err)
		}
		if last[0] == '\n' && !f.lineStart(c, from) {
			from++
		}
	}
	at := from
	next, err := scan(c.file, from, end, final, f.block, func(b []byte) error {
		l := parseLine(c.sink.name, b)
		if at += int64(len(b)); at < end && len(b) < len(f.block) {
			at++ // its newline
		}
		if !c.choice.fits(l) {
			return nil
		}
		l.Pos = positionOf(c.id, at, l)
		return f.emit(l)
	})
	c.newline = err == nil && next == end && final
	return next, err
}

// lineStart says whether a line begins at off: then a newline there is an empty line.
func (f *follower) lineStart(c *cursor, off int64) bool {
	var before [1]byte
	if off == 0 {
		return true
	}
	_, err := c.file.ReadAt(before[:], off-1)
	return err == nil && before[0] == '\n'
}

// skip goes to the next file that is still there, or past all there is.
func (f *follower) skip(c *cursor, at place) {
	if c.number == at.number {
		c.shut()
		c.off = at.end
		return
	}
	c.goTo(min(max(c.number+1, at.base), at.number), at)
}

// economize closes files of silent names if there are many.
func (f *follower) economize() {
	open := 0
	for _, c := range f.order {
		if c.file != nil {
			open++
		}
	}
	for _, c := range f.order {
		if open > openCursors && c.file != nil && !c.active {
			c.shut()
			open--
		}
		c.active = false
	}
}
