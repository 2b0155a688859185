//go:build linux

package pulse

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// This file is what only Linux has. other.go is in its place elsewhere.

// openPage maps the page at place: a path, or fd:N, an inherited descriptor.
func openPage(place string) (*page, error) {
	f, err := open(place)
	if err != nil {
		return nil, err
	}
	pg, err := mapPage(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	pg.place = place
	return pg, nil
}

// open opens place. The inherited descriptor itself is left as it is, for the program's children.
func open(place string) (*os.File, error) {
	number, inherited := strings.CutPrefix(place, "fd:")
	if !inherited {
		// A pipe or a device that stands there must not make the program wait.
		fd, err := syscall.Open(place, syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), place), nil
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, errors.New("it is no descriptor: fd: and a number is expected")
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Dup(int(n))
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), place), nil
}

// mapPage looks at a file before it maps it.
func mapPage(f *os.File) (*page, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil, errors.New("it is no regular file")
	}
	var header [headerSize]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return nil, errors.New("it has no header")
	}
	length, err := checkHeader(header[:], st.Size)
	if err != nil {
		return nil, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, length, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// A child of fork that is not Go must not beat for its parent.
	_ = syscall.Madvise(data, syscall.MADV_DONTFORK)
	return &page{file: lockFile{f: f, dev: uint64(st.Dev), ino: st.Ino}, data: data, slots: slotsOf(data)}, nil
}

// A lockFile is the page's file, for byte locks.
type lockFile struct {
	f        *os.File
	dev, ino uint64
}

// lock locks 4 bytes of the page for this process, without waiting. False: another process has them. A lock that cannot be had
// for another reason is as good as had: it protects only from writers without compare-and-swap.
func (l lockFile) lock(at int) bool {
	err := l.fcntl(at, syscall.F_WRLCK)
	return err != syscall.EAGAIN && err != syscall.EACCES
}

func (l lockFile) unlock(at int) { _ = l.fcntl(at, syscall.F_UNLCK) }

func (l lockFile) fcntl(at int, kind int16) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(l.f.Fd()), &st); err != nil {
		return err
	}
	if uint64(st.Dev) != l.dev || st.Ino != l.ino {
		return syscall.EBADF // the program closed all descriptors, and this number is something else now
	}
	return syscall.FcntlFlock(l.f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: kind, Start: int64(at), Len: 4})
}

// Go's monotonic clock is CLOCK_MONOTONIC with another zero, so one difference serves for ever.
var (
	clockZero   = time.Now()
	clockOffset = calibrate()
)

// now is CLOCK_MONOTONIC in ns. It is never ahead of the kernel's, and behind by what calibrate could not see, well below a µs.
func now() int64 { return clockOffset + int64(time.Since(clockZero)) }

// calibrate is what to add to the time since clockZero. The kernel is asked between two looks at Go's clock, and the attempt
// with the closest two looks counts.
func calibrate() int64 {
	offset, best := int64(0), int64(-1)
	for range 5 {
		before := int64(time.Since(clockZero))
		kernel := monotonic()
		after := int64(time.Since(clockZero))
		if d := after - before; best < 0 || d < best {
			offset, best = kernel-after, d
		}
	}
	return offset
}

// monotonic asks the kernel.
func monotonic() int64 {
	const clockMonotonic = 1
	var ts syscall.Timespec
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func threadID() int { return syscall.Gettid() }
