package capture

import (
	"io"
	"os"
	"syscall"
)

// The forms of an old file: as it was written, as stay compresses it, and as people like to.
const (
	plain = ""
	zst   = ".zst"
	gz    = ".gz"
)

// forms are all of them. Where a file is there in several, the first is the whole one: a kill came before the other could
// take its place.
var forms = [...]string{plain, zst, gz}

// A logFile is a log file that is open for reading, of any form. It has one user.
type logFile struct {
	f      *os.File
	packed *unpacker // nil: plain
}

// logFile opens the file of a name and index for reading, in whatever form it is there.
func (d *dir) logFile(name string, index int) (*logFile, error) {
	for again := false; ; again = true {
		for _, form := range forms {
			if index == 0 && form != plain {
				break
			}
			f, err := d.reader(fileName(name, index) + form)
			if isGone(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return newLogFile(f, form), nil
		}
		if again || index == 0 {
			return nil, d.problem("open", fileName(name, index), syscall.ENOENT)
		}
	}
}

func newLogFile(f *os.File, form string) *logFile {
	s := &logFile{f: f}
	if form != plain {
		s.packed = newUnpacker(f, form)
	}
	return s
}

// ReadAt reads text. It is fast in a compressed file as long as off grows.
func (s *logFile) ReadAt(p []byte, off int64) (int, error) {
	if s.packed != nil {
		return s.packed.ReadAt(p, off)
	}
	return s.f.ReadAt(p, off)
}

// end returns how many bytes of text there are. Of a damaged file it is what can be read.
func (s *logFile) end() (int64, error) {
	if s.packed != nil {
		return s.packed.measure().size, nil
	}
	return s.f.Seek(0, io.SeekEnd)
}

// damage says why text is missing at the end; nil: none is.
func (s *logFile) damage() error {
	if s.packed != nil {
		return s.packed.damage
	}
	return nil
}

// lastLines is lastLines of the text.
func (s *logFile) lastLines(end int64, n int, block []byte) (start int64, missing int, err error) {
	if s.packed == nil || n <= 0 {
		return lastLines(s, end, n, block)
	}
	return s.packed.lastLines(n)
}

// ident tells the file from others.
func (s *logFile) ident() (ident, error) {
	st, err := s.f.Stat()
	if err != nil {
		return ident{}, err
	}
	return identOf(st.Sys().(*syscall.Stat_t)), nil
}

func (s *logFile) close() {
	if s.packed != nil {
		s.packed.close()
	}
	s.f.Close()
}

// has says whether a file stands in the directory at an index, as it is or compressed since.
func (d *dir) has(file ident, name string, index int) bool {
	for _, form := range forms {
		if st, err := d.stat(fileName(name, index) + form); err == nil && identOf(&st) == file {
			return true
		}
	}
	f, err := d.reader(fileName(name, index) + zst)
	if err != nil {
		return false
	}
	defer f.Close()
	return originOf(f) == file
}
