package capture

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// benchBytes goes through the pipe in each round: 100-byte lines in writes of 64 KiB and less.
const benchBytes = 64 << 20

var benchLines = []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 640))

// BenchmarkCapture compares both kinds of files with a plain loop of read and write of 64 KiB, in one run: only the
// ratios mean something.
func BenchmarkCapture(b *testing.B) {
	b.Run("copy loop", func(b *testing.B) {
		bench(b, func(b *testing.B, r *os.File) <-chan struct{} {
			f, err := os.OpenFile(filepath.Join(b.TempDir(), "copy"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer f.Close()
				defer r.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := r.Read(buf)
					if err == io.EOF {
						return
					}
					if _, err := f.Write(buf[:n]); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			return done
		})
	})
	for _, p := range []Policy{{}, {Timestamps: true}} {
		name := map[bool]string{false: "raw", true: "timestamps"}[p.Timestamps]
		b.Run(name, func(b *testing.B) {
			bench(b, func(b *testing.B, r *os.File) <-chan struct{} {
				s, err := Open(Options{Dir: filepath.Join(b.TempDir(), "log")})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				return s.Stream("web", 1, r, p).Done()
			})
		})
	}
}

func bench(b *testing.B, start func(b *testing.B, r *os.File) <-chan struct{}) {
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		r, w, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		done := start(b, r)
		for left := benchBytes; left > 0; {
			n, err := w.Write(benchLines[:min(left, len(benchLines))])
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
		w.Close()
		<-done
	}
}

// TestNoAllocationPerLine counts what a whole stream allocates, from its first line to its end.
func TestNoAllocationPerLine(t *testing.T) {
	for _, p := range []Policy{{}, {Timestamps: true}} {
		s, _ := newStore(t)
		const lines = 20000
		var src *source
		n := testing.AllocsPerRun(3, func() {
			src = stream(t, s, "web", 1, p)
			for range lines / 100 {
				src.say(hundred)
			}
			src.end()
		})
		if n > lines/100 { // pipes, pools, goroutines: not lines
			t.Errorf("timestamps %v: %v allocations for %d lines", p.Timestamps, n, lines)
		}
	}
}

var hundred = strings.Repeat("a line of a service\n", 100)

// TestNumberedLinesComeOutComplete is the promise in one: a hundred thousand lines, over many files, in order.
func TestNumberedLinesComeOutComplete(t *testing.T) {
	const lines = 100_000
	for _, p := range []Policy{{MaxSize: 500_000, Keep: 50}, {MaxSize: 500_000, Keep: 50, Timestamps: true}} {
		s, err := Open(Options{Dir: filepath.Join(t.TempDir(), "log")})
		if err != nil {
			t.Fatal(err)
		}
		src := stream(t, s, "web", 1, p)
		before := time.Now().Truncate(time.Microsecond)
		go src.lines(lines, "line")
		src.wait()
		s.Close()
		got, err := Tail(s.dir.path, "web", -1)
		if err != nil || len(got) != lines {
			t.Fatalf("%d lines, want %d (%v)", len(got), lines, err)
		}
		for i, l := range got {
			if l.Text != fmt.Sprintf("line %d", i) {
				t.Fatalf("line %d is %q", i, l.Text)
			}
			if p.Timestamps && (l.Time.Before(before) || l.Time.After(time.Now())) {
				t.Fatalf("line %d is of %v", i, l.Time)
			}
		}
		if n := len(files(t, s)); n < 3 {
			t.Errorf("%d files", n)
		}
	}
}
