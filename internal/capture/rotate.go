package capture

import (
	"bytes"
	"errors"
	"math"
	"syscall"
)

// rotateAgain is how many bytes a file grows after a rotation failed until the next is tried. It must be more than a
// page, so that a page that does not fit always fits after a failure.
const rotateAgain = 1 << 20

// fit says how many bytes of p belong in the file that is open; 0 means that it has to be rotated first. It is always at
// a line end, or all of p.
func (k *sink) fit(p []byte, limit int64) int {
	room := k.room(limit)
	if len(p) <= room {
		return len(p)
	}
	if room > 0 {
		if i := bytes.LastIndexByte(p[:room], '\n'); i >= 0 {
			return i + 1
		}
	}
	if !k.end.mid && k.size > 0 {
		return 0
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 { // a line that is under way, or larger than a file
		return i + 1
	}
	return len(p)
}

// room says how many bytes lines that begin now may take in the file that is open.
func (k *sink) room(limit int64) int {
	if limit == 0 {
		return math.MaxInt
	}
	return int(max(0, max(limit, k.later)-k.size))
}

// rotate moves every file one number up and makes room for a new one. On an error the file stays what it was.
func (k *sink) rotate(keep int) error {
	k.publish(func(s *place) { s.rotating = true })
	depth, err := k.shift(keep)
	if err == nil {
		k.shut()
		k.end.disown()
		k.end.mid = false
		k.fresh, k.known, k.size, k.later = true, true, 0, 0
	} else {
		k.later = k.size + rotateAgain
	}
	k.publish(func(s *place) {
		s.rotating = false
		if err != nil {
			return
		}
		s.before, s.end, s.partial = s.end, 0, false
		s.number++
		s.base = max(s.base, s.number-min(s.number, uint64(depth)))
	})
	return err
}

// shift renames web.log.1 to .2 and so on up to the first number that is free, or up to keep, whose file is lost, and
// then web.log to web.log.1. It returns up to which number there are files now.
func (k *sink) shift(keep int) (depth int, err error) {
	d := k.store.dir
	if keep == 0 {
		if err := d.remove(fileName(k.name, 0)); err != nil && !isGone(err) {
			return 0, err
		}
		k.prune(1)
		return 0, nil
	}
	depth = 1
	for depth < keep {
		if _, err := d.stat(fileName(k.name, depth)); err != nil {
			break
		}
		depth++
	}
	for i := depth; i > 0; i-- {
		if err := d.rename(fileName(k.name, i-1), fileName(k.name, i)); err != nil && !isGone(err) {
			return 0, err
		}
	}
	k.prune(keep + 1)
	return depth, nil
}

// prune removes old files from a number up to the first that is not there: Keep was larger once.
func (k *sink) prune(from int) {
	for i := from; k.store.dir.remove(fileName(k.name, i)) == nil; i++ {
	}
}

// isGone says that a file, or the directory it was in, does not exist.
func isGone(err error) bool { return errors.Is(err, syscall.ENOENT) }
