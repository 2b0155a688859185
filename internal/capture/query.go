package capture

import (
	"fmt"
	"regexp"
	"time"
)

// A Query chooses lines of logs.
type Query struct {
	// N is how many of the lines that fit are wanted of each name, the last ones; negative: all.
	N int
	// Since and Until bound the time of a line; zero: no bound. Until itself is outside. A line without a stamp has the time
	// of the one before it in its file; one that has none before it has no time, and is in no bounds.
	Since, Until time.Time
	// Grep is what the text of a line must match; nil: anything does.
	Grep *regexp.Regexp
	// After are places to go on from: of these names all lines after them are wanted, whatever N says.
	After map[string]Position
}

// narrow says whether lines have to be looked at to know how many there are.
func (q *Query) narrow() bool { return q.Grep != nil || !q.Since.IsZero() || !q.Until.IsZero() }

// A chooser applies a query to the lines of one file, in order.
type chooser struct {
	q    *Query
	time time.Time // of the last line that had one
}

// fits says whether the next line is one that is wanted.
func (c *chooser) fits(l Line) bool {
	if !l.Time.IsZero() {
		c.time = l.Time
	}
	if !c.q.Since.IsZero() && (c.time.IsZero() || c.time.Before(c.q.Since)) {
		return false
	}
	if !c.q.Until.IsZero() && (c.time.IsZero() || !c.time.Before(c.q.Until)) {
		return false
	}
	return c.q.Grep == nil || c.q.Grep.MatchString(l.Text)
}

// A Position is where a line ends: a reader that was cut off goes on from there, also if the file was rotated or compressed
// meanwhile. The zero Position is none.
type Position struct {
	file ident
	off  int64
	time int64 // of the line, in µs since 1970; 0: it has none. A file that has the number of one deleted is told by it.
}

// String is the position as text; "" is none.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x", p.file.dev, p.file.ino, p.off, p.time)
}

// ParsePosition reads what String wrote.
func ParsePosition(text string) (Position, error) {
	var p Position
	n, err := fmt.Sscanf(text, "%x-%x-%x-%x", &p.file.dev, &p.file.ino, &p.off, &p.time)
	if err != nil || n != 4 || p.off < 0 || p.String() != text {
		return Position{}, fmt.Errorf("position %q: not one that stay gave", text)
	}
	return p, nil
}

// positionOf is the position of a line that ends at off.
func positionOf(file ident, off int64, l Line) Position {
	p := Position{file: file, off: off}
	if !l.Time.IsZero() {
		p.time = l.Time.UnixMicro()
	}
	return p
}

// holds says whether the position is in this file: one that has its number, or was made of it, and has the line.
func (p Position) holds(src *logFile) bool {
	id, err := src.ident()
	if err != nil || id != p.file && (src.packed == nil || originOf(src.f) != p.file) {
		return false
	}
	if p.time == 0 || p.off == 0 {
		end, err := src.end()
		return err == nil && p.off <= end
	}
	room := make([]byte, min(p.off, pageSize))
	start := p.off - int64(len(room))
	if n, _ := src.ReadAt(room, start); n < len(room) {
		return false
	}
	for i := len(room) - 2; i >= -1; i-- { // the last byte is the line's own newline
		if i < 0 && start == 0 || i >= 0 && room[i] == '\n' {
			return parseLine("", room[i+1:]).Time.UnixMicro() == p.time
		}
	}
	return false
}
