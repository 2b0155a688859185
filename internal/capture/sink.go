package capture

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A sink is where all streams of one name write.
type sink struct {
	store    *Store
	name     string
	holders  int         // guarded by Store.mu
	troubled atomic.Bool // a problem was reported, and not yet its end

	// turn is the right to write. It is held until a chunk is written, or its writing has failed: another generation's
	// chunk cannot come into the middle of one. Nothing that readers need is under it.
	turn sync.Mutex

	// Owned by who has the turn.
	home  home
	fd    int   // -1: closed
	file  ident // as it was when it was open last
	size  int64 // likewise
	fresh bool  // whatever is opened next is the file of place().number
	known bool  // end and size are true of the file; else its last byte has to be read
	end   ending
	mark  *slot
	heir  *heir // of a store that was killed; nil: all is known
	stamp stamp
	later int64     // no rotation below this size: the last one failed
	born  time.Time // when the file began; zero: not known yet
	asked bool      // to rotate when the line ends

	health health

	names sync.Mutex // leaf; held while old files change their names

	mu     sync.Mutex // leaf; guards what follows
	policy Policy
	state  place
	bells  []*follower // never changed, only replaced
}

// A place is what readers know of a sink's files. File numbers grow by one with each new file of this sink.
type place struct {
	home     home
	number   uint64 // of the file that is written
	begin    int64  // what it had before it became this sink's
	end      int64  // its bytes so far
	before   int64  // the last size of the file before it
	base     uint64 // files below this number cannot be found by number any more
	rotating bool   // files are changing their names just now
	partial  bool   // the last line is unfinished and its process may go on
}

// newSink makes the sink of a name as its file is now, without a mark.
func newSink(s *Store, name string) *sink {
	at := s.home(name)
	k := &sink{store: s, name: name, home: at, fd: -1, state: place{home: at, number: 1, base: 1}}
	st, err := at.dir.stat(fileName(at.name, 0))
	if err != nil {
		k.fresh = true
	} else {
		k.file, k.size, k.state.end = identOf(&st), st.Size, st.Size
	}
	return k
}

// place returns what readers may know.
func (k *sink) place() place {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// publish changes what readers may know and wakes them.
func (k *sink) publish(change func(*place)) {
	k.mu.Lock()
	change(&k.state)
	bells := k.bells
	k.mu.Unlock()
	for _, f := range bells {
		f.wake()
	}
}

// wrote publishes what was appended.
func (k *sink) wrote() {
	k.mu.Lock()
	k.state.end, k.state.partial = k.size, k.end.mid && k.end.owned
	bells := k.bells
	k.mu.Unlock()
	for _, f := range bells {
		f.wake()
	}
}

func (k *sink) setPolicy(p Policy) {
	k.mu.Lock()
	p.MaxSize, p.Keep = max(p.MaxSize, 0), max(p.Keep, 0)
	k.policy = p
	k.mu.Unlock()
	k.store.tidier.know(k.name, p)
}

func (k *sink) getPolicy() Policy {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.policy
}

// open makes sure that the file is open, and that it is still the one that was written last; if not, what stands in the
// directory now is a new file to readers.
func (k *sink) open() error {
	lost := false
	if k.fd >= 0 {
		var st syscall.Stat_t
		if err := syscall.Fstat(k.fd, &st); err == nil && st.Nlink > 0 && st.Size >= k.size {
			return k.settle(st.Size)
		}
		lost = st.Nlink == 0
		k.shut()
	}
	file := fileName(k.home.name, 0)
	fd, st, err := k.home.dir.open(file, openWrite)
	if isGone(err) {
		if err = k.home.dir.again(); err == nil {
			fd, st, err = k.home.dir.open(file, openWrite)
		}
	}
	if err != nil {
		return err
	}
	k.fd = fd
	if !k.fresh && (lost || identOf(&st) != k.file || st.Size < k.size) {
		k.adopt()
	}
	if k.fresh {
		k.born = k.store.now()
	}
	k.fresh, k.file = false, identOf(&st)
	return k.settle(st.Size)
}

// adopt begins a file where others took away the one before. The older ones can no longer be counted.
func (k *sink) adopt() {
	k.size, k.known, k.later, k.born, k.asked = 0, false, 0, time.Time{}, false
	k.publish(func(s *place) {
		s.before, s.begin, s.end, s.partial = s.end, 0, 0, false
		s.number++
		s.base = s.number
	})
}

// settle finds out whether the last line is finished, where that is not known from writing it.
func (k *sink) settle(size int64) error {
	if phase(k.mark.phase.Load()) == writing {
		var err error
		if size, err = k.cutBack(size); err != nil {
			return err
		}
	}
	if k.known && size == k.size {
		return nil
	}
	if k.heir == nil || !k.heir.knows(k.file, size) {
		k.end.disown()
		k.end.mid = false
		if size > 0 {
			var last [1]byte
			if _, err := syscall.Pread(k.fd, last[:], size-1); err != nil {
				return k.home.dir.problem("read", fileName(k.home.name, 0), err)
			}
			k.end.mid = last[0] != '\n'
		}
	}
	k.size, k.known = size, true
	k.wrote()
	return nil
}

// shut closes the file.
func (k *sink) shut() {
	if k.fd >= 0 {
		syscall.Close(k.fd)
		k.fd = -1
	}
}

// rest closes the file of a stream that is silent. If another has the turn, that one will.
func (k *sink) rest() {
	if k.turn.TryLock() {
		k.shut()
		k.turn.Unlock()
	}
}

// confirm closes the file if another one, or none, has its name: somebody moved it away.
func (k *sink) confirm() {
	if !k.turn.TryLock() {
		return
	}
	defer k.turn.Unlock()
	if k.fd < 0 {
		return
	}
	if st, err := k.home.dir.stat(fileName(k.home.name, 0)); isGone(err) || err == nil && identOf(&st) != k.file {
		k.shut()
	}
}

// finish is the end of a stream: nobody continues its last line, and what was dropped is said, if that can be.
func (k *sink) finish(st *Stream) {
	k.turn.Lock()
	defer k.turn.Unlock()
	gen := st.gen
	if k.end.lost.bytes > 0 && k.open() == nil { // rare, so with no regard to how many do
		k.heir = nil
		if k.tellLosses(st, k.getPolicy()) == nil { // else it is in the mark
			k.trouble(illWrite, nil)
		}
	}
	k.shut()
	was := k.end
	if k.end.owned && k.end.owner == gen {
		k.end.owned = false
	}
	k.end.heal(gen)
	if k.end != was {
		k.mark.note(k.end)
		k.wrote()
	}
}

// reader opens the file of a number, which must be the current one or older.
func (k *sink) reader(number uint64) (*logFile, error) {
	before := k.place()
	if before.rotating {
		return nil, errMoving
	}
	if number < before.base {
		return nil, errLost
	}
	src, err := before.home.dir.logFile(before.home.name, int(before.number-number))
	if after := k.place(); after.rotating || after.number != before.number {
		if err == nil {
			src.close()
		}
		return nil, errMoving
	}
	if isGone(err) {
		err = errLost
	}
	return src, err
}
