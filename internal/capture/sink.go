package capture

import (
	"io"
	"os"
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

	// turn is the right to write. It is held until a chunk is written, also while a full disk is waited for: another
	// generation's chunk cannot come into the middle of one. Nothing that readers need is under it.
	turn sync.Mutex

	// Owned by who has the turn.
	fd    int   // -1: closed
	file  ident // as it was when it was open last
	size  int64 // likewise
	fresh bool  // whatever is opened next is the file of place().number
	known bool  // mid and size are true of the file; else its last byte has to be read
	mid   bool  // the last line is unfinished
	owned bool  // by owner
	owner uint64
	line  text
	stamp stamp
	later int64         // no rotation below this size: the last one failed
	delay time.Duration // of the last retry; 0: the last write went well
	ill   [2]bool       // by trouble

	mu     sync.Mutex // leaf; guards what follows
	policy Policy
	state  place
	bells  []*follower // never changed, only replaced
}

// A place is what readers know of a sink's files. File numbers grow by one with each new file of this sink.
type place struct {
	number   uint64 // of the file that is written
	end      int64  // its bytes so far
	before   int64  // the last size of the file before it
	base     uint64 // files below this number cannot be found by number any more
	rotating bool   // files are changing their names just now
	partial  bool   // the last line is unfinished and its process may go on
}

// newSink makes the sink of a name as its file is now.
func newSink(s *Store, name string) *sink {
	k := &sink{store: s, name: name, fd: -1, state: place{number: 1, base: 1}}
	st, err := s.dir.stat(fileName(name, 0))
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
	k.state.end, k.state.partial = k.size, k.mid && k.owned
	bells := k.bells
	k.mu.Unlock()
	for _, f := range bells {
		f.wake()
	}
}

func (k *sink) setPolicy(p Policy) {
	k.mu.Lock()
	k.policy = Policy{MaxSize: max(p.MaxSize, 0), Keep: max(p.Keep, 0), Timestamps: p.Timestamps}
	k.mu.Unlock()
}

func (k *sink) getPolicy() Policy {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.policy
}

// pages are the buffers of formatted lines.
var pages = sync.Pool{New: func() any { return new([pageSize]byte) }}

// write appends a chunk of generation gen, of at most chunkSize bytes, and returns when all of it is in the file. cut
// says that it begins within a line of that generation.
func (k *sink) write(gen uint64, cut bool, chunk []byte) {
	k.turn.Lock()
	defer k.turn.Unlock()
	for err := k.open(); err != nil; err = k.open() {
		k.wait(err)
	}
	how := k.getPolicy()
	mine := k.mid && k.owned && k.owner == gen
	foreign := k.mid && !mine
	resume := cut && !mine
	if !mine {
		k.line = text{}
	}
	k.owner, k.owned = gen, true
	if !how.Timestamps && !foreign && !resume && k.line.fits(chunk) {
		k.line.pass(chunk)
		k.append(chunk, how)
		return
	}
	k.layOut(chunk, how, foreign, resume)
}

// layOut formats a chunk and appends it. With foreign, the unfinished line of somebody else is ended first; with resume,
// the chunk continues a line that stands further up.
func (k *sink) layOut(chunk []byte, how Policy, foreign, resume bool) {
	page := pages.Get().(*[pageSize]byte)
	defer pages.Put(page)
	var head []byte
	if how.Timestamps {
		head = k.stamp.at(k.store.now())
	}
	out := page[:0]
	if foreign {
		out = append(out, '\n')
	}
	if resume {
		out = k.line.resume(out, head)
	}
	for len(chunk) > 0 {
		out, chunk = k.line.lay(out, chunk, head)
		k.append(out, how)
		out = page[:0]
	}
}

// append writes p whole, however long that takes.
func (k *sink) append(p []byte, how Policy) {
	for len(p) > 0 {
		n, err := k.some(p, how)
		p = p[n:]
		if err != nil {
			k.wait(err)
			continue
		}
		if n > 0 {
			k.delay = 0
			k.trouble(illWrite, nil)
		}
	}
}

// some writes a part of p to the file it belongs to.
func (k *sink) some(p []byte, how Policy) (int, error) {
	if k.fd < 0 {
		if err := k.open(); err != nil {
			return 0, err
		}
	}
	fit := k.fit(p, how.MaxSize)
	if fit == 0 {
		err := k.rotate(how.Keep)
		k.trouble(illRotate, err)
		return 0, k.open()
	}
	n, err := k.store.write(k.fd, p[:fit])
	if err == syscall.EINTR {
		err = nil
	} else if err == nil && n <= 0 {
		err = io.ErrShortWrite
	}
	if n = max(n, 0); n > 0 {
		k.size += int64(n)
		k.mid = p[n-1] != '\n'
		k.wrote()
	}
	if err != nil {
		return n, k.store.dir.problem("write", fileName(k.name, 0), err)
	}
	return n, nil
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
	file := fileName(k.name, 0)
	fd, st, err := k.store.dir.open(file, openWrite)
	if isGone(err) {
		if err = k.store.dir.again(); err == nil {
			fd, st, err = k.store.dir.open(file, openWrite)
		}
	}
	if err != nil {
		return err
	}
	k.fd = fd
	if !k.fresh && (lost || identOf(&st) != k.file || st.Size < k.size) {
		k.adopt()
	}
	k.fresh, k.file = false, identOf(&st)
	return k.settle(st.Size)
}

// adopt begins a file where others took away the one before. The older ones can no longer be counted.
func (k *sink) adopt() {
	k.size, k.known, k.later = 0, false, 0
	k.publish(func(s *place) {
		s.before, s.end, s.partial = s.end, 0, false
		s.number++
		s.base = s.number
	})
}

// settle finds out whether the last line is finished, where that is not known from writing it.
func (k *sink) settle(size int64) error {
	if k.known && size == k.size {
		return nil
	}
	mid := false
	if size > 0 {
		var last [1]byte
		if _, err := syscall.Pread(k.fd, last[:], size-1); err != nil {
			return k.store.dir.problem("read", fileName(k.name, 0), err)
		}
		mid = last[0] != '\n'
	}
	k.size, k.known, k.mid, k.owned = size, true, mid, false
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

// finish is the end of a generation: nobody continues its last line.
func (k *sink) finish(gen uint64) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.shut()
	if k.owned && k.owner == gen {
		k.owned = false
		k.wrote()
	}
}

// The kinds of trouble.
const (
	illWrite = iota
	illRotate
)

// trouble takes note of a problem, or of its absence, and reports each change once.
func (k *sink) trouble(kind int, err error) {
	if k.ill[kind] == (err != nil) {
		return
	}
	k.ill[kind] = err != nil
	bad := k.ill[illWrite] || k.ill[illRotate]
	if bad && err == nil {
		return // the other kind is still there
	}
	k.troubled.Store(bad)
	k.store.report(k.name, err)
}

// wait reports a failure and lets time go by. The file is opened again afterwards: what was in the way may be gone.
func (k *sink) wait(err error) {
	k.trouble(illWrite, err)
	k.shut()
	k.delay = min(max(2*k.delay, k.store.retryMin), k.store.retryMax)
	time.Sleep(k.delay)
}

// reader opens the file of a number, which must be the current one or older.
func (k *sink) reader(number uint64) (*os.File, error) {
	before := k.place()
	if before.rotating {
		return nil, errMoving
	}
	if number < before.base {
		return nil, errLost
	}
	f, err := k.store.dir.reader(fileName(k.name, int(before.number-number)))
	if after := k.place(); after.rotating || after.number != before.number {
		if err == nil {
			f.Close()
		}
		return nil, errMoving
	}
	if isGone(err) {
		err = errLost
	}
	return f, err
}
