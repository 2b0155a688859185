package keeper

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadMirror returns the table of a keeper that was killed, as far as whole entries of it are there: a torn or strange one
// counts as none. The error is fs.ErrNotExist if there is no mirror; after any other, this one is not to be believed: it is
// somebody else's, of another boot, or of another version.
//
// It is as hostile as any file: nothing in the Image is more than a claim about processes.
func ReadMirror(m Mirror) (*Image, error) {
	path := filepath.Join(m.Dir, mirrorName)
	f, err := openOwn(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMirror))
	if err != nil {
		return nil, err
	}
	img, err := parseMirror(data, m.head())
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return img, nil
}

// openOwn opens a regular file that nobody but this user can have written.
func openOwn(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0) {
		err = unix.EPERM
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// parseMirror makes an Image of the bytes of a mirror whose first slot has to say what want says.
func parseMirror(data []byte, want mirrorHead) (*Image, error) {
	text, _, ok := readEntry(data)
	var head mirrorHead
	switch {
	case !ok || json.Unmarshal(text, &head) != nil:
		return nil, errors.New("its first slot makes no sense")
	case head.Boot != want.Boot || head.PidNS != want.PidNS:
		return nil, errors.New("it is of another boot, or of another container")
	case head != want:
		return nil, errors.New("it is of another daemon, or of another version of stay")
	}
	img := &Image{}
	var newest uint64              // the daemon's own entry
	at := map[string]int{}         // unit: index in img.Rows
	numbers := map[string]uint64{} // unit: sequence number
	for slot := 1; slot*slotSize < len(data); {
		e := data[slot*slotSize:]
		text, slots, ok := readEntry(e)
		if !ok {
			slot++
			continue
		}
		slot += slots
		number := binary.NativeEndian.Uint64(e[sequenceAt:])
		if daemon, ok := daemonOf(text); ok {
			if number > newest {
				newest, daemon.Rows = number, img.Rows
				*img = daemon
			}
			continue
		}
		r, ok := rowOf(text)
		if i, twice := at[r.Unit]; ok && twice && number > numbers[r.Unit] {
			img.Rows[i], numbers[r.Unit] = r, number
		} else if ok && !twice {
			at[r.Unit], numbers[r.Unit] = len(img.Rows), number
			img.Rows = append(img.Rows, r)
		}
	}
	if newest == 0 {
		return nil, errors.New("what it says of the daemon as a whole is torn")
	}
	return img, nil
}

// readEntry is the text of the entry at the beginning of data, and how many slots it takes. It is false where no entry
// begins, or a torn one.
func readEntry(data []byte) (text []byte, slots int, ok bool) {
	if len(data) < headSize {
		return nil, 0, false
	}
	native := binary.NativeEndian
	n, length := int64(native.Uint32(data[slotsAt:])), int64(native.Uint32(data[lengthAt:]))
	if native.Uint32(data[magicAt:]) != entryMagic || n < 1 || n > maxSlots || length > n*slotSize-headSize || length > int64(len(data)-headSize) {
		return nil, 0, false
	}
	if crc32.Checksum(data[sequenceAt:headSize+length], castagnoli) != native.Uint32(data[checksumAt:]) {
		return nil, 0, false
	}
	return data[headSize : headSize+length], int(n), true
}

// daemonEntry is the entry of the daemon as a whole: an Image whose rows are entries of their own.
type daemonEntry struct {
	Daemon *Image `json:"keeper"`
}

func daemonOf(text []byte) (Image, bool) {
	var d daemonEntry
	if json.Unmarshal(text, &d) != nil || d.Daemon == nil {
		return Image{}, false
	}
	return *d.Daemon, true
}

// rowOf reads a row, and refuses one that no keeper can have written.
func rowOf(text []byte) (RowImage, bool) {
	var r RowImage
	if json.Unmarshal(text, &r) != nil {
		return r, false
	}
	switch r.State {
	case NoProcess, InSpawn, Alive, Ended, NotBorn:
	default:
		return r, false
	}
	ended := (r.State == Ended) == (r.Exit != nil) && (r.State == NotBorn) == (r.Failure != nil)
	return r, ended && r.Unit != "" && len(r.Unit) <= maxName && !strings.ContainsAny(r.Unit, "/\x00") && len(r.Files) <= maxFiles &&
		len(r.Inodes) <= len(r.Files) && r.Main >= 0 && r.Main <= maxPid
}

// maxPid is the highest pid that Linux gives (PID_MAX_LIMIT).
const maxPid = 4 << 20
