package capture

import (
	"bytes"
	"fmt"
)

// Scan calls line with each line of name, of rotated files too, oldest first, without its newline; the bytes are good until
// line returns. Files are left out that lie before the youngest one whose first line begin says may be begun with; nil
// begins with the oldest. The last line may be unfinished. A name without a file has no lines. What is held in memory is
// one block.
func (s *Store) Scan(name string, begin func(first []byte) bool, line func([]byte) error) error {
	return s.dir.scanLines(name, begin, line)
}

// Scan is Store.Scan for when there is no daemon; it needs nothing but the right to read.
func Scan(dir, name string, begin func(first []byte) bool, line func([]byte) error) error {
	d, err := openDir(dir)
	if err != nil {
		return fmt.Errorf("open log directory %q: %w", dir, err)
	}
	defer d.close()
	return d.scanLines(name, begin, line)
}

func (d *dir) scanLines(name string, begin func(first []byte) bool, line func([]byte) error) error {
	if !validName(name) {
		return fmt.Errorf("read log of %q: no name of a service", name)
	}
	at, leave, err := d.visit(name)
	if err != nil {
		return fmt.Errorf("read log of %q: %w", name, err)
	}
	defer leave()
	h := history{dir: at.dir, name: at.name, index: -1, block: make([]byte, pageSize)}
	defer h.close()
	for {
		more, err := h.older()
		if err != nil {
			return fmt.Errorf("read log of %q: %w", name, err)
		}
		if !more {
			break
		}
		p := &h.files[len(h.files)-1]
		p.start = 0
		if begin != nil && begin(firstLine(p, h.block)) {
			break
		}
	}
	_, err = h.replay(true, line)
	return err
}

// firstLine is the first line of a piece, as far as block holds it; nil if it cannot be read.
func firstLine(p *piece, block []byte) (first []byte) {
	n, _ := p.src.ReadAt(block, 0)
	first, _, _ = bytes.Cut(block[:n], newline)
	return first
}
