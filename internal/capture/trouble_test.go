package capture

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A disk is a write(2) that can be full and that writes less than it is asked to.
type disk struct {
	full  atomic.Bool
	most  atomic.Int64 // bytes one write takes; 0: all
	tries atomic.Int64
	after atomic.Int64 // bytes until it is full; below 0: never
}

func (d *disk) write(fd int, p []byte) (int, error) {
	d.tries.Add(1)
	if d.full.Load() {
		return -1, syscall.ENOSPC
	}
	if most := d.most.Load(); most > 0 && int64(len(p)) > most {
		p = p[:most]
	}
	if left := d.after.Load(); left >= 0 {
		if left == 0 {
			return -1, syscall.ENOSPC
		}
		p = p[:min(int64(len(p)), left)]
		d.after.Add(-int64(len(p)))
	}
	return syscall.Write(fd, p)
}

func newDisk(s *Store) *disk {
	d := &disk{}
	d.after.Store(-1)
	s.write = d.write
	return d
}

func TestFullDiskLosesNothingAndIsReportedOnce(t *testing.T) {
	s, r := newStore(t)
	d := newDisk(s)
	src := stream(t, s, "web", 1, raw)
	src.say("first\n")
	waitContent(t, s, "web.log", "first\n")
	d.after.Store(10) // in the middle of the third line
	tries := d.tries.Load()
	src.say("second\nthird\n")
	eventually(t, "the write is tried again", func() bool { return d.tries.Load() > tries+5 })
	eventually(t, "a full disk has whole lines", func() bool { return content(t, s, "web.log") == "first\n" })
	if got := r.all(); len(got) != 1 || !strings.Contains(got[0], "no space left on device") || !strings.Contains(got[0], "web.log") {
		t.Errorf("reported %q, want one full disk", got)
	}
	d.after.Store(-1)
	src.say("fourth\n")
	src.end()
	if got := content(t, s, "web.log"); got != "first\nsecond\nthird\nfourth\n" {
		t.Errorf("got %q", got)
	}
	if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
		t.Errorf("reported %q, want the end of it too", got)
	}
}

func TestFullDiskHoldsTheServiceNotTheOthers(t *testing.T) {
	s, _ := newStore(t)
	var full atomic.Bool
	full.Store(true)
	s.write = func(fd int, p []byte) (int, error) {
		if strings.HasPrefix(string(p), "bad") && full.Load() {
			return -1, syscall.ENOSPC
		}
		return syscall.Write(fd, p)
	}
	ill, well := stream(t, s, "ill", 1, raw), stream(t, s, "well", 1, raw)
	written := make(chan error, 1)
	flood := strings.Repeat("bad line\n", 1<<16)
	go func() {
		_, err := ill.w.WriteString(flood)
		written <- err
	}()
	for i := range 100 {
		well.say("good\n")
		waitContent(t, s, "well.log", strings.Repeat("good\n", i+1))
	}
	well.end()
	select {
	case err := <-written:
		t.Fatalf("the service did not have to wait (%v)", err)
	default:
	}
	full.Store(false)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	ill.end()
	if got := content(t, s, "ill.log"); got != flood {
		t.Errorf("%d bytes came out, want %d", len(got), len(flood))
	}
}

func TestShortWritesGoOnWhereTheyStopped(t *testing.T) {
	for most := int64(1); most < 40; most += 6 {
		s, r := newStore(t)
		newDisk(s).most.Store(most)
		src := stream(t, s, "web", 1, Policy{MaxSize: 200, Keep: 100, Timestamps: true})
		src.lines(50, "number")
		src.wait()
		got, err := s.Tail("web", -1)
		if err != nil || len(got) != 50 {
			t.Fatalf("%d bytes a write: %d lines, want 50 (%v)", most, len(got), err)
		}
		for i, l := range got {
			if l.Text != fmt.Sprintf("number %d", i) {
				t.Fatalf("%d bytes a write: line %d is %q", most, i, l.Text)
			}
		}
		if got := r.all(); len(got) > 0 {
			t.Errorf("reported %q", got)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(file, other string) error
		want string
	}{
		{"symbolic link", func(file, other string) error { return os.Symlink(other, file) }, "symbolic link"},
		{"hard link", func(file, other string) error { return os.Link(other, file) }, "linked under another name"},
		{"fifo", func(file, other string) error { return syscall.Mkfifo(file, 0o600) }, "no regular file"},
		{"directory", func(file, other string) error { return os.Mkdir(file, 0o700) }, "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newStore(t)
			put(t, s, "precious", "precious\n")
			if err := c.make(s.file("web.log"), s.file("precious")); err != nil {
				t.Fatal(err)
			}
			src := stream(t, s, "web", 1, raw)
			src.say("a\n")
			eventually(t, "it is reported", func() bool { return len(r.all()) > 0 })
			if got := r.all()[0]; !strings.Contains(got, c.want) || !strings.Contains(got, "web.log") {
				t.Errorf("reported %q, want %q", got, c.want)
			}
			if _, err := Tail(s.dir.path, "web", 1); c.name != "directory" && err == nil {
				t.Error("it was read")
			}
			if err := os.Remove(s.file("web.log")); err != nil {
				t.Fatal(err)
			}
			src.end()
			if got := content(t, s, "web.log"); got != "a\n" {
				t.Errorf("got %q after it was moved away", got)
			}
			if got := content(t, s, "precious"); got != "precious\n" {
				t.Errorf("the other file is %q", got)
			}
			if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
				t.Errorf("reported %q", got)
			}
		})
	}
}

func TestTroubleIsReportedOncePerChange(t *testing.T) {
	s, r := newStore(t)
	k := newSink(s, "web")
	write, rotate := errors.New("write"), errors.New("rotate")
	for _, step := range []struct {
		kind int
		err  error
		want []string
	}{
		{illWrite, nil, nil},
		{illRotate, rotate, []string{"web: rotate"}},
		{illRotate, rotate, nil},
		{illWrite, write, []string{"web: write"}},
		{illWrite, write, nil},
		{illRotate, nil, nil},
		{illRotate, nil, nil},
		{illWrite, nil, []string{"web: <nil>"}},
		{illWrite, write, []string{"web: write"}},
		{illWrite, nil, []string{"web: <nil>"}},
	} {
		before := len(r.all())
		k.trouble(step.kind, step.err)
		if got := r.all()[before:]; !slices.Equal(got, step.want) {
			t.Errorf("kind %d, %v: reported %q, want %q", step.kind, step.err, got, step.want)
		}
	}
}

func TestRealFullDisk(t *testing.T) {
	if os.Getenv("CAPTURE_FULL_DISK") == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root: a small file system in a mount namespace of its own")
		}
		self := exec.Command(os.Args[0], "-test.run=^TestRealFullDisk$", "-test.v")
		self.Env = append(os.Environ(), "CAPTURE_FULL_DISK="+t.TempDir())
		self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := self.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("no right to make a mount namespace")
		}
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("no right to mount in a namespace of its own")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS: TestRealFullDisk") {
			t.Fatalf("in a namespace: %v\n%s", err, out)
		}
		return
	}
	dir := os.Getenv("CAPTURE_FULL_DISK")
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skip(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0750"); err != nil {
		t.Skip(err)
	}
	fillAndFree(t, dir)
}

// fillAndFree writes more than the disk at dir holds and makes room when it is full.
func fillAndFree(t *testing.T, dir string) {
	r := &reports{}
	s, err := Open(Options{Dir: dir, Report: r.add})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "ballast", strings.Repeat("b", 600<<10))
	const lines = 8000
	src := stream(t, s, "web", 1, stamped)
	go src.lines(lines, "a line with some text, number")
	eventually(t, "the disk is full", func() bool { return len(r.all()) == 1 })
	if got := r.all()[0]; !strings.Contains(got, "no space left") {
		t.Errorf("reported %q", got)
	}
	if err := os.Remove(s.file("ballast")); err != nil {
		t.Fatal(err)
	}
	src.wait()
	got, err := s.Tail("web", -1)
	if err != nil || len(got) != lines {
		t.Fatalf("%d lines, want %d (%v)", len(got), lines, err)
	}
	for i, l := range got {
		if l.Text != fmt.Sprintf("a line with some text, number %d", i) || l.Time.IsZero() {
			t.Fatalf("line %d is %q", i, l.Text)
		}
	}
	if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
		t.Errorf("reported %q", got)
	}
}

// TestRandomTrouble: two generations that write as they like, small files, and a disk that takes a part of a write, or
// nothing, or a part before it fails. Every letter of each generation must be there, once and in order.
func TestRandomTrouble(t *testing.T) {
	for seed := range uint64(6) {
		for _, timestamps := range []bool{false, true} {
			s, _ := newStore(t)
			s.retryMin, s.retryMax = time.Microsecond, 10*time.Microsecond
			var mu sync.Mutex
			disk := rand.New(rand.NewPCG(seed, 1))
			s.write = func(fd int, p []byte) (int, error) {
				mu.Lock()
				n, fails := disk.IntN(2*len(p)+1), disk.IntN(3) == 0
				mu.Unlock()
				if n = min(n, len(p)); n > 0 {
					if _, err := syscall.Write(fd, p[:n]); err != nil {
						return -1, err
					}
				}
				if fails || n == 0 {
					return -1, syscall.ENOSPC // also when it took a part: the next write would say so
				}
				return n, nil
			}
			var want [2]string
			var sources [2]*source
			for i := range sources {
				sources[i] = stream(t, s, "web", uint64(i), Policy{Timestamps: timestamps, MaxSize: 1500, Keep: 1000})
			}
			dice := rand.New(rand.NewPCG(seed, 2))
			for range 300 {
				i := dice.IntN(2)
				text := make([]byte, 1+dice.IntN(40))
				for n := range text {
					text[n] = byte(map[int]int{0: 'a', 1: 'n'}[i] + dice.IntN(13))
					if dice.IntN(12) == 0 {
						text[n] = '\n'
					}
				}
				want[i] += strings.ReplaceAll(string(text), "\n", "")
				sources[i].say(string(text))
			}
			sources[0].end()
			sources[1].end()
			lines, err := s.Tail("web", -1)
			if err != nil {
				t.Fatal(err)
			}
			var got [2]string
			for _, l := range lines {
				text := strings.TrimPrefix(l.Text, Mark)
				if text == "" {
					continue
				}
				i := 0
				if text[0] >= 'n' {
					i = 1
				}
				got[i] += text
			}
			if got != want {
				t.Errorf("seed %d, timestamps %v: got %d and %d letters, want %d and %d", seed, timestamps, len(got[0]), len(got[1]), len(want[0]), len(want[1]))
			}
		}
	}
}
