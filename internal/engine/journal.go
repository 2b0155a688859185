package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/journal"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// This file: events on their way to the journal. The loop writes each as a line into a pipe that the keeper holds, so an
// engine that is killed loses nothing of what it wrote. From the pipe it goes to files like the output of a service.

// journalName is the name of the journal's files and pipe.
const journalName = "journal"

// The journal's files and what waits for them.
const (
	journalSize = 10_000_000 // bytes of one file
	journalKeep = 20         // files beside it
	journalPipe = 1 << 20    // bytes of the pipe, where the kernel lets it have so much
	journalWait = 1 << 20    // bytes that wait in memory while the pipe is full
)

// journalAgain is how long a full pipe is left alone.
const journalAgain = 50 * time.Millisecond

// A diary is the journal as the loop writes it.
type diary struct {
	problem error      // why it is not kept
	out     int        // write end of the pipe; -1: there is none
	mark    int        // memfd; -1: there is none
	note    mark       // what stands in it
	legacy  []*os.File // of store
	store   *capture.Store
	stream  *capture.Stream
	line    []byte   // scratch
	waiting [][]byte // lines that did not fit into the pipe
	bytes   int      // of waiting
	lost    uint64   // events after those that wait
	soon    bool     // a try is due
	told    int      // bytes since the last checkpoint
	checked unit.Time
	wrote   unit.Time
}

func noDiary() diary { return diary{out: -1, mark: -1} }

// openJournal takes over the journal of the engine before, or begins one. It asks the keeper, so it comes before List:
// from then on the keeper tells what must be heard.
func (e *Engine) openJournal() {
	d := &e.diary
	e.fetchMark()
	d.legacy = e.fetchLegacy(journalName)
	var err error
	dir := filepath.Join(e.cfg.Daemon.StateDir, "journal")
	if d.store, err = capture.Open(capture.Options{Dir: dir, Legacy: d.legacy, Report: e.journalTrouble}); err == nil {
		err = e.openPipe()
	}
	if err != nil {
		e.log.Error("the journal is not kept", "error", err)
		d.problem = err
	}
}

// startEvents has the numbers of events go on from the last one, and gives out the first of this engine. Without a mark it is the first engine of a daemon.
func (e *Engine) startEvents() {
	d, kept, before := &e.diary, e.daemon.Seq, ""
	if d.note == (mark{}) {
		last := d.last()
		if last.Seq != 0 && last.Message != allDown {
			before = "; the daemon before ended without a word, the last of it is of " + last.Time.UTC().Format(time.RFC3339)
		}
		given := max(kept, last.Seq)
		if kept == 0 && last.Seq != 0 && last.Message != allDown {
			given += reserve // what readers saw of them may never have reached the disk
		}
		d.write(mark{Given: given, After: last.Seq, First: 1})
	}
	e.events.start(d.note.Given, kept)
	text := "engine started"
	if e.about.Engines > 1 {
		text = fmt.Sprintf("engine %d took over from the one before", e.about.Engines)
	}
	if e.o.Fresh {
		text += ", fresh: restart counters were lost"
	}
	e.event(event{kind: api.KindEngine, text: text + before, more: e.begins})
	if d.problem != nil {
		e.event(event{kind: api.KindLog, text: "the journal is not kept: " + d.problem.Error()})
	}
}

// openPipe has the journal's pipe read, and its other end ready for writing.
func (e *Engine) openPipe() error {
	d := &e.diary
	in, err := e.fetch(journalName)
	if err != nil {
		if in, err = newPipe(); err != nil {
			return err
		}
		e.link.send(&keeper.Message{Kind: keeper.Hold, Name: journalName}, in)
	}
	e.keepCopy(journalName, in)
	d.out, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", in), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		d.out = -1
		return fail("open its pipe", err)
	}
	own, err := unix.FcntlInt(uintptr(in), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fail("open its pipe", err)
	}
	d.stream = d.store.Stream(journalName, 1, os.NewFile(uintptr(own), journalName), capture.Policy{MaxSize: journalSize, Keep: journalKeep, Compress: true})
	return nil
}

// newPipe returns the read end of a pipe whose other end has yet to be opened.
func newPipe() (int, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, fail("make its pipe", err)
	}
	_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, journalPipe) // a smaller one does too
	unix.Close(p[1])
	return p[0], nil
}

// begins completes the first event of an engine.
func (e *Engine) begins(a *api.Event) {
	a.Boot, a.First, a.After = e.events.boot, e.diary.note.First == 1, e.diary.note.After
}

// A mark is what an engine leaves to the next of the numbers of events, in a memfd that the keeper holds.
type mark struct {
	Given uint64 // number of the last event
	After uint64 // until there is a first one of this daemon: the last that was kept of the daemon before
	First uint64 // 1 until there is one
}

// fetchMark takes over the mark, or makes one.
func (e *Engine) fetchMark() {
	const name = "journal-mark"
	d := &e.diary
	b := make([]byte, binary.Size(d.note))
	fd, err := e.fetch(name)
	if err == nil {
		_, _ = unix.Pread(fd, b, 0)
		_, _ = binary.Decode(b, binary.NativeEndian, &d.note)
	} else if fd, err = keeper.Memfd(name, b); err != nil {
		e.log.Error("note the numbers of events", "error", err)
		return
	} else {
		e.link.send(&keeper.Message{Kind: keeper.Hold, Name: name}, fd)
	}
	e.keepCopy(name, fd)
	d.mark = fd
}

// write writes the mark.
func (d *diary) write(m mark) {
	d.note = m
	if d.mark < 0 {
		return
	}
	var b [24]byte
	binary.NativeEndian.PutUint64(b[0:], m.Given)
	binary.NativeEndian.PutUint64(b[8:], m.After)
	binary.NativeEndian.PutUint64(b[16:], m.First)
	_, _ = unix.Pwrite(d.mark, b[:], 0) // where it fails the next engine leaves numbers out, or gives some again
}

// last is the last event that stands in the files.
func (d *diary) last() (last api.Event) {
	if d.store == nil {
		return last
	}
	lines, _ := d.store.Tail(journalName, 100)
	var r journal.Reader
	for _, l := range lines {
		_ = r.Line([]byte(l.Text), func(a api.Event) error { last = a; return nil })
	}
	return last
}

// add writes an event, or has it wait; it says whether a try is to be made later.
func (d *diary) add(a api.Event) (again bool) {
	d.write(mark{Given: a.Seq})
	d.wrote = unit.Time(a.MonoNS)
	if d.out < 0 {
		return false
	}
	d.line = journal.Append(d.line[:0], a)
	d.told += len(d.line)
	switch {
	case len(d.waiting) == 0 && d.lost == 0 && d.put(d.line):
		return false
	case d.lost > 0 || d.bytes+len(d.line) > journalWait:
		d.lost++
	default:
		d.waiting = append(d.waiting, append([]byte(nil), d.line...))
		d.bytes += len(d.line)
	}
	again = !d.soon
	d.soon = true
	return again
}

// put writes one line whole or not at all. A line that cannot be written for another reason than want of room is gone.
func (d *diary) put(line []byte) bool {
	for {
		_, err := unix.Write(d.out, line)
		if err != unix.EINTR {
			return !errors.Is(err, unix.EAGAIN)
		}
	}
}

// retry writes what waits. It says whether something still does.
func (d *diary) retry() bool {
	d.soon = false
	n := 0
	for n < len(d.waiting) && d.put(d.waiting[n]) {
		d.bytes -= len(d.waiting[n])
		n++
	}
	if d.waiting = d.waiting[n:]; len(d.waiting) == 0 {
		d.waiting = nil
	}
	d.soon = len(d.waiting) > 0
	return d.soon
}

// record gives an event to the journal.
func (e *Engine) inscribe(a api.Event) {
	if e.diary.add(a) {
		e.retryJournal()
	}
}

// retryJournal tries again, a little later, to write what waits. After a gap it says how many events are missing.
func (e *Engine) retryJournal() {
	e.after(journalAgain, e.goOnWriting)
}

func (e *Engine) goOnWriting() {
	d := &e.diary
	if d.retry() {
		e.retryJournal()
		return
	}
	if n := d.lost; n > 0 {
		d.lost = 0
		e.log.Warn("the journal could not be written for a while", "missing", n)
		e.event(event{kind: api.KindGap, text: journal.GapText(n), more: func(a *api.Event) { a.Missing = n }})
		e.checkpoint()
	}
}

// journalTrouble makes an event of a journal that cannot be written, and of one that can again.
func (e *Engine) journalTrouble(_ string, problem error) {
	text := "the journal is written again"
	if problem != nil {
		text = "the journal cannot be written, it waits: " + problem.Error()
		e.log.Error("journal", "error", problem)
	}
	go e.post(func() { e.event(event{kind: api.KindLog, text: text}) })
}

// closeJournal ends the journal, and returns what is closed when all of it is in the files.
func (e *Engine) closeJournal() <-chan struct{} {
	d := &e.diary
	if d.out >= 0 {
		d.retry()
		unix.Close(d.out)
		d.out = -1
	}
	if d.stream == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return d.stream.Done()
}

// bootID is the kernel's name for this boot; "" where it does not say.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}
