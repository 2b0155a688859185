package engine

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/capture"
	"example.com/stay/internal/unit"
)

// TestLeaverWithOutput: an instance that goes is remembered until what it has written is in its log: only the keeper's copy of
// its pipe outlives an engine.
func TestLeaverWithOutput(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	e.tick()
	dir := t.TempDir()
	var err error
	ended := make(chan struct{})
	if e.store, err = capture.Open(capture.Options{Dir: dir, Ended: func(string, uint64) { close(ended) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.store.Close)
	inTheWay := filepath.Join(dir, "web.log")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fds[1], []byte("last words\n")); err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	in := e.insts["web"]
	in.leaver, e.leavers = true, true
	in.u = unit.Unit{Want: unit.Down, Phase: unit.Idle, Gen: 7}
	pipe := os.NewFile(uintptr(fds[0]), "pipe")
	e.late = []output{{in, 7, pipe}}
	if e.reapLeavers(); e.insts["web"] == nil {
		t.Fatal("it is forgotten before anybody reads its output")
	}
	e.captureLate(1)
	eventually(t, "the output to wait", func() bool { return in.streams[7].Stalled() > 0 })
	if e.reapLeavers(); e.insts["web"] == nil {
		t.Fatal("it is forgotten while its output cannot be written")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	<-ended
	if e.reapLeavers(); e.insts["web"] != nil {
		t.Error("it is not forgotten when all is written")
	}
	if data, err := os.ReadFile(inTheWay); err != nil || len(data) == 0 {
		t.Errorf("its log has %q (%v)", data, err)
	}
}
