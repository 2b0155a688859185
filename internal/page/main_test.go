package page

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"example.com/stay/pulse"
)

// TestMain also is the program that TestPulse runs as another process.
func TestMain(m *testing.M) {
	if os.Getenv("PAGE_TEST") == "writer" {
		writer()
		return
	}
	os.Exit(m.Run())
}

// writers is how many goroutines the writing program has.
const writers = 16

// writer has a pulse in each goroutine; goroutine i makes i beats. It says when they are done, and stays until its input ends.
func writer() {
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			p := pulse.Start(fmt.Sprint("loop ", i), time.Duration(i)*time.Second)
			if p.Err() != nil {
				panic(p.Err())
			}
			p.Note(fmt.Sprint("at ", i))
			p.Progress(uint64(100 + i))
			for range i {
				p.Beat()
			}
			switch i {
			case 1:
				p.Pause()
			case 2:
				p.Idle()
			case 3:
				p.Extend(time.Hour)
			case 4:
				p.Close()
			}
		})
	}
	wg.Wait()
	fmt.Println("done")
	var buf [1]byte
	_, _ = os.Stdin.Read(buf[:])
}

// start runs the writing program with a page, and returns when its goroutines are done.
func start(t *testing.T, place string, extra ...*os.File) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PAGE_TEST=writer", "STAY_PULSE="+place, "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = extra
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	var word string
	if _, err := fmt.Fscanln(out, &word); err != nil || word != "done" {
		t.Fatalf("it said %q: %v", word, err)
	}
}

// privateDir is a directory of this user's alone, in memory if there is a place for that.
func privateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "page-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// own are options for a page of this user's.
func own(slots int) Options { return Options{Slots: slots, UID: -1, GID: -1} }

// made is a page that is there until the test ends.
func made(t testing.TB, dir, name string, o Options) *os.File {
	t.Helper()
	f, _, err := Make(dir, name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A raw slot, by the offsets of the contract.
type raw struct {
	beat, count, limit, progress uint64
	state, tid                   uint32
	name, note                   string
}

func (r raw) bytes() []byte {
	b := make([]byte, 128)
	n := binary.NativeEndian
	n.PutUint64(b[0:], r.beat)
	n.PutUint64(b[8:], r.count)
	n.PutUint64(b[16:], r.limit)
	n.PutUint32(b[24:], r.state)
	n.PutUint32(b[28:], r.tid)
	n.PutUint64(b[32:], r.progress)
	copy(b[40:64], r.name)
	copy(b[64:128], r.note)
	return b
}

// put stores raw slot i.
func put(t testing.TB, f *os.File, i int, r raw) {
	t.Helper()
	if _, err := f.WriteAt(r.bytes(), int64(128+128*i)); err != nil {
		t.Fatal(err)
	}
}

// read reads n slots.
func read(t testing.TB, f *os.File, n int) []Slot {
	t.Helper()
	slots, err := Read(f, n, &Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	return slots
}
