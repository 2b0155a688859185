package capture

import (
	"bytes"
	"io"
	"math"
	"sync"
	"syscall"
)

// This file: how a chunk gets from a pipe into a file, piece by piece. A piece is what goes into one file at once, and ends
// at a line end unless the output does not.

// pages are the buffers of formatted lines.
var pages = sync.Pool{New: func() any { return new([pageSize]byte) }}

// write appends a chunk of a stream's generation, of at most chunkSize bytes, and takes it out of the pipe. On an error,
// what is not in the file is in the pipe.
func (k *sink) write(st *Stream, chunk []byte) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.store.files <- struct{}{}
	defer func() { <-k.store.files }()
	if st.over != nil {
		st.over.turn(k.mark)
	}
	how := k.getPolicy()
	err := k.moveHome(how.File)
	if err == nil {
		err = k.open()
	}
	if err == nil {
		k.heir = nil
		if k.end.lost.bytes > 0 {
			err = k.tellLosses(st, how)
		}
	}
	for len(chunk) > 0 && err == nil {
		var n int
		n, err = k.piece(st, chunk, how)
		chunk = chunk[n:]
	}
	if err != nil {
		k.shut() // what is in the way may be gone the next time
	}
	k.trouble(illWrite, err)
	return err
}

// piece writes as much of a chunk as goes into the file at once, and says how much of it.
func (k *sink) piece(st *Stream, chunk []byte, how Policy) (int, error) {
	if k.fd < 0 {
		if err := k.open(); err != nil {
			return 0, err
		}
	}
	if k.end.mid && !(k.end.owned && k.end.owner == st.gen) { // somebody else's line is ended first
		return 0, k.breakLine(st)
	}
	how.MaxSize = k.limit(how)
	at := k.end.text(st.gen)
	if !how.Timestamps && !at.again && at.fits(chunk) {
		n := k.fit(chunk, how.MaxSize)
		if n == 0 {
			return 0, k.makeRoom(how)
		}
		at.pass(chunk[:n])
		return n, k.put(st, chunk[:n], chunk[:n], k.end.after(st.gen, at))
	}
	page := pages.Get().(*[pageSize]byte)
	defer pages.Put(page)
	out, n := k.layOut(page, &at, chunk, how)
	if n == 0 {
		return 0, k.makeRoom(how)
	}
	return n, k.put(st, out, chunk[:n], k.end.after(st.gen, at))
}

// breakLine ends an unfinished line.
func (k *sink) breakLine(st *Stream) error {
	next := k.end
	next.disown()
	next.mid = false
	return k.put(st, newline, nil, next)
}

// layOut formats as much of a chunk as belongs in the file that is open and fits a page; 0 means that the file has to be
// rotated first.
func (k *sink) layOut(page *[pageSize]byte, at *text, chunk []byte, how Policy) (out []byte, n int) {
	var head []byte
	if how.Timestamps {
		head = k.stamp.at(k.store.now())
	}
	out, rest := at.lay(page[:0], chunk, head, k.room(how.MaxSize))
	if len(out) == 0 && k.size == 0 { // one line that is larger than a file
		line := chunk
		if i := bytes.IndexByte(chunk, '\n'); i >= 0 {
			line = chunk[:i+1]
		}
		out, rest = at.lay(page[:0], line, head, math.MaxInt)
		return out, len(line) - len(rest)
	}
	return out, len(chunk) - len(rest)
}

// makeRoom rotates.
func (k *sink) makeRoom(how Policy) error {
	k.trouble(illRotate, k.rotate(how))
	return k.open()
}

// put writes out, which was made of src, and takes src out of the pipe, with notes in the mark of how far it has come: the
// next store goes on wherever this one is killed. On an error neither is done.
func (k *sink) put(st *Stream, out, src []byte, next ending) error {
	k.mark.begin(k.file, k.size, len(out), len(src), k.end, next)
	k.store.at(atBegun)
	if err := k.append(out); err != nil {
		k.takeBack()
		return k.home.dir.problem("write", fileName(k.home.name, 0), err)
	}
	k.store.at(atInFile)
	if err := st.done(k.mark, len(src)); err != nil {
		return err
	}
	k.store.at(atSettled)
	k.size += int64(len(out))
	k.end = next
	k.wrote()
	return nil
}

// append writes p whole.
func (k *sink) append(p []byte) error {
	for len(p) > 0 {
		n, err := k.store.write(k.fd, p)
		if n = max(n, 0); n == 0 && err == nil {
			err = io.ErrShortWrite
		}
		if err != nil && err != syscall.EINTR {
			return err
		}
		p = p[n:]
	}
	return nil
}
