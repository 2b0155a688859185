package capture

import (
	"bytes"
	"errors"
	"io"
)

// readBlock is the size of reads that look for line ends from behind.
const readBlock = 64 << 10

// errShort says that a file ended before the place up to which it was written: somebody cut it.
var errShort = errors.New("the file became shorter")

// lastLines returns where the last n lines of the first end bytes of r begin, and how many lines are missing because
// there are fewer. A last line without its newline counts. n < 0 asks for all, and -1 are missing then.
func lastLines(r io.ReaderAt, end int64, n int, block []byte) (start int64, missing int, err error) {
	if n < 0 {
		return 0, -1, nil
	}
	if n == 0 || end == 0 {
		return end, n, nil
	}
	last := end - 1 // the end of the last line; a newline there is no beginning of another
	for pos := last; pos > 0; {
		part := block[:min(int64(len(block)), pos)]
		pos -= int64(len(part))
		if m, err := r.ReadAt(part, pos); m < len(part) {
			return 0, 0, short(err)
		}
		for i := bytes.LastIndexByte(part, '\n'); i >= 0; i = bytes.LastIndexByte(part[:i], '\n') {
			if n--; n == 0 {
				return pos + int64(i) + 1, 0, nil
			}
		}
	}
	return 0, n - 1, nil
}

// wholeLines returns the end of the last finished line within the first end bytes of r.
func wholeLines(r io.ReaderAt, end int64, block []byte) (int64, error) {
	for pos := end; pos > 0; {
		part := block[:min(int64(len(block)), pos)]
		pos -= int64(len(part))
		if m, err := r.ReadAt(part, pos); m < len(part) {
			return 0, short(err)
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return pos + int64(i) + 1, nil
		}
	}
	return 0, nil
}

// scan calls line with each line between from and to, without its newline, and returns how far it came. An unfinished
// line at the end is left alone unless final is set. A line that does not fit block comes in pieces. The bytes are good
// until line returns.
func scan(r io.ReaderAt, from, to int64, final bool, block []byte, line func([]byte) error) (next int64, err error) {
	for from < to {
		part := block[:min(int64(len(block)), to-from)]
		if m, err := r.ReadAt(part, from); m < len(part) {
			return from, short(err)
		}
		whole := int64(len(part)) == to-from
		for len(part) > 0 {
			i := bytes.IndexByte(part, '\n')
			if i < 0 {
				break
			}
			if err := line(part[:i]); err != nil {
				return from, err
			}
			from += int64(i) + 1
			part = part[i+1:]
		}
		if len(part) == len(block) || final && whole && len(part) > 0 {
			if err := line(part); err != nil {
				return from, err
			}
			from += int64(len(part))
		} else if whole {
			return from, nil
		}
	}
	return from, nil
}

// short is the error of a read that got less than there was.
func short(err error) error {
	if err == nil || err == io.EOF {
		return errShort
	}
	return err
}
