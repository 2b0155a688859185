package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// openPacked makes the file that a compressed one is written to. It is never somebody else's.
const openPacked = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_EXCL | syscall.O_NOFOLLOW | syscall.O_CLOEXEC

// packBlock is how much is compressed between two rests.
const packBlock = 128 << 10

// packWindow is how far back repetitions are found: longer windows make logs little smaller, and cost memory.
const packWindow = 512 << 10

// firstPacked is the youngest old file that is compressed. The one before stays as it is: whoever is a little behind
// reads on in it, and a restart finds the end of what was written in it.
const firstPacked = 2

var errClosing = errors.New("the logs are being closed")

// A packer compresses old files, one at a time. It is made for a few of them, and then forgotten with its memory.
type packer struct {
	store *Store
	zst   *zstd.Encoder
	block []byte
}

// packed is the name under which a file is compressed: it begins with a dot, so no reader and no rotation knows it. What a
// killed process left of it is removed by the next that uses the name.
func packed(name string) string { return "." + fileName(name, 0) + zst }

// packAll compresses the old files of a sink, the youngest first: where files are deleted faster than they are compressed, it
// is worth most. What a rotation brings meanwhile is asked for by that rotation. One that cannot be compressed does not
// keep the others from it.
func (p *packer) packAll(k *sink) (first error) {
	d := k.home.dir
	_ = d.remove(packed(k.home.name))
	for _, old := range d.oldFiles(k.home.name) {
		if old.index < firstPacked || old.forms.first() != 1 {
			continue
		}
		file := fileName(k.home.name, old.index)
		err := p.pack(k, file)
		if err == nil {
			continue
		}
		_ = d.remove(packed(k.home.name))
		if err == errClosing {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("compress %q: %w; it is kept as it is", filepath.Join(d.path, file), err)
		}
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
	}
	return first
}

// pack compresses one file. That rotation has moved it meanwhile, or deleted it, is no error.
func (p *packer) pack(k *sink, file string) error {
	d := k.home.dir
	from, err := d.reader(file)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	var st syscall.Stat_t
	if err := statOf(from, &st); err != nil {
		return err
	}
	fd, _, err := d.open(packed(k.home.name), openPacked)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := p.copy(fdWriter{p.store, fd}, from, identOf(&st)); err != nil {
		return cause(err)
	}
	if err := finishLike(fd, &st); err != nil {
		return err
	}
	p.store.at(atPacked)
	return k.replace(identOf(&st))
}

// An fdWriter writes like a store does.
type fdWriter struct {
	store *Store
	fd    int
}

// Write implements io.Writer.
func (w fdWriter) Write(p []byte) (done int, err error) {
	for done < len(p) && (err == nil || err == syscall.EINTR) {
		var n int
		n, err = w.store.write(w.fd, p[done:])
		if done += max(n, 0); n <= 0 && err == nil {
			err = io.ErrShortWrite
		}
	}
	if done == len(p) {
		err = nil
	}
	return done, err
}

// copy writes the compressed form of from. It rests four times as long as it works.
func (p *packer) copy(to io.Writer, from io.Reader, file ident) error {
	if p.zst == nil {
		var err error
		p.zst, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return err
		}
		p.block = make([]byte, packBlock)
	}
	if _, err := to.Write(originFrame(file)); err != nil {
		return err
	}
	p.store.at(atPacking)
	p.zst.Reset(to)
	defer p.zst.Reset(nil)
	for {
		began := time.Now()
		n, err := io.ReadFull(from, p.block)
		if n > 0 {
			if _, err := p.zst.Write(p.block[:n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return p.zst.Close()
		default:
			return err
		}
		if err := p.store.idle(p.store.pace * time.Since(began)); err != nil {
			return err
		}
	}
}

// idle lets time go by, unless the store is closed.
func (s *Store) idle(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.closed:
		return errClosing
	case <-t.C:
		return nil
	}
}

// finishLike gives a compressed file owner, mode and time of the one it stands for. It has to be on the disk before that
// is removed: a power cut must not cost lines that were safe before.
func finishLike(fd int, st *syscall.Stat_t) error {
	var now syscall.Stat_t
	if err := syscall.Fstat(fd, &now); err != nil {
		return err
	}
	if now.Uid != st.Uid || now.Gid != st.Gid {
		_ = syscall.Fchown(fd, int(st.Uid), int(st.Gid)) // only root can; else it belongs to who reads it anyway
	}
	if err := syscall.Fchmod(fd, st.Mode&0o777); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	if err := unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("set time: %w", err)
	}
	if err := unix.Fdatasync(fd); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// replace puts the compressed form where the file is by now. Readers find one of them at any time.
func (k *sink) replace(file ident) error {
	k.names.Lock()
	defer k.names.Unlock()
	d := k.home.dir
	for i, holes := 1, 0; holes <= holesAllowed; i++ {
		name := fileName(k.home.name, i)
		st, err := d.stat(name)
		switch {
		case err == nil && identOf(&st) == file:
			if err := d.rename(packed(k.home.name), name+zst); err != nil {
				return err
			}
			k.store.at(atReplaced)
			return d.remove(name)
		case err != nil && d.formsAt(k.home.name, i) == 0:
			holes++
		default:
			holes = 0
		}
	}
	return d.remove(packed(k.home.name)) // it was deleted meanwhile
}

func statOf(f *os.File, st *syscall.Stat_t) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Fstat(int(fd), st) })
	return errors.Join(err, failed)
}
