package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/journal"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// aPipe gives the engine a pipe for its journal, of the smallest size there is, and returns the other end.
func aPipe(t *testing.T, e *Engine) *os.File {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	r := os.NewFile(uintptr(p[0]), "journal")
	t.Cleanup(func() { r.Close(); unix.Close(p[1]) })
	e.diary.out = p[1]
	return r
}

// drained are the lines that are in the pipe.
func drained(t *testing.T, r *os.File) string {
	t.Helper()
	var all bytes.Buffer
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		b := make([]byte, 1<<16)
		for {
			n, err := unix.Read(int(fd), b)
			if n <= 0 {
				if err != unix.EAGAIN {
					t.Error(err)
				}
				return
			}
			all.Write(b[:n])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestFullPipe: a thousand services crash again and again while nothing takes the journal. Memory is bounded; what was lost
// is said, and all that was not comes in order.
func TestFullPipe(t *testing.T) {
	e := engineOf(t, aService("web", func(s *spec.Service) { s.Instances = 1000 }))
	r := aPipe(t, e)
	const each = 20
	for range each {
		for _, in := range e.service("web").insts {
			e.event(event{kind: api.KindExit, in: in, text: "exit code 1 after 2ms, and more words of the kind that such events have"})
		}
	}
	d := &e.diary
	if d.bytes > journalWait || len(e.events.ring) > keepEvents {
		t.Errorf("%d bytes wait, %d events are in memory", d.bytes, len(e.events.ring))
	}
	if d.lost == 0 || len(d.waiting) == 0 || !d.soon {
		t.Fatalf("%d lost, %d wait, a try is due: %v", d.lost, len(d.waiting), d.soon)
	}
	lost := d.lost
	var text strings.Builder
	for rounds := 0; d.soon; rounds++ {
		text.WriteString(drained(t, r))
		e.goOnWriting()
		if rounds > 1e4 {
			t.Fatal("it does not come to an end")
		}
	}
	text.WriteString(drained(t, r))
	if d.bytes != 0 || d.lost != 0 || d.waiting != nil {
		t.Errorf("afterwards %d bytes wait, %d are lost", d.bytes, d.lost)
	}
	e.event(event{kind: api.KindEngine, text: "go on"})
	text.WriteString(drained(t, r))

	var reader journal.Reader
	var events, gaps, missing uint64
	for line := range strings.Lines(text.String()) {
		if err := reader.Line([]byte(line), func(a api.Event) error {
			events++
			if a.Kind == api.KindGap {
				gaps++
				missing += a.Missing
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if given := e.events.next - 1; reader.Bad+reader.Again != 0 || gaps != 1 || missing != lost || events+lost != given || reader.Last != given {
		t.Errorf("%d events with %d gaps, which miss %d of %d; %d were given out, the last read is %d; %d bad, %d again", events, gaps, missing, lost, given,
			reader.Last, reader.Bad, reader.Again)
	}
}

// TestWithoutPipe: where there is none, all else goes on.
func TestWithoutPipe(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	seq := e.event(event{kind: api.KindEngine, text: "x"})
	e.checkpoint()
	if next := e.event(event{kind: api.KindEngine, text: "y"}); next != seq+2 || len(e.events.ring) != 3 || e.diary.bytes != 0 {
		t.Errorf("number %d after %d, %d in memory", next, seq, len(e.events.ring))
	}
	select {
	case <-e.closeJournal():
	default:
		t.Error("there is nothing to wait for")
	}
}

// kept puts lines into the files of a journal.
func kept(t *testing.T, dir string, events ...api.Event) {
	t.Helper()
	var text []byte
	for _, a := range events {
		a.Time = time.Unix(1, 0)
		text = journal.Append(text, a)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal.log"), text, 0o640); err != nil {
		t.Fatal(err)
	}
}

// withFiles gives the engine a journal in files.
func withFiles(t *testing.T, e *Engine, events ...api.Event) *capture.Store {
	t.Helper()
	dir := t.TempDir()
	kept(t, dir, events...)
	store, err := capture.Open(capture.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	e.diary.store = store
	return store
}

// TestNumbersGoOn: with which number a new engine begins, and what it says about it.
func TestNumbersGoOn(t *testing.T) {
	last := api.Event{Seq: 40, Kind: api.KindAlive}
	down := api.Event{Seq: 40, Kind: api.KindEngine, Message: allDown}
	for _, c := range []struct {
		name  string
		note  mark
		kept  uint64 // by the daemon's record
		files []api.Event
		first uint64
		after uint64
	}{
		{"a first start", mark{}, 0, nil, 1, 0},
		{"another engine", mark{Given: 57}, 1025, []api.Event{last}, 58, 0},
		{"another engine, all its lines are kept", mark{Given: 40}, 1025, []api.Event{last}, 41, 0},
		{"another engine, before any event", mark{First: 1}, 1025, nil, 1, 0},
		{"another engine of another daemon, before any event", mark{Given: 1064, After: 40, First: 1}, 2089, []api.Event{last}, 1065, 40},
		{"another daemon, after a good end", mark{}, 0, []api.Event{down}, 41, 40},
		{"another daemon, after a power cut", mark{}, 0, []api.Event{last}, 41 + reserve, 40},
		{"another daemon that found a record", mark{}, 1025, []api.Event{last}, 1026, 40},
		{"a record that is behind", mark{}, 7, []api.Event{last}, 41, 40},
	} {
		e := engineOf(t, aService("web", nil))
		withFiles(t, e, c.files...)
		e.diary.note, e.daemon.Seq = c.note, c.kept
		e.startEvents()
		a := e.events.ring[len(e.events.ring)-1]
		if told := strings.Contains(a.Message, "without a word"); told != (c.note == mark{} && len(c.files) > 0 && c.files[0].Kind == last.Kind) {
			t.Errorf("%s: %q", c.name, a.Message)
		}
		if a.Seq != c.first || a.After != c.after || a.First != (c.note.First == 1 || c.note.Given == 0) {
			t.Errorf("%s: %+v, want %d after %d", c.name, a, c.first, c.after)
		}
		e.event(event{kind: api.KindEngine, more: e.begins})
		if a = e.events.ring[len(e.events.ring)-1]; a.First || a.After != 0 {
			t.Errorf("%s: the next engine says %+v", c.name, a)
		}
		if e.daemon.Seq < e.events.next-1 {
			t.Errorf("%s: %d was given out, the record says %d", c.name, e.events.next-1, e.daemon.Seq)
		}
	}
}

// TestMark: the next engine knows the number of the last event, without any order to the keeper.
func TestMark(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	fd, err := keeper.Memfd("mark", make([]byte, 24))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	e.diary.mark = fd
	e.events.start(4999, 6000)
	e.event(event{kind: api.KindEngine, text: "x"})
	var b [8]byte
	if _, err := unix.Pread(fd, b[:], 0); err != nil || b[0] != 5000&0xff || b[1] != 5000>>8 {
		t.Errorf("%v %v", b, err)
	}
}

// TestCheckpoint: all instances stand in it once, in lines that are whole.
func TestCheckpoint(t *testing.T) {
	e := engineOf(t, aService("web", func(s *spec.Service) { s.Instances = 1000 }), aService("db", nil))
	e.insts["web.7"].u = unit.Unit{Phase: unit.Ready, Want: unit.Up}
	e.insts["db"].u = unit.Unit{Phase: unit.Stopping, Want: unit.Down}
	e.insts["web"].u = unit.Unit{Phase: unit.Stopping, Want: unit.Up}
	e.diary.told = checkpointBytes + 1
	e.event(event{kind: api.KindState})
	found := map[string]api.State{}
	for _, a := range e.events.ring {
		if a.Kind != api.KindCheckpoint {
			continue
		}
		if a.Boot == "" {
			t.Error("it does not say of which boot it is")
		}
		got, err := journal.Decode(journal.Append(nil, a))
		if err != nil {
			t.Fatal(err)
		}
		for s, names := range got.States {
			for _, n := range names {
				if found[n] != "" {
					t.Errorf("%s is there twice", n)
				}
				found[n] = s
			}
		}
	}
	if len(found) != 1001 || found["web.7"] != api.Running || found["db"] != api.Stopped || found["web"] != api.Stopping || found["web.9"] != api.Stopped {
		t.Errorf("%d instances", len(found))
	}
	if e.diary.told != 0 {
		t.Errorf("%d bytes since", e.diary.told)
	}
}

// TestBooks: what is due when.
func TestBooks(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	for _, c := range []struct {
		name           string
		wrote, checked time.Duration // ago
		want           string
	}{
		{"a quiet while", aliveAfter, time.Hour, api.KindAlive},
		{"a busy while", aliveAfter - 1, time.Hour, ""},
		{"a day", time.Minute, checkpointAfter, api.KindCheckpoint},
		{"a quiet day", checkpointAfter, checkpointAfter, api.KindCheckpoint},
	} {
		e.events.ring = nil
		e.diary.wrote, e.diary.checked = e.now.Add(-c.wrote), e.now.Add(-c.checked)
		e.keepBooks()
		kinds := ""
		for _, a := range e.events.ring {
			kinds += a.Kind
		}
		if kinds != c.want {
			t.Errorf("%s: %q", c.name, kinds)
		}
	}
}

// BenchmarkEvent is what one event costs the loop, reading the journal's pipe included.
func BenchmarkEvent(b *testing.B) {
	e := engineOf(b, aService("web", nil))
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		b.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	e.diary.out = p[1]
	in, buf := e.insts["web"], make([]byte, 1<<16)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e.event(event{kind: api.KindState, in: in, from: api.Running, to: api.Waiting, text: "exit code 1 after 2ms", more: in.wanted})
		if n%100 == 0 {
			_, _ = unix.Read(p[0], buf)
		}
	}
	if e.diary.bytes > 0 {
		b.Errorf("%d bytes wait", e.diary.bytes)
	}
}
