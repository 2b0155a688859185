package pulse

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// inMemory is a directory where pages are: tmpfs, if there is one.
func inMemory(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pulse-test-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func benchPulse(b *testing.B) *Pulse {
	b.Helper()
	path := filepath.Join(inMemory(b), "page")
	data := make([]byte, 4096)
	copy(data, header(31))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	p := opened(b, path).start("bench", 0, 0)
	if p.Err() != nil {
		b.Fatal(p.Err())
	}
	return p
}

// A beat, beside what is on the market: a datagram for each, and a file whose time is looked at.

func BenchmarkBeat(b *testing.B) {
	p := benchPulse(b)
	b.ReportAllocs()
	for b.Loop() {
		p.Beat()
	}
}

// BenchmarkClock is the part of a beat that is not ours: Go's monotonic clock.
func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_ = time.Since(clockZero)
	}
}

func BenchmarkBeatOutside(b *testing.B) {
	p := dead(ErrOutside)
	for b.Loop() {
		p.Beat()
	}
}

func BenchmarkNote(b *testing.B) {
	p := benchPulse(b)
	b.ReportAllocs()
	for b.Loop() {
		p.Note("merging segment 41")
	}
}

func BenchmarkStartClose(b *testing.B) {
	pg := benchPulse(b).page
	for b.Loop() {
		pg.start("x", 0, 0).Close()
	}
}

// BenchmarkSdNotify sends WATCHDOG=1 on a connection that stays open, to a reader that does nothing but read.
func BenchmarkSdNotify(b *testing.B) {
	address := &net.UnixAddr{Name: filepath.Join(inMemory(b), "notify"), Net: "unixgram"}
	reader, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	go func() {
		var buf [4096]byte
		for {
			if _, err := reader.Read(buf[:]); err != nil {
				return
			}
		}
	}()
	conn, err := net.DialUnix("unixgram", nil, address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	message := []byte("WATCHDOG=1")
	for b.Loop() {
		if _, err := conn.Write(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFchmod(b *testing.B) {
	f, err := os.Create(filepath.Join(inMemory(b), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for mode := uint32(0); b.Loop(); mode ^= 1 {
		if err := syscall.Fchmod(int(f.Fd()), 0o600|mode); err != nil {
			b.Fatal(err)
		}
	}
}
