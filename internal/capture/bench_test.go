package capture

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// benchBytes goes through the pipe in each round, of each contender: 100-byte lines in writes of 64 KiB and less.
const benchBytes = 256 << 20

var benchLines = []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 640))

// BenchmarkCapture has one writer write to every contender in turn, round after round: a copy loop of read and write, both
// kinds of files, and the programs that there are. Each is a process of its own. Only ratios mean something.
func BenchmarkCapture(b *testing.B) {
	type contender struct {
		name string
		argv []string // of a program; else this test binary
	}
	contenders := []contender{
		{name: "copy"}, {name: "raw"}, {name: "stamped"},
		{"cat", []string{"sh", "-c", "exec cat > file"}},
		{"s6-log", []string{"s6-log", "s20000000", "./s6"}},
		{"s6-log-t", []string{"s6-log", "t", "s20000000", "./s6"}},
	}
	contenders = slices.DeleteFunc(contenders, func(c contender) bool {
		if c.argv == nil {
			return false
		}
		_, err := exec.LookPath(c.argv[0])
		if err != nil {
			b.Logf("%s is not measured: there is no %s (Debian package s6)", c.name, c.argv[0])
		}
		return err != nil
	})
	took, cpu := map[string]time.Duration{}, map[string]time.Duration{}
	for b.Loop() {
		for _, c := range contenders {
			argv := c.argv
			if argv == nil {
				argv = []string{os.Args[0]}
			}
			wall, used := race(b, c.name, argv)
			took[c.name] += wall
			cpu[c.name] += used
		}
	}
	for name := range took {
		b.ReportMetric(float64(b.N)*benchBytes/1e6/took[name].Seconds(), name+"_MB/s")
		b.ReportMetric(cpu[name].Seconds()/(float64(b.N)*benchBytes/1e9), name+"_cpu_s/GB")
	}
	b.ReportMetric(took["copy"].Seconds()/took["raw"].Seconds(), "raw/copy")
	if took["s6-log-t"] > 0 {
		b.ReportMetric(took["s6-log-t"].Seconds()/took["stamped"].Seconds(), "stamped/s6-log-t")
	}
}

// race has one contender take in all there is, and returns how long that took and its CPU time.
func race(b *testing.B, name string, argv []string) (wall, cpu time.Duration) {
	dir, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, r, append(os.Environ(), "CAPTURE_CONTENDER="+name)
	begin := time.Now()
	err = cmd.Start()
	r.Close()
	if err != nil {
		b.Fatal(err)
	}
	for left := benchBytes; left > 0; {
		n, err := w.Write(benchLines[:min(left, len(benchLines))])
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
	w.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// contend is the process of a contender of our own: its standard input goes to a file.
func contend(name string) int {
	var err error
	if name == "copy" {
		err = copyLoop()
	} else {
		_ = syscall.SetNonblock(0, true)
		var s *Store
		if s, err = Open(Options{Dir: "log"}); err == nil {
			<-s.Stream("web", 1, os.NewFile(0, "stdin"), Policy{Timestamps: name == "stamped"}).Done()
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func copyLoop() error {
	f, err := os.OpenFile("file", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(0, buf)
		if n <= 0 {
			return err
		}
		if _, err := syscall.Write(int(f.Fd()), buf[:n]); err != nil {
			return err
		}
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

// BenchmarkIdleStreams measures what a thousand streams cost that have written a line and wait: heap, stacks and the pages
// of the marks.
func BenchmarkIdleStreams(b *testing.B) {
	const streams = 1000
	for b.Loop() {
		s, err := Open(Options{Dir: filepath.Join(b.TempDir(), "log")})
		if err != nil {
			b.Fatal(err)
		}
		s.look = time.Millisecond
		ends := make([][2]*os.File, streams)
		for i := range ends {
			if ends[i][0], ends[i][1], err = os.Pipe(); err != nil {
				b.Skipf("%d streams need more descriptors: %v", streams, err)
			}
		}
		before := memory()
		all := make([]*Stream, streams)
		for i := range all {
			all[i] = s.Stream(fmt.Sprintf("service-%d", i), 1, ends[i][0], Policy{Timestamps: true})
			ends[i][1].WriteString("a line\n")
		}
		for _, st := range all {
			for !st.idle() {
				time.Sleep(time.Millisecond)
			}
		}
		for openFiles(b, s) > 0 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(memory()-before)/1024/streams, "KiB/stream")
		b.ReportMetric(float64(slotSize), "mark_B/stream")
		for i, st := range all {
			ends[i][1].Close()
			<-st.Done()
		}
		s.Close()
	}
}

// memory is what the heap and the stacks take, without what is garbage.
func memory() int64 {
	var m runtime.MemStats
	for range 4 { // each halves what stacks do not need, and pools keep what they have over one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkPack is what compressing old files takes.
func BenchmarkPack(b *testing.B) {
	var text bytes.Buffer
	var s stamp
	at := fixed
	for i := 0; text.Len() < 10e6; i++ {
		at = at.Add(time.Duration(i*7919%100_000) * time.Microsecond)
		fmt.Fprintf(&text, "%sGET /api/items/%d?page=%d HTTP/1.1 %d %dms user=%x\n", s.at(at), i*31%9973, i%40, 200+i%5, i*i%997, i*2654435761%(1<<32))
	}
	st, _ := newStore(b)
	st.pace = 0
	p := &packer{store: st}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	var n countWriter
	for b.Loop() {
		n = 0
		if err := p.copy(&n, bytes.NewReader(text.Bytes()), ident{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(text.Len())/float64(n), "ratio")
}

type countWriter int

func (w *countWriter) Write(p []byte) (int, error) {
	*w += countWriter(len(p))
	return len(p), nil
}

// BenchmarkRotation is what compressing takes from those who write: one writer, rotated every 10 MB.
func BenchmarkRotation(b *testing.B) {
	for _, compress := range []bool{false, true} {
		b.Run(fmt.Sprintf("compress=%v", compress), func(b *testing.B) {
			st, _ := newStore(b)
			src := stream(b, st, "web", 1, Policy{MaxSize: 10e6, Keep: 10, Compress: compress})
			b.SetBytes(64 << 20)
			for b.Loop() {
				for n := 0; n < 64<<20; n += len(benchLines) {
					if _, err := src.w.Write(benchLines); err != nil {
						b.Fatal(err)
					}
				}
			}
			src.end()
		})
	}
}
