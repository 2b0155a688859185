package capture

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Line is one line of output.
type Line struct {
	Name string
	Time time.Time // zero for a raw line
	Text string    // without the newline
	Pos  Position  // where it ends; only Past and Follow know, and not of lines of their own
}

// Tail returns the last n lines of name, of rotated files too, oldest first; n < 0 asks for all. The last one may be
// unfinished. A name without a file has no lines. What is held in memory is those lines and one block.
func (s *Store) Tail(name string, n int) ([]Line, error) { return s.dir.tail(name, n) }

// Tail is Store.Tail for when there is no daemon; it needs nothing but the right to read.
func Tail(dir, name string, n int) ([]Line, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open log directory %q: %w", dir, err)
	}
	defer d.close()
	return d.tail(name, n)
}

// Names returns the names that have a log in dir, sorted.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read log directory %q: %w", dir, cause(err))
	}
	var names []string
	for _, e := range entries {
		file := e.Name()
		if name := strings.TrimSuffix(strings.TrimPrefix(file, "."), ".home"); file == homeFile(name) && validName(name) && e.Type().IsRegular() {
			names = append(names, name)
			continue
		}
		for _, form := range forms[1:] {
			file = strings.TrimSuffix(file, form)
		}
		old := file != e.Name()
		if i := strings.LastIndexByte(file, '.'); i >= 0 {
			if n, err := strconv.Atoi(file[i+1:]); err == nil && n > 0 {
				file, old = file[:i], false
			}
		}
		if old { // compressed, and no old file
			continue
		}
		name, isLog := strings.CutSuffix(file, ".log")
		if isLog && validName(name) && e.Type().IsRegular() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (d *dir) tail(name string, n int) ([]Line, error) {
	if !validName(name) {
		return nil, fmt.Errorf("read log of %q: no name of a service", name)
	}
	at, leave, err := d.visit(name)
	if err != nil {
		return nil, fmt.Errorf("read log of %q: %w", name, err)
	}
	defer leave()
	h := history{dir: at.dir, name: at.name, index: -1, block: make([]byte, pageSize)}
	defer h.close()
	if err := h.reach(n); err != nil {
		return nil, fmt.Errorf("read log of %q: %w", name, err)
	}
	var lines []Line
	_, err = h.replay(true, func(b []byte) error {
		lines = append(lines, parseLine(name, b))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read log of %q: %w", name, err)
	}
	if n >= 0 && len(lines) > n { // a line of others, longer than a block, came in pieces
		lines = lines[len(lines)-n:]
	}
	return lines, nil
}

// A history is the files of a name from the youngest back, as far as they were asked for. They are held open, so that
// rotation cannot take them away, and the last one is how the next is found: rotation may move it at any time.
type history struct {
	dir   *dir
	name  string
	block []byte
	files []piece // youngest first
	index int     // the number of the last of files when it was found; without files: one less than where to begin
}

// A piece is the part of a file that is wanted.
type piece struct {
	src        *logFile
	start, end int64 // a negative end is that of the file
}

// begin makes src, up to end, the youngest file.
func (h *history) begin(src *logFile, end int64) { h.files = []piece{{src: src, start: end, end: end}} }

// findEnd finds out where the file ends, if that is wanted: reading of a compressed one is no small thing.
func (p *piece) findEnd() (err error) {
	if p.end < 0 {
		p.end, err = p.src.end()
	}
	return err
}

// reach opens files and finds the last n lines in them.
func (h *history) reach(n int) (err error) {
	if len(h.files) == 0 {
		if more, err := h.older(); err != nil || !more {
			return err
		}
	}
	for {
		p := &h.files[len(h.files)-1]
		if err := p.findEnd(); err != nil {
			return err
		}
		if p.start, n, err = p.src.lastLines(p.end, n, h.block[:readBlock]); err != nil || n == 0 {
			return err
		}
		if more, err := h.older(); err != nil || !more {
			return err
		}
	}
}

// holesAllowed is how many numbers may be missing in a row: one is what a kill in the middle of a rotation leaves.
const holesAllowed = 1

// older opens the next older file. It is the right one if the file before still has its number afterwards.
func (h *history) older() (bool, error) {
	for {
		src, index, err := h.next()
		if err != nil {
			return false, err
		}
		if len(h.files) == 0 || h.at(h.index) {
			if src == nil {
				return false, nil
			}
			h.files = append(h.files, piece{src: src, end: -1})
			h.index = index
			return true, nil
		}
		if src != nil {
			src.close()
		}
		if !h.find() {
			return false, nil // it was the oldest, and is deleted by now
		}
	}
}

// next opens the file after index; nil if there is none.
func (h *history) next() (*logFile, int, error) {
	for i := h.index + 1; i <= h.index+1+holesAllowed; i++ {
		src, err := h.dir.logFile(h.name, i)
		if !isGone(err) {
			return src, i, err
		}
	}
	return nil, 0, nil
}

// at says whether the last file has that number.
func (h *history) at(index int) bool {
	mine, err := h.files[len(h.files)-1].src.ident()
	return err == nil && h.dir.has(mine, h.name, index)
}

// find looks for the number that the last file has by now.
func (h *history) find() bool {
	for i, holes := h.index+1, 0; holes <= holesAllowed; i++ {
		if h.at(i) {
			h.index = i
			return true
		}
		if h.dir.formsAt(h.name, i) == 0 {
			holes++
		} else {
			holes = 0
		}
	}
	return false
}

// replay calls line with what reach found, oldest first, and returns how far it came in the youngest file. final says
// that an unfinished line at the very end is to be told too.
func (h *history) replay(final bool, line func([]byte) error) (next int64, err error) {
	for i, p := range slices.Backward(h.files) {
		if err := p.findEnd(); err != nil {
			return 0, err
		}
		next, err = scan(p.src, p.start, p.end, i > 0 || final, h.block, line)
		if err != nil && err != errShort {
			return next, err
		}
		if why := p.src.damage(); why != nil {
			if err := line([]byte(gapText + why.Error())); err != nil {
				return next, err
			}
		}
	}
	return next, nil
}

// close gives the files back.
func (h *history) close() {
	for _, p := range h.files {
		p.src.close()
	}
	h.files = nil
}
