package capture

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit says how large the file that is open may become: where it is old enough to be rotated, or somebody asked for it,
// no larger than it is.
func (k *sink) limit(how Policy) int64 {
	if k.size > 0 && (k.asked || how.RotateEvery > 0 && k.store.now().Sub(k.birth(how)) >= how.RotateEvery) {
		return 1 // less than it has, and not 0, which is any
	}
	return how.MaxSize
}

// birth says when the file that is open began. The file itself says it, so a restart does not make it younger: its time
// of birth, or that of its first line, if that is later (somebody copied the lines away and truncated it). What lies in
// the future, or cannot be known, is now.
func (k *sink) birth(how Policy) time.Time {
	if !k.born.IsZero() {
		return k.born
	}
	now := k.store.now()
	var x unix.Statx_t
	err := unix.Statx(k.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &x)
	if err == nil && x.Mask&unix.STATX_BTIME != 0 {
		if born := time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)); !born.After(now) {
			k.born = born
		}
	}
	var head [stampSize]byte
	if how.Timestamps {
		if n, _ := syscall.Pread(k.fd, head[:], 0); n == stampSize {
			if first := parseLine("", head[:]).Time; first.After(k.born) && !first.After(now) {
				k.born = first
			}
		}
	}
	if k.born.IsZero() {
		k.born = now
	}
	return k.born
}

// Rotate begins a new file for name, also if none of its streams is open: at once, or, if the last line is unfinished,
// when it has ended; then it returns false. A file without a line stays. p is the name's policy. It waits while a piece is
// being written.
func (s *Store) Rotate(name string, p Policy) (done bool, err error) {
	k, err := s.hold(name)
	if err != nil {
		return false, err
	}
	defer s.release(k)
	k.turn.Lock()
	defer k.turn.Unlock()
	if err := k.moveHome(p.File); err != nil {
		return false, err
	}
	if _, err := k.home.dir.stat(fileName(k.home.name, 0)); isGone(err) {
		return true, nil
	}
	if err := k.open(); err != nil {
		return false, err
	}
	defer k.shut()
	switch {
	case k.size == 0:
		return true, nil
	case k.end.mid && k.end.owned:
		k.asked = true
		return false, nil
	}
	err = k.rotate(p)
	k.trouble(illRotate, err)
	return err == nil, err
}
