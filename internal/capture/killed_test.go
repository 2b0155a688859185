package capture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// This file: a process that keeps logs is killed at each moment there is, and another goes on. Whatever the moment, the
// files must be those of a process that was not killed.

// TestMain makes the test binary the process that is killed, or one that is measured.
func TestMain(m *testing.M) {
	if name := os.Getenv("CAPTURE_CONTENDER"); name != "" {
		os.Exit(contend(name))
	}
	if os.Getenv("CAPTURE_KILLED_DIR") != "" {
		os.Exit(beKilled())
	}
	os.Exit(m.Run())
}

// atHalf is the moment in the middle of a write, which only tests know.
const atHalf stage = -1

// A killed is one story: the pipes of these generations, with this in each of them, under this policy.
type killed struct {
	name   string
	policy Policy
	before string // in the file
	says   []string
	rest   []string               // what the generations say afterwards
	move   func(dir string) error // after the kill
}

var stories = []killed{
	{name: "raw", says: []string{"one\ntwo\n"}, rest: []string{"three\n"}},
	{name: "stamped", policy: stamped, says: []string{"one\ntwo\n"}, rest: []string{"three\n"}},
	{name: "raw, within a line", says: []string{"one\ntw"}, rest: []string{"o\nthree"}},
	{name: "stamped, within a line", policy: stamped, says: []string{"one\ntw"}, rest: []string{"o\nthree"}},
	{name: "lines of another process", before: "older\nunfinished", says: []string{"one\n"}, rest: []string{"two\n"}},
	{name: "two generations", policy: stamped, says: []string{"half", "whole\nand ha"}, rest: []string{" of one\n", "lf of two\n"}},
	{name: "four generations, raw", says: []string{"a", "b", "c", "d"}, rest: []string{"A", "B\n", "C", "D"}},
	{name: "rotation", policy: Policy{MaxSize: 40, Keep: 100}, says: []string{strings.Repeat("some line\n", 12) + "some"}, rest: []string{" line\nend\n"}},
	{name: "rotation, stamped", policy: Policy{MaxSize: 100, Keep: 100, Timestamps: true}, says: []string{strings.Repeat("some line\n", 9)}, rest: []string{"end\n"}},
	{name: "a line that is too long", policy: stamped, says: []string{strings.Repeat("x", chunkSize)}, rest: []string{strings.Repeat("y", 10) + "\nz\n"}},
	{name: "the same again and again", says: []string{strings.Repeat("y\n", 1000)}, rest: []string{strings.Repeat("y\n", 1000)}},
}

func TestKilledAtAnyMoment(t *testing.T) {
	for _, c := range stories {
		t.Run(c.name, func(t *testing.T) {
			want, _ := c.tell(t, atSettled, 0)
			for _, at := range []stage{atBegun, atHalf, atInFile, atWritten, atConsumed, atSettled} {
				for nth := 1; ; nth++ {
					got, died := c.tell(t, at, nth)
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("killed at moment %d of kind %d: got %.300q, want %.300q", nth, at, got, want)
					}
					if !died {
						break
					}
				}
			}
		})
	}
}

// TestKilledAndMovedAway: what a killed process had begun is taken back in the file that it had, under another name.
func TestKilledAndMovedAway(t *testing.T) {
	c := killed{says: []string{"one\ntwo\n"}, rest: []string{"three\n"}, move: func(dir string) error {
		err := os.Rename(filepath.Join(dir, "web.log"), filepath.Join(dir, "web.log-20260304"))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}}
	for _, at := range []stage{atBegun, atHalf, atInFile, atWritten, atConsumed, atSettled} {
		got, died := c.tell(t, at, 1)
		if all := got["web.log-20260304"] + got["web.log"]; !died || all != "one\ntwo\nthree\n" {
			t.Errorf("killed at %d (%v): %q", at, died, got)
		}
	}
}

// tell has a process begin the story and be killed at a moment, and ends the story here. It returns all files, and
// whether the process came to that moment.
func (c *killed) tell(t *testing.T, at stage, nth int) (map[string]string, bool) {
	t.Helper()
	dir := t.TempDir()
	if c.before != "" {
		if err := os.WriteFile(filepath.Join(dir, "web.log"), []byte(c.before), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	legacy, err := NewLegacy(nil)
	if err != nil {
		t.Fatal(err)
	}
	files := legacy
	var writers []*os.File
	for _, text := range c.says {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		files, writers = append(files, r), append(writers, w)
	}
	died := c.begin(t, dir, files, at, nth)
	if c.move != nil {
		if err := c.move(dir); err != nil {
			t.Fatal(err)
		}
	}
	c.end(t, dir, legacy, files[LegacyFiles:], writers)
	for _, f := range legacy {
		f.Close()
	}
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(text)
	}
	return got, died
}

// begin runs the process that is killed.
func (c *killed) begin(t *testing.T, dir string, files []*os.File, at stage, nth int) (died bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "CAPTURE_KILLED_DIR="+dir, fmt.Sprintf("CAPTURE_KILLED_AT=%d %d", at, nth),
		fmt.Sprintf("CAPTURE_KILLED_POLICY=%d %d %v", c.policy.MaxSize, c.policy.Keep, c.policy.Timestamps))
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// end tells the rest of the story: generation by generation, as the process did.
func (c *killed) end(t *testing.T, dir string, legacy, pipes, writers []*os.File) {
	t.Helper()
	r := &reports{}
	s, err := Open(Options{Dir: dir, Legacy: legacy, Now: func() time.Time { return fixed }, Report: r.add})
	if err != nil {
		t.Fatal(err)
	}
	streams := goOn(s, pipes, c.policy)
	for i, text := range c.rest {
		if _, err := writers[i].WriteString(text); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the rest is written", func() bool { return streams[i].idle() })
	}
	for i, st := range streams {
		writers[i].Close()
		<-st.Done()
	}
	s.Close()
	if got := r.all(); len(got) > 0 {
		t.Errorf("reported %q", got)
	}
}

// goOn starts one stream after the other, each when what was there of the one before is written.
func goOn(s *Store, pipes []*os.File, p Policy) []*Stream {
	var streams []*Stream
	for i, pipe := range pipes {
		st := s.Stream("web", uint64(i+1), pipe, p)
		for end := time.Now().Add(patience); !st.idle() && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
		streams = append(streams, st)
	}
	return streams
}

// idle says whether all that was said is written.
func (st *Stream) idle() bool { return st.waiting() == 0 && !st.writing.Load() }

// beKilled is the process that is killed.
func beKilled() int {
	var at, nth int
	var p Policy
	fmt.Sscan(os.Getenv("CAPTURE_KILLED_AT"), &at, &nth)
	fmt.Sscan(os.Getenv("CAPTURE_KILLED_POLICY"), &p.MaxSize, &p.Keep, &p.Timestamps)
	var files []*os.File
	for fd := 3; ; fd++ {
		if err := syscall.SetNonblock(fd, true); err != nil {
			break
		}
		if link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); !strings.HasPrefix(link, "pipe:") && fd > 3 {
			break // the runtime's
		}
		files = append(files, os.NewFile(uintptr(fd), "inherited"))
	}
	s, err := Open(Options{Dir: os.Getenv("CAPTURE_KILLED_DIR"), Legacy: files[:LegacyFiles], Now: func() time.Time { return fixed }})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	die := func(here stage) {
		if int(here) == at {
			if nth--; nth == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	s.at = die
	s.write = func(fd int, b []byte) (int, error) {
		if at != int(atHalf) || len(b) < 2 {
			return syscall.Write(fd, b)
		}
		n, err := syscall.Write(fd, b[:len(b)/2])
		die(atHalf)
		if err != nil {
			return n, err
		}
		m, err := syscall.Write(fd, b[n:])
		return n + max(m, 0), err
	}
	goOn(s, files[LegacyFiles:], p)
	return 0
}
