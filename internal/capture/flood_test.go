package capture

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipeSize is the size of a stream's pipe.
func pipeSize(t *testing.T, w *os.File) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fdNumber(t, w)), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPipeIsLargerDuringAFlood(t *testing.T) {
	s, r := newStore(t)
	s.look = time.Millisecond
	src := stream(t, s, "web", 1, raw)
	usual := pipeSize(t, src.w)
	if usual < chunkSize {
		t.Skipf("this user's pipes have %d bytes", usual)
	}
	src.say("a line\n")
	eventually(t, "the line is written", func() bool { return content(t, s, "web.log") != "" })
	if got := pipeSize(t, src.w); got != usual {
		t.Errorf("a line makes the pipe %d bytes large, it had %d", got, usual)
	}
	block := strings.Repeat(strings.Repeat("x", 63)+"\n", 16<<10)
	said := 0
	s.turnOff(t, "web", func() { // all that is said now comes in large chunks
		go func() {
			for range 4 {
				src.say(block)
			}
			src.say("end\n")
		}()
		eventually(t, "the pipe is full", func() bool { return src.s.waiting() >= chunkSize })
	})
	said = 4*len(block) + len("a line\nend\n")
	grown := false
	eventually(t, "all is written", func() bool {
		grown = grown || pipeSize(t, src.w) == floodPipe
		info, err := os.Stat(s.file("web.log"))
		return err == nil && info.Size() == int64(said)
	})
	eventually(t, "the pipe is what it was", func() bool { return pipeSize(t, src.w) == usual })
	src.end()
	if !grown {
		t.Log("the pipe was never seen larger") // the flood was over before
	}
	if len(r.all()) > 0 {
		t.Errorf("reported %q", r.all())
	}
}

// turnOff keeps the turn of a name while what runs.
func (s *Store) turnOff(t *testing.T, name string, what func()) {
	t.Helper()
	s.mu.Lock()
	k := s.sinks[name]
	s.mu.Unlock()
	k.turn.Lock()
	defer k.turn.Unlock()
	what()
}

func TestFlood(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	usual := pipeSize(t, w)
	if usual < chunkSize {
		t.Skipf("this user's pipes have %d bytes", usual)
	}
	st := &Stream{fd: fdNumber(t, r)}
	for _, step := range []struct {
		n    int
		ebb  bool
		want int
	}{
		{n: chunkSize, want: usual}, {n: chunkSize, want: usual}, {n: 10, want: usual},
		{n: chunkSize, want: usual}, {n: chunkSize / 2, want: usual}, {n: chunkSize, want: usual}, {n: chunkSize, want: floodPipe},
		{n: 10, want: floodPipe}, {n: chunkSize, want: floodPipe}, {ebb: true, want: usual}, {ebb: true, want: usual},
		{n: chunkSize, want: usual},
	} {
		if step.ebb {
			st.ebbed()
		} else {
			st.flooded(step.n)
		}
		if got := pipeSize(t, w); got != step.want {
			t.Errorf("after %+v: %d bytes", step, got)
		}
	}
}
