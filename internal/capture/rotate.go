package capture

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
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
func (k *sink) rotate(how Policy) error {
	k.publish(func(s *place) { s.rotating = true })
	depth, err := k.shift(how.Keep)
	k.asked = false
	if err == nil {
		k.shut()
		k.end.disown()
		k.end.mid = false
		k.fresh, k.known, k.size, k.later = true, true, 0, 0
		k.store.tidier.ask(k.name, how)
	} else {
		k.later = k.size + rotateAgain
	}
	k.publish(func(s *place) {
		s.rotating = false
		if err != nil {
			return
		}
		s.before, s.begin, s.end, s.partial = s.end, 0, 0, false
		s.number++
		s.base = max(s.base, s.number-min(s.number, uint64(depth)))
	})
	return err
}

// shift renames web.log.1 to .2 and so on up to the first number that is free, or up to keep, whose file is lost, and
// then web.log to web.log.1. It returns up to which number there are files now.
func (k *sink) shift(keep int) (depth int, err error) {
	k.names.Lock()
	defer k.names.Unlock()
	d := k.home.dir
	if keep == 0 {
		if err := d.remove(fileName(k.home.name, 0)); err != nil && !isGone(err) {
			return 0, err
		}
		d.prune(k.home.name, 1)
		return 0, nil
	}
	there := []formSet{1} // by index
	for len(there) < keep {
		set := d.formsAt(k.home.name, len(there))
		if set == 0 {
			break
		}
		there = append(there, set)
	}
	depth = len(there)
	if depth == keep { // what has this number is lost: a file of the same form when another takes its place
		d.drop(k.home.name, keep, ^there[keep-1].first())
	}
	for i := depth; i > 0; i-- {
		if err := d.move(k.home.name, i-1, there[i-1]); err != nil {
			return 0, err
		}
	}
	d.prune(k.home.name, keep+1)
	return depth, nil
}

// A formSet is in which of forms a file is there, by bits.
type formSet uint8

// first is the one that is whole.
func (f formSet) first() formSet { return f & -f }

// number is which of forms is first.
func (f formSet) number() int { return bits.TrailingZeros8(uint8(f)) }

// formsAt says in which forms a file is there.
func (d *dir) formsAt(name string, index int) (set formSet) {
	for i, form := range forms {
		if d.exists(fileName(name, index) + form) {
			set |= 1 << i
		}
	}
	return set
}

// move gives a file the next number. Forms that are not whole are removed before, so that no two numbers have the same lines.
func (d *dir) move(name string, index int, there formSet) error {
	d.drop(name, index, there&^there.first())
	for i, form := range forms {
		if there.first() == 1<<i {
			if err := d.rename(fileName(name, index)+form, fileName(name, index+1)+form); err != nil && !isGone(err) {
				return err
			}
		}
	}
	return nil
}

// drop removes the forms of a file, and says whether any was there.
func (d *dir) drop(name string, index int, set formSet) (any bool) {
	for i, form := range forms {
		if set&(1<<i) != 0 && d.remove(fileName(name, index)+form) == nil {
			any = true
		}
	}
	return any
}

// prune removes old files from a number up to the first that is not there: Keep was larger once.
func (d *dir) prune(name string, from int) {
	for d.drop(name, from, ^formSet(0)) {
		from++
	}
}

// isGone says that a file, or the directory it was in, does not exist.
func isGone(err error) bool { return errors.Is(err, syscall.ENOENT) }
