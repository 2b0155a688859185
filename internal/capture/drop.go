package capture

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// This file: streams whose output is dropped where it cannot be written (Policy.Drop). Writing may be refused, and then
// the stream itself empties the pipe between its tries; or it may hang, and then an overtaker does.

// Losses are what was dropped, and that the log does not say so yet.
type losses struct {
	lines    uint64 // newlines
	bytes    uint64
	from, to int64 // wall time, µs
}

func (l *losses) add(m losses) {
	if m.bytes == 0 {
		return
	}
	if l.bytes == 0 {
		l.from = m.from
	}
	l.lines, l.bytes, l.to = l.lines+m.lines, l.bytes+m.bytes, m.to
}

// notice is the line that says so.
func (l losses) notice() string {
	from, to := time.UnixMicro(l.from).UTC(), time.UnixMicro(l.to).UTC()
	return fmt.Sprintf("— stay: output was dropped, because the log could not be written: %d lines, %d bytes, from %s to %s\n",
		l.lines, l.bytes, from.Format(stampLayout), to.Format(stampLayout))
}

// tellLosses writes the notice, on a line of its own.
func (k *sink) tellLosses(st *Stream, how Policy) error {
	var line []byte
	if how.Timestamps {
		line = append(line, k.stamp.at(k.store.now())...)
	}
	line = append(line, k.end.lost.notice()...)
	if k.end.mid {
		if err := k.breakLine(st); err != nil {
			return err
		}
	}
	if k.size > 0 && len(line) > k.room(how.MaxSize) {
		if err := k.makeRoom(how); err != nil {
			return err
		}
	}
	next := k.end
	next.owned, next.lost = false, losses{}
	return k.put(st, line, nil, next)
}

// lose takes note of what was dropped of a generation, in the mark too. within says that it ended within a line.
func (k *sink) lose(gen uint64, l losses, within bool) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.end.lost.add(l)
	if k.end.owned && k.end.owner == gen {
		k.end.owned = false
	}
	k.end.heal(gen)
	if within {
		k.end.cutOff(gen)
	}
	k.mark.note(k.end)
	k.mark.overtaken.Store(0)
	k.wrote()
}

// dropped is what p, which was thrown away just now, adds to the losses.
func (st *Stream) dropped(p []byte) losses {
	now := st.store.now().UnixMicro()
	st.last.Store(monotonic())
	st.writing.Store(false)
	st.peeked.Store(0)
	return losses{lines: uint64(bytes.Count(p, newline)), bytes: uint64(len(p)), from: now, to: now}
}

var newline = []byte{'\n'}

// toss reads the pipe once and throws away what it gets. No bytes are the end, or an error.
func (st *Stream) toss() (l losses, err error) {
	p := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(p)
	n, err := syscall.Read(st.fd, p[:])
	if n <= 0 {
		return l, err
	}
	st.within = p[n-1] != '\n'
	return st.dropped(p[:n]), nil
}

// tossFor empties the pipe until a time has passed.
func (st *Stream) tossFor(d time.Duration) {
	for end := time.Now().Add(d); ; {
		l, err := st.toss()
		if l.bytes > 0 {
			st.sink.lose(st.gen, l, st.within)
		} else if err != syscall.EAGAIN && err != syscall.EINTR {
			return
		}
		left := time.Until(end)
		if left <= 0 {
			return
		}
		if l.bytes == 0 {
			time.Sleep(min(left, tossAgain))
		}
	}
}

// tossAgain is how often an empty pipe is looked at while output is dropped.
const tossAgain = 10 * time.Millisecond

// tossLine throws away the rest of a line whose beginning is lost, up to its end or that of the chunk.
func (st *Stream) tossLine(p []byte) error {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p, st.within = p[:i+1], false
	}
	l := st.dropped(p)
	if err := st.store.pipes.waste(st.fd, len(p)); err != nil {
		return pipeError{err}
	}
	st.sink.lose(st.gen, l, st.within)
	return nil
}

// waste takes n bytes out of pipe.
func (s *scratches) waste(pipe, n int) error {
	p := <-s.free
	defer func() {
		s.empty(p)
		s.free <- p
	}()
	return p.take(pipe, n)
}

// An overtaker empties the pipe of a stream whose writing hangs. It is made with the first chunk that may be dropped.
type overtaker struct {
	st    *Stream
	timer *time.Timer
	stop  chan struct{} // with room for one
	done  chan struct{} // likewise
	gone  atomic.Bool

	mu    sync.Mutex
	ahead int   // bytes at the head of the pipe that are being written
	mark  *slot // of the sink, while the stream has the turn
	lost  losses
}

// watched writes a chunk while an overtaker watches.
func (st *Stream) watched(p []byte) error {
	o := st.over
	if o == nil {
		o = &overtaker{st: st, stop: make(chan struct{}, 1), done: make(chan struct{}, 1)}
		o.timer = time.AfterFunc(st.store.patience, o.run)
		st.over = o
	}
	o.mu.Lock()
	o.ahead, o.mark, o.lost = len(p), nil, losses{}
	o.mu.Unlock()
	o.timer.Reset(st.store.patience)
	err := st.sink.write(st, p)
	if o.timer.Stop() {
		return err
	}
	o.stop <- struct{}{}
	<-o.done
	if !o.gone.Swap(false) {
		return err
	}
	if err != nil { // what is not in the file is not in the pipe either
		rest := p[len(p)-o.ahead:]
		l := st.dropped(rest)
		if o.lost.bytes == 0 {
			st.within = rest[len(rest)-1] != '\n'
		}
		l.add(o.lost)
		o.lost = l
	}
	if o.lost.bytes > 0 {
		st.sink.lose(st.gen, o.lost, st.within)
	}
	return err
}

// run is called when patience is at its end.
func (o *overtaker) run() {
	defer func() { o.done <- struct{}{} }()
	select {
	case <-o.stop:
		return
	default:
	}
	o.overtake()
	for {
		l, err := o.st.toss()
		o.lost.add(l)
		if l.bytes == 0 && err != syscall.EAGAIN && err != syscall.EINTR {
			<-o.stop
			return
		}
		if l.bytes > 0 {
			continue
		}
		select {
		case <-o.stop:
			return
		case <-time.After(tossAgain):
		}
	}
}

// overtake takes what is being written out of the pipe. From now on a store that is killed has lost it, and the next one
// must say so.
func (o *overtaker) overtake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone.Store(true)
	if o.mark != nil {
		o.mark.overtaken.Store(uint32(o.ahead))
	}
	_ = o.st.store.pipes.waste(o.st.fd, o.ahead) // what is left of it comes as dropped
	o.st.peeked.Store(0)
}

// turn is called when the stream has its turn to write.
func (o *overtaker) turn(m *slot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mark = m
	if o.gone.Load() {
		m.overtaken.Store(uint32(o.ahead))
	}
}

// consume takes n bytes that are in the file out of the pipe, if they are there.
func (o *overtaker) consume(m *slot, n int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ahead -= n
	if !o.gone.Load() {
		return o.st.consume(m, n)
	}
	m.written(scratch{})
	m.settle()
	m.overtaken.Store(uint32(o.ahead))
	return nil
}
