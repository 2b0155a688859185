package keeper

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Memfd is a close-on-exec descriptor that holds data: how configuration outlives an engine. ReadMemfd reads it.
func Memfd(name string, data []byte) (int, error) { return memfd(name, data) }

// ReadMemfd returns all that is in fd, whatever its offset.
func ReadMemfd(fd int) ([]byte, error) { return readMemfd(fd) }

func memfd(name string, data []byte) (int, error) {
	fd, err := unix.MemfdCreate("stay-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd: %w", err)
	}
	if err := writeAt(fd, data, 0); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("memfd: %w", err)
	}
	return fd, nil
}

// writeAt writes all of data.
func writeAt(fd int, data []byte, off int64) error {
	for len(data) > 0 {
		n, err := unix.Pwrite(fd, data, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data, off = data[n:], off+int64(n)
	}
	return nil
}

// maxMemfd bounds what is read from a memfd, in bytes: more is no message of ours.
const maxMemfd = 256 << 20

func readMemfd(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("memfd: it is none")
	}
	if st.Size > maxMemfd {
		return nil, errors.New("memfd: too large")
	}
	data := make([]byte, st.Size)
	for off := 0; off < len(data); {
		n, err := unix.Pread(fd, data[off:], int64(off))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("memfd: %w", err)
		}
		if n == 0 {
			return nil, fmt.Errorf("memfd: %w", io.ErrUnexpectedEOF)
		}
		off += n
	}
	return data, nil
}
