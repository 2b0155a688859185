package capture

import "sync/atomic"

// A phase says which fields of a slot hold.
type phase uint32

const (
	settled   phase = iota // now is true of a file that ends at end. Next: writing
	writing                // a piece may be in the file in part, and is in the pipe. Next: consuming, or settled if it was cut back
	consuming              // a piece is in the file, and perhaps still in the pipe. Next: settled, or writing if it is
)

// maxCuts is how many generations of one name are remembered to be within a line besides the one that wrote last.
const maxCuts = 4

// A slot is the mark of one name: what a store needs to go on where another was killed. It has one writer, who has the
// sink's turn. A field is written only while phase says that it does not hold.
type slot struct {
	key    slotKey
	index  uint32 // of itself; 0: in no table
	phase  atomic.Uint32
	file   ident
	end    int64  // of the file, when settled
	offset int64  // where the piece begins
	length int64  // bytes of it in the file
	took   int64  // bytes of the pipe it was made of
	by     uint64 // inode of the scratch pipe that takes them

	// overtaken is how much of what is being written is in the pipe no more, whatever phase says.
	overtaken atomic.Uint32

	now  ending
	next ending // after the piece
}

// An ending is how a file ends, and which generations are within a line that does not end there.
type ending struct {
	owner uint64 // whose line the last one is, if owned
	cuts  [maxCuts]uint64
	cut   uint32 // how many
	width uint32 // bytes of text in the last line, if it is unfinished and owned
	owned bool
	mid   bool // the last line is unfinished
	lost  losses
}

// clear forgets everything but what the slot is.
func (s *slot) clear() {
	s.file, s.end, s.offset, s.length, s.took, s.by = ident{}, 0, 0, 0, 0, 0
	s.now, s.next = ending{}, ending{}
	s.overtaken.Store(0)
}

// checked clears a slot that no store can have left.
func (s *slot) checked() *slot {
	if phase(s.phase.Load()) > consuming || s.now.cut > maxCuts || s.next.cut > maxCuts || s.offset < 0 || s.length < 0 || s.end < 0 || s.took < 0 {
		s.phase.Store(uint32(settled))
		s.clear()
	}
	return s
}

// begin takes note of a piece that is about to be written after an ending that is now.
func (s *slot) begin(file ident, offset int64, length, took int, now, next ending) {
	if s.now != now || s.file != file || s.end != offset { // what it says is true of no file any more
		s.file = ident{}
		s.phase.Store(uint32(settled))
		s.now, s.end = now, offset
		s.phase.Store(uint32(settled))
		s.file = file
	}
	s.offset, s.length, s.took, s.next = offset, int64(length), int64(took), next
	s.phase.Store(uint32(writing))
}

// written takes note that the piece is in the file whole, and that p takes it out of the pipe now.
func (s *slot) written(p scratch) {
	s.by = p.ino
	s.phase.Store(uint32(consuming))
}

// settle takes note that the piece is in the file and nowhere else.
func (s *slot) settle() {
	s.now, s.end = s.next, s.offset+s.length
	s.phase.Store(uint32(settled))
}

// resolve finds out, for a store that was killed, whether the piece is out of the pipe. Where the scratch pipe is lost,
// it is taken to be, and its last line to have ended: at worst it comes twice.
func (s *slot) resolve(pipes map[uint64]int, now int64) {
	if n := s.overtaken.Swap(0); n > 0 {
		defer func() { s.now.lost.add(losses{bytes: uint64(n), from: now, to: now}) }()
	}
	if phase(s.phase.Load()) != consuming {
		return
	}
	held, known := pipes[s.by]
	switch {
	case known && held == 0 && s.took > 0:
		s.phase.Store(uint32(writing))
		return
	case !known && s.took > 0:
		s.next.disown()
	}
	s.settle()
}

// undo takes note that the piece is not in the file.
func (s *slot) undo() {
	s.end = s.offset
	s.phase.Store(uint32(settled))
}

// note takes note of an ending that came without a piece. Where a piece is under way, that says more.
func (s *slot) note(end ending) {
	if phase(s.phase.Load()) == settled {
		s.offset, s.length, s.took, s.next = s.end, 0, 0, end
		s.written(scratch{})
		s.settle()
	}
}

// isCut says whether gen is within a line that stands further up, or in another file.
func (e *ending) isCut(gen uint64) bool {
	for _, g := range e.cuts[:e.cut] {
		if g == gen {
			return true
		}
	}
	return false
}

// cutOff remembers that gen is within a line that does not go on where it stands.
func (e *ending) cutOff(gen uint64) {
	if !e.isCut(gen) && e.cut < maxCuts {
		e.cuts[e.cut] = gen
		e.cut++
	}
}

// heal forgets that gen is within a line.
func (e *ending) heal(gen uint64) {
	for i, g := range e.cuts[:e.cut] {
		if g == gen {
			e.cut--
			e.cuts[i], e.cuts[e.cut] = e.cuts[e.cut], 0
			return
		}
	}
}

// disown says that nobody continues the last line here. Whoever wrote it, and is within it, continues it elsewhere.
func (e *ending) disown() {
	if e.owned && e.mid {
		e.cutOff(e.owner)
	}
	e.owned, e.owner, e.width = false, 0, 0
}

// text is where gen stands when it goes on writing at the end of the file.
func (e *ending) text(gen uint64) text {
	if e.mid && e.owned && e.owner == gen {
		return text{open: true, width: int(e.width)}
	}
	return text{again: e.isCut(gen)}
}

// after is the ending when gen has written up to at.
func (e ending) after(gen uint64, at text) ending {
	e.heal(gen)
	e.owner, e.owned, e.mid, e.width = gen, true, at.open, uint32(at.width)
	return e
}

// A stage is a moment at which a store can be killed; tests do.
type stage int

const (
	atBegun    stage = iota // the mark says what will be written
	atInFile                // it is written
	atWritten               // the mark says so
	atConsumed              // it is out of the pipe
	atSettled               // the mark says so

	// Of compressing a file.
	atPacking  // the compressed form has begun
	atPacked   // it is complete
	atReplaced // it has its place, and the other is still there
)
