package keeper

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// memfds are n descriptors that say which they are.
func memfds(t *testing.T, n int) []int {
	t.Helper()
	var fds []int
	for i := range n {
		fd, err := Memfd("test", fmt.Appendf(nil, "I am %d", i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds = append(fds, fd)
	}
	return fds
}

// TestStored: what a service stores stands side by side, is told to the next engine, and goes one by one or by name.
func TestStored(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.spawn("web", 1, "exec sleep 1000")
	for i, fd := range memfds(t, 4) {
		e.send(&Message{Kind: Hold, Unit: "web", Name: Store + []string{"a", "a", "b/c", "a"}[i], Gen: uint64(i + 1)}, fd)
	}
	e.settled()
	base := openFiles(t, r.pid())
	e.die()
	e = r.ready()
	row := e.list()["web"]
	if want := []string{"log/1", "store:a/1", "store:a/2", "store:b/c/3", "store:a/4"}; !slices.Equal(row.m.Names, want) {
		t.Fatalf("it holds %q, not %q", row.m.Names, want)
	}
	if data, err := ReadMemfd(row.fds[4]); err != nil || string(data) != "I am 3" {
		t.Errorf("the last one: %q, %v", data, err)
	}
	for _, drop := range []struct {
		name string
		gen  uint64
		left int
	}{{"store:a", 2, 4}, {"store:a", 7, 4}, {"store:a", 0, 2}, {"store:none", 0, 2}} {
		e.send(&Message{Kind: Drop, Unit: "web", Name: drop.name, Gen: drop.gen})
		if row := e.list()["web"]; len(row.m.Names) != drop.left {
			t.Errorf("after %s/%d: %q", drop.name, drop.gen, row.m.Names)
		}
	}
	r.until("three descriptors less", func() bool { return openFiles(t, r.pid()) <= base-3 })
}

// TestStoreIsBounded: a service cannot take away the room of others.
func TestStoreIsBounded(t *testing.T) {
	r := &row{}
	fds := memfds(t, 1)
	for i := range maxStored {
		if !r.hold(Store+"x", uint64(i+1), fds[0]) {
			t.Fatalf("refused at %d", i)
		}
	}
	if r.hold(Store+"x", 99, fds[0]) {
		t.Error("one too many")
	}
	for i := range maxHeld {
		if !r.hold(fmt.Sprint(i), 0, fds[0]) {
			t.Fatalf("another is refused at %d", i)
		}
	}
	for gen := range uint64(maxLogs) {
		r.files = append(r.files, file{name: LogPipe, gen: gen, fd: fds[0]})
	}
	if len(r.files) > maxFiles {
		t.Errorf("%d descriptors do not fit into one message", len(r.files))
	}
}

// TestStoreLeavesTheReserve: the last descriptors are the keeper's own.
func TestStoreLeavesTheReserve(t *testing.T) {
	r := start(t, config{NoFile: 64})
	e := r.ready()
	fd := memfds(t, 1)[0]
	for i := range 60 {
		e.send(&Message{Kind: Hold, Unit: fmt.Sprint("web", i%2), Name: Store + "x", Gen: uint64(i + 1)}, fd)
	}
	e.settled()
	if n := openFiles(t, r.pid()); n > 64-2*16+2 {
		t.Errorf("%d descriptors are open", n)
	}
	r.logged("hold refused")
	e.spawn("other", 1, "exec sleep 1000")
}

// TestSpawnWithDescriptors: a service begins with what comes with the order, from 3 on, whatever numbers it has here.
func TestSpawnWithDescriptors(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	base := openFiles(t, r.pid())
	fds := memfds(t, 3)
	slices.Reverse(fds)
	s := e.shell("for n in 3 4 5; do cat /proc/self/fd/$n; done; ls /proc/self/fd | tr '\\n' ' '; echo")
	s.Pass = 3
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 1, Spawn: s}, fds...)
	log := os.NewFile(uintptr(e.want(Spawned, "web").fds[0]), "log")
	defer log.Close()
	if got, want := readUntil(t, log, "\n"), "I am 2I am 1I am 0"; !strings.HasPrefix(got, want+"0 1 2 3 4 5 ") {
		t.Errorf("it found %q, not %q", got, want)
	}
	e.want(Exited, "web")
	s = e.shell("echo ready >&6; cat <&5; exec sleep 1000")
	s.Pass, s.Ready = 3, 6
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 2, Spawn: s}, fds...)
	got := e.want(Spawned, "web")
	CloseAll(got.fds)
	if want := []string{"log/2", "ready/2"}; !slices.Equal(got.m.Names, want) {
		t.Errorf("it has %q, not %q", got.m.Names, want)
	}
	for _, f := range []struct {
		name        string
		pass, ready int
		stage       string
		errno       unix.Errno
	}{
		{"some were lost", 4, 0, "stored descriptors", unix.EMFILE},
		{"readiness is one of them", 3, 5, "readiness pipe", unix.EEXIST},
	} {
		s := e.shell("exit")
		s.Pass, s.Ready = f.pass, f.ready
		e.order(&Message{Kind: SpawnOrder, Unit: "none", Gen: 1 + e.ops["none"], Spawn: s}, fds...)
		m := e.want(SpawnFailed, "none").m
		if m.Failure.Stage != f.stage || unix.Errno(m.Failure.Errno) != f.errno {
			t.Errorf("%s: %s", f.name, dump(m))
		}
	}
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 2, Spawn: s}, fds...) // seen: refused
	e.settled()
	r.until("no copy is left", func() bool { return openFiles(t, r.pid()) <= base+3 })
}
