package clients

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkBeat is what one beat costs in each language: ns/beat is measured by the program itself, in a loop.
func BenchmarkBeat(b *testing.B) {
	for _, l := range languages {
		if l.name == "c with sanitizers" {
			continue
		}
		b.Run(l.name, func(b *testing.B) {
			p := newPage(b, 31)
			d := drive(b, l, p.path)
			d.do("start 0 0 bench")
			d.do("bench 0 1000") // warm
			b.ResetTimer()
			took := d.do("bench 0 %d", b.N)
			b.StopTimer()
			b.ReportMetric(float64(took)/float64(b.N), "ns/beat")
			d.end()
		})
	}
}

// BenchmarkSdNotify is one WATCHDOG=1 datagram, which is read by somebody who waits for it.
func BenchmarkSdNotify(b *testing.B) {
	address := &net.UnixAddr{Name: filepath.Join(b.TempDir(), "notify"), Net: "unixgram"}
	reader, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		b.Fatal(err)
	}
	read := make(chan int)
	go func() {
		buffer, count := make([]byte, 4096), 0
		for {
			if _, err := reader.Read(buffer); err != nil {
				read <- count
				return
			}
			count++
		}
	}()
	writer, err := net.DialUnix("unixgram", nil, address)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte("WATCHDOG=1")
	for b.Loop() {
		if _, err := writer.Write(message); err != nil {
			b.Fatal(err)
		}
	}
	writer.Close()
	reader.Close()
	if count := <-read; count > b.N {
		b.Errorf("%d datagrams were read, %d sent", count, b.N)
	}
}

// BenchmarkFchmod is the cheapest sign of life through the file system: fchmod of a file in memory.
func BenchmarkFchmod(b *testing.B) {
	file, err := os.OpenFile(newPage(b, 31).path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	mode := os.FileMode(0o600)
	for b.Loop() {
		mode ^= 0o010
		if err := file.Chmod(mode); err != nil {
			b.Fatal(err)
		}
	}
}
