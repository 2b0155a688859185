package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow is the memory that a compressed file may ask for: what RFC 8878, 3.1.1.1.2 wants every reader to have.
	maxWindow = 8 << 20

	// maxText is how much text of one compressed file is read: 1 MB of zstd can hold 30 GB of the same byte.
	maxText = 64 << 30

	// unpackRoom is the text that is held, so that a line which is read again costs nothing.
	unpackRoom = 2 * pageSize

	// lookBack is how far before the last read another one may begin without starting over.
	lookBack = 4 << 10
)

var errTooLong = errors.New("it has more than 64 GiB of text")

// An unpacker reads a compressed file from its beginning on, as often as it must.
type unpacker struct {
	f    *os.File
	form string

	text   io.Reader // nil: to be begun
	zst    *zstd.Decoder
	room   []byte // the text at off
	off    int64
	known  bool // what follows
	size   int64
	lines  int // the last one may be unfinished
	damage error
}

func newUnpacker(f *os.File, form string) *unpacker { return &unpacker{f: f, form: form} }

// begin starts over.
func (u *unpacker) begin() (err error) {
	u.room, u.off = u.room[:0], 0
	u.text = nil
	from := io.NewSectionReader(u.f, 0, 1<<62)
	if u.form == gz {
		r, err := gzip.NewReader(bufio.NewReaderSize(from, 32<<10))
		if err == nil {
			u.text = r
		}
		return err
	}
	if u.zst == nil {
		u.zst, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	} else {
		err = u.zst.Reset(from)
	}
	if err == nil {
		u.text = u.zst
	}
	return err
}

// more reads on into room, which ends before keep, and drops what is long before keep if it needs to.
func (u *unpacker) more(keep int64) error {
	if u.room == nil {
		u.room = make([]byte, 0, unpackRoom)
	}
	if u.text == nil {
		if err := u.begin(); err != nil {
			return err
		}
	}
	if len(u.room) == cap(u.room) {
		drop := min(keep-lookBack-u.off, int64(len(u.room)))
		u.room = u.room[:copy(u.room, u.room[drop:])]
		u.off += drop
	}
	n, err := u.text.Read(u.room[len(u.room):cap(u.room)])
	u.room = u.room[:len(u.room)+max(n, 0)]
	if u.off+int64(len(u.room)) > maxText {
		return errTooLong
	}
	return err
}

// ReadAt implements io.ReaderAt. What cannot be read is the end.
func (u *unpacker) ReadAt(p []byte, off int64) (n int, err error) {
	if off < u.off {
		err = u.begin()
	}
	for n < len(p) && err == nil {
		at := off + int64(n) - u.off
		if at < int64(len(u.room)) {
			n += copy(p[n:], u.room[at:])
		} else if u.more(u.off+at) != nil && u.off+int64(len(u.room)) <= off+int64(n) {
			err = io.EOF
		}
	}
	return n, err
}

// measure reads the file once, and finds how much of it can be read.
func (u *unpacker) measure() *unpacker {
	if u.known {
		return u
	}
	u.known = true
	err := u.begin()
	last := byte('\n')
	for err == nil {
		from := u.off + int64(len(u.room))
		err = u.more(from)
		fresh := u.room[from-u.off:]
		if len(fresh) > 0 {
			u.lines += bytes.Count(fresh, []byte{'\n'})
			last = fresh[len(fresh)-1]
		}
	}
	u.size = u.off + int64(len(u.room))
	if last != '\n' {
		u.lines++
	}
	if err != io.EOF {
		u.damage = fmt.Errorf("the rest of %q cannot be read: %w", u.f.Name(), err)
	}
	return u
}

// lastLines is lastLines of all the text that can be read, for n > 0.
func (u *unpacker) lastLines(n int) (start int64, missing int, err error) {
	u.measure()
	if u.lines <= n {
		return 0, n - u.lines, nil
	}
	skip := u.lines - n
	for err = u.begin(); err == nil; {
		from := u.off + int64(len(u.room))
		err = u.more(from)
		for fresh := u.room[from-u.off:]; ; {
			i := bytes.IndexByte(fresh, '\n')
			if i < 0 {
				break
			}
			from += int64(i) + 1
			fresh = fresh[i+1:]
			if skip--; skip == 0 {
				return from, 0, nil
			}
		}
	}
	return 0, 0, short(err) // it was longer a moment ago
}

func (u *unpacker) close() {
	if u.zst != nil {
		u.zst.Close()
	}
	u.text, u.zst, u.room = nil, nil, nil
}

// originMagic begins a frame that every reader of zstd skips (RFC 8878, 3.1.2). Stay notes in it which file it
// compressed, so that a reader who has that file open finds its place among the others.
const originMagic = 0x184d2a5c

// originSize is the frame's: magic, length, device and inode, little-endian.
const originSize = 4 + 4 + 8 + 8

// originFrame makes the frame.
func originFrame(file ident) []byte {
	b := make([]byte, 0, originSize)
	b = binary.LittleEndian.AppendUint32(b, originMagic)
	b = binary.LittleEndian.AppendUint32(b, originSize-8)
	b = binary.LittleEndian.AppendUint64(b, file.dev)
	return binary.LittleEndian.AppendUint64(b, file.ino)
}

// originOf reads it; the zero ident is none.
func originOf(r io.ReaderAt) ident {
	var b [originSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil || binary.LittleEndian.Uint32(b[:]) != originMagic ||
		binary.LittleEndian.Uint32(b[4:]) != originSize-8 {
		return ident{}
	}
	return ident{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
}
