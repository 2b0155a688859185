package capture

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An heir is what a sink knows from a store that was killed, until it writes.
type heir struct {
	file ident
	size int64 // of file, if what the mark says of its end is true
}

// inherit reads the mark. The file is looked at when it is opened: readers are told now where it will end.
func (k *sink) inherit() {
	m := k.mark
	if m.file == (ident{}) {
		return
	}
	h := &heir{file: m.file, size: m.end}
	if phase(m.phase.Load()) == writing {
		h.size = m.offset
	}
	k.heir, k.end = h, m.now
	if !k.fresh && k.file == m.file && m.half(k.size) {
		k.size, k.state.end = h.size, h.size
	}
	k.state.partial = h.knows(k.file, k.size) && k.end.mid && k.end.owned
}

// knows says whether what the mark says is true of a file.
func (h *heir) knows(file ident, size int64) bool { return h.file == file && h.size == size }

// half says whether a file of that size can hold a piece that was begun, or a part of it, and nothing after it.
func (s *slot) half(size int64) bool {
	return phase(s.phase.Load()) == writing && size > s.offset && size <= s.offset+s.length
}

// cutBack takes a piece that was begun, and is in the pipe still, out of the file that is open, which has size bytes, or
// out of wherever that file was moved to. It returns how long the open file is then.
func (k *sink) cutBack(size int64) (int64, error) {
	m := k.mark
	switch {
	case m.file != k.file:
		k.cutBackMoved()
	case m.half(size):
		if err := truncate(k.fd, m.offset); err != nil && err != syscall.EPERM { // a file that only grows keeps it
			return size, k.home.dir.problem("truncate", fileName(k.home.name, 0), err)
		} else if err == nil {
			size = m.offset
		}
	}
	m.undo()
	return size, nil
}

// cutBackMoved does it in a file that has another name now, if that is in the directory. Where it is not, the piece stays
// there too.
func (k *sink) cutBackMoved() {
	d, m := k.home.dir, k.mark
	for _, file := range d.list(fileName(k.home.name, 0)) {
		if st, err := d.stat(file); err != nil || identOf(&st) != m.file {
			continue
		}
		fd, st, err := d.open(file, openWrite&^syscall.O_CREAT)
		if err != nil {
			return
		}
		if identOf(&st) == m.file && m.half(st.Size) {
			_ = truncate(fd, m.offset)
		}
		syscall.Close(fd)
		return
	}
}

// takeBack does it after a write that failed. Where it cannot be done now it is when the file is opened again.
func (k *sink) takeBack() {
	var st syscall.Stat_t
	if err := syscall.Fstat(k.fd, &st); err == nil {
		_, _ = k.cutBack(st.Size)
	}
}

func truncate(fd int, size int64) error {
	for {
		if err := syscall.Ftruncate(fd, size); err != syscall.EINTR {
			return err
		}
	}
}

// list returns the files of the directory whose names begin like this.
func (d *dir) list(prefix string) []string {
	var names []string
	_ = d.at(func(at int) error {
		fd, err := unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), d.path)
		defer f.Close()
		names, err = f.Readdirnames(-1)
		return err
	})
	var found []string
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			found = append(found, name)
		}
	}
	return found
}
