package capture

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Stream is the output of one generation on its way to a file.
type Stream struct {
	store *Store
	sink  *sink
	gen   uint64
	pipe  *os.File
	ended chan struct{}

	last    atomic.Int64 // see Last
	writing atomic.Bool  // see Stalled
	peeked  atomic.Int64 // bytes of the pipe that Last knows of

	// Owned by run.
	raw      syscall.RawConn
	take     func(fd uintptr) bool // fill, made once: a closure per chunk would be garbage
	chunk    *[chunkSize]byte      // from the pool, only while it is written; the pipe has it too
	n        int                   // bytes in chunk
	err      error                 // of the read
	busy     bool                  // something came since the last look
	watching bool                  // a look is due: the file is open
	fd       int                   // of pipe
	over     *overtaker            // nil: nothing was ever to be dropped
	since    time.Time             // writing fails; zero: it does not
	flood    int                   // large chunks in a row
	usual    int                   // size of the pipe before it was made larger; 0: it was not
	within   bool                  // a line was dropped in part, and its rest is still to come
	delay    time.Duration         // of the last retry; 0: the last write went well
}

// retrySize is how much is tried to be written where writing failed before, in bytes: little, so that a full disk is
// used to its end.
const retrySize = 4 << 10

// chunks are the buffers of reads.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// Done is closed when the pipe is at its end and everything is written.
func (st *Stream) Done() <-chan struct{} { return st.ended }

// Dup returns a descriptor of the pipe for somebody else to keep, the caller's. It fails when the stream has ended.
func (st *Stream) Dup() (int, error) {
	raw, err := st.pipe.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	controlErr := raw.Control(func(pipe uintptr) {
		fd, err = unix.FcntlInt(pipe, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(controlErr, err)
}

// SetPolicy changes how the name's output is kept, from the next chunk on.
func (st *Stream) SetPolicy(p Policy) {
	if st.sink != nil {
		st.sink.setPolicy(p)
	}
}

// run copies until the pipe ends. It waits here most of the time, a thousand times over: its frame is small.
func (st *Stream) run() {
	defer st.finish()
	err := st.begin()
	for err == nil {
		if err = st.next(); err == nil {
			if st.n == 0 {
				return
			}
			err = st.keep()
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			st.rest()
			err = nil
		}
	}
	st.report(err)
}

func (st *Stream) begin() error {
	raw, err := st.pipe.SyscallConn()
	if err != nil {
		return err
	}
	st.raw, st.take = raw, st.fill
	return raw.Control(func(fd uintptr) { st.fd = int(fd) }) // it is this goroutine that closes it
}

func (st *Stream) report(err error) {
	st.store.report(st.sink.name, fmt.Errorf("read output of %q: %w", st.sink.name, cause(err)))
}

func (st *Stream) finish() {
	st.pipe.Close()
	st.sink.finish(st)
	st.store.release(st.sink)
	close(st.ended)
	st.store.ended(st.sink.name, st.gen)
}

// next waits for output and copies a chunk of it; 0 bytes are the end.
func (st *Stream) next() error {
	st.n, st.err = 0, nil
	if err := st.raw.Read(st.take); err != nil {
		return err
	}
	return st.err
}

// fill looks once, with a buffer that is given back if there is nothing: what waits in the poller holds none.
func (st *Stream) fill(fd uintptr) (ready bool) {
	st.chunk = chunks.Get().(*[chunkSize]byte)
	most := len(st.chunk)
	if st.delay > 0 {
		most = retrySize
	}
	st.n, st.err = st.store.pipes.peek(int(fd), st.chunk[:most])
	if st.err == nil && st.n > 0 {
		return true
	}
	st.n = 0
	st.drop()
	return st.err != syscall.EAGAIN
}

func (st *Stream) drop() {
	chunks.Put(st.chunk)
	st.chunk = nil
}

// keep writes the chunk. If that fails it lets time go by, without a buffer: what is not written is in the pipe, and comes
// again, or is dropped. An error is one of the pipe.
func (st *Stream) keep() error {
	p, drop := st.chunk[:st.n], st.sink.getPolicy().Drop
	if st.within {
		defer st.drop()
		return st.tossLine(p)
	}
	if st.since.IsZero() {
		st.last.Store(monotonic())
		st.writing.Store(true)
	}
	st.peeked.Store(max(st.peeked.Load(), int64(st.n)))
	var err error
	if drop {
		err = st.watched(p)
	} else {
		st.over = nil
		err = st.sink.write(st, p)
	}
	st.drop()
	if err != nil {
		return st.failed(err, drop)
	}
	st.delay, st.since = 0, time.Time{}
	st.writing.Store(false)
	st.busy = true
	st.flooded(st.n)
	if !st.watching {
		st.watch()
	}
	return nil
}

// failed lets time go by after a write that failed.
func (st *Stream) failed(err error, drop bool) error {
	if _, ok := err.(pipeError); ok {
		return err
	}
	if st.since.IsZero() {
		st.since = time.Now()
	}
	st.delay = min(max(2*st.delay, st.store.retryMin), st.store.retryMax)
	if drop && time.Since(st.since) >= st.store.patience {
		st.tossFor(min(st.delay, st.store.patience))
	} else {
		time.Sleep(st.delay)
	}
	return nil
}

// A pipeError is one that waiting does not mend.
type pipeError struct{ error }

// done is called when n bytes are in the file.
func (st *Stream) done(m *slot, n int) error {
	if st.over != nil {
		return st.over.consume(m, n)
	}
	return st.consume(m, n)
}

// consume takes n bytes that are in the file out of the pipe.
func (st *Stream) consume(m *slot, n int) error {
	pipes := st.store.pipes
	p := <-pipes.free
	defer func() {
		pipes.empty(p)
		pipes.free <- p
	}()
	m.written(p)
	st.store.at(atWritten)
	if err := p.take(st.fd, n); err != nil {
		return pipeError{fmt.Errorf("splice: %w", err)}
	}
	st.peeked.Add(-int64(n))
	st.store.at(atConsumed)
	m.settle()
	return nil
}

// watch asks for a look at the file; a pipe that cannot have deadlines keeps it open only while it writes.
func (st *Stream) watch() {
	st.watching = st.pipe.SetReadDeadline(time.Now().Add(st.store.look)) == nil
	if !st.watching {
		st.sink.rest()
	}
	st.busy = false
}

// rest closes the file if nothing came between two looks, or if it was moved away.
func (st *Stream) rest() {
	if st.busy {
		st.sink.confirm()
		st.watch()
		return
	}
	st.watching = false
	st.pipe.SetReadDeadline(time.Time{})
	st.ebbed()
	st.sink.rest()
}
