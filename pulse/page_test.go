package pulse

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestPlaces opens pages by all names they can have, and is refused what is no page.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pipeR, pipeW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipeR.Close()
	defer pipeW.Close()
	good, err := os.OpenFile(makePage(t, 2), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	readOnly, err := os.Open(good.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	patched := func(offset int, bytes ...byte) string {
		h := header(31)
		copy(h[offset:], bytes)
		return makeFile(t, h, 4096)
	}
	for _, c := range []struct{ name, place, want string }{
		{"a path", good.Name(), ""},
		{"a descriptor", fmt.Sprint("fd:", good.Fd()), ""},
		{"no file", filepath.Join(dir, "none"), "no such file"},
		{"a folder", dir, "is a directory"},
		{"a fifo", fifo, "no regular file"},
		{"a pipe", fmt.Sprint("fd:", pipeW.Fd()), "no regular file"},
		{"a device", "/dev/null", "no regular file"},
		{"a read-only descriptor", fmt.Sprint("fd:", readOnly.Fd()), "mmap: permission denied"},
		{"a closed descriptor", "fd:2147483647", "bad file descriptor"},
		{"no descriptor", "fd:", "is no descriptor"},
		{"a negative descriptor", "fd:-1", "is no descriptor"},
		{"an empty file", makeFile(t, nil, 0), "no header"},
		{"a short file", makeFile(t, nil, 127), "no header"},
		{"zeros", makeFile(t, nil, 4096), "no pulse page"},
		{"another magic", patched(0, 'X'), "no pulse page"},
		{"version 2", patched(8, 2, 2), "version is 514"},
		{"another header size", patched(10, 64, 64), "header is broken"},
		{"another slot size", patched(12, 64, 64), "header is broken"},
		{"no slots", patched(14, 0, 0), "header is broken"},
		{"more slots than file", patched(14, 255, 255), "cut off: 4096 bytes, and 65535 slots need 8388608"},
		{"one slot more", makeFile(t, header(32), 4096), "cut off"},
	} {
		pg, err := openPage(c.place)
		if err == nil {
			pg.file.f.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestErr asks a program what is wrong with its page: the error names it.
func TestErr(t *testing.T) {
	path := makeFile(t, nil, 4096)
	want := fmt.Sprintf("pulse page %q: it is no pulse page", path)
	if got := said(t, helper(t, "err", "STAY_PULSE="+path)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDescriptor gives a program its page as a descriptor, and its child inherits it.
func TestDescriptor(t *testing.T) {
	path := makePage(t, 31)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := helper(t, "child", "STAY_PULSE=fd:3")
	cmd.ExtraFiles = []*os.File{f}
	if got := said(t, cmd); got != "<nil> <nil>" {
		t.Errorf("parent and child: %q", got)
	}
	if a, b := readSlot(t, path, 1), readSlot(t, path, 2); a.name != "parent" || b.name != "x" || a.state != 2 || b.state != 2 {
		t.Errorf("they have %+v and %+v", a, b)
	}
}

// TestOrder fills a page: slot 0 comes last, then there is none, and who leaves makes room.
func TestOrder(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 100} {
		path := makePage(t, n)
		pg := opened(t, path)
		var pulses []*Pulse
		for k := range n {
			p := pg.start(fmt.Sprint("loop ", k), 0, 0)
			if at := index(pg, p); at != (k+1)%n {
				t.Fatalf("%d slots: claim %d got slot %d", n, k, at)
			}
			pulses = append(pulses, p)
		}
		p := pg.start("one more", 0, 0)
		if !errors.Is(p.Err(), ErrFull) || !strings.Contains(p.Err().Error(), "pulse.slots") {
			t.Errorf("%d slots: %v", n, p.Err())
		}
		p.Beat()
		p.Close()
		pulses[n/2].Note("old")
		pulses[n/2].Close()
		p = pg.start("again", 0, 0)
		if at := index(pg, p); at != (n/2+1)%n {
			t.Errorf("%d slots: the free one is %d, claimed %d", n, (n/2+1)%n, at)
		}
		if got := readSlot(t, path, (n/2+1)%n); got.name != "again" || got.note != "" || got.count != 1 {
			t.Errorf("%d slots: of the one before is left: %+v", n, got)
		}
	}
}

// TestForeignSlots sees to it that slots in any state but free are not touched.
func TestForeignSlots(t *testing.T) {
	path := makePage(t, 6)
	pg := opened(t, path)
	for i, state := range []uint32{2, 1, 3, 4, 99, 0} {
		pg.slots[i].state = state
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := pg.start("mine", 0, 0)
	if index(pg, p) != 5 {
		t.Fatalf("claimed slot %d", index(pg, p))
	}
	p.Note("x")
	p.Close()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before[:128+5*128]) != string(after[:128+5*128]) || string(before[128+6*128:]) != string(after[128+6*128:]) {
		t.Error("it wrote outside of its slot")
	}
}

// TestLockedSlot: a slot whose state another process has locked is passed over, as a writer without compare-and-swap is at it.
func TestLockedSlot(t *testing.T) {
	path := makePage(t, 4)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const ofdSetlk = 37 // a lock of the open file, so that this process can be the other one
	err = syscall.FcntlFlock(f.Fd(), ofdSetlk, &syscall.Flock_t{Type: syscall.F_WRLCK, Start: 128 + 128 + 24, Len: 1})
	if err != nil {
		t.Fatal(err)
	}
	pg := opened(t, path)
	if at := index(pg, pg.start("x", 0, 0)); at != 2 {
		t.Errorf("claimed slot %d, and 1 is locked", at)
	}
	err = syscall.FcntlFlock(f.Fd(), ofdSetlk, &syscall.Flock_t{Type: syscall.F_UNLCK, Start: 128 + 128 + 24, Len: 1})
	if err != nil {
		t.Fatal(err)
	}
	if at := index(pg, pg.start("x", 0, 0)); at != 1 {
		t.Errorf("claimed slot %d, and 1 is free", at)
	}
}

// TestDescriptorsClosed: a program that closes all its descriptors, and opens others, goes on claiming; the file that has the
// number now is not locked.
func TestDescriptorsClosed(t *testing.T) {
	pg := opened(t, makePage(t, 3))
	other, err := os.OpenFile(makePage(t, 3), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Dup3(int(other.Fd()), int(pg.file.f.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := pg.file.fcntl(0, syscall.F_WRLCK); err != syscall.EBADF {
		t.Errorf("lock of another file: %v", err)
	}
	if p := pg.start("x", 0, 0); p.Err() != nil {
		t.Error(p.Err())
	}
	pg.file.f.Close()
	if p := pg.start("x", 0, 0); p.Err() != nil {
		t.Error(p.Err())
	}
}

// FuzzHeader looks at headers of all kinds: what passes is no longer than its file.
func FuzzHeader(f *testing.F) {
	f.Add(header(31), int64(4096))
	f.Add(header(65535), int64(4096))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, h []byte, size int64) {
		var whole [128]byte
		copy(whole[:], h)
		n, err := checkHeader(whole[:], size)
		if err == nil && (n < 256 || int64(n) > size || n%128 != 0 || string(whole[:8]) != "STAYPULS") {
			t.Fatalf("header % x of a file of %d bytes: %d bytes are used", whole, size, n)
		}
	})
}

// TestManyClaim has many goroutines claim and close: nobody has a slot that somebody else has.
func TestManyClaim(t *testing.T) {
	const slots, goroutines, rounds = 5, 12, 200
	pg := opened(t, makePage(t, slots))
	var owners [slots]chan int // one token each
	for i := range owners {
		owners[i] = make(chan int, 1)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range rounds {
				p := pg.start("x", 0, 0)
				if p.Err() != nil {
					continue
				}
				i := index(pg, p)
				select {
				case owners[i] <- g:
				default:
					t.Errorf("slot %d has two owners", i)
					return
				}
				p.Beat()
				<-owners[i]
				p.Close()
			}
		})
	}
	wg.Wait()
	for i := range pg.slots {
		if pg.slots[i].state != stateFree {
			t.Errorf("slot %d is left in state %d", i, pg.slots[i].state)
		}
	}
}

// TestProcessesClaim has several processes fill one page at the same time: every slot has one owner.
func TestProcessesClaim(t *testing.T) {
	const processes, slots = 4, 200
	path := makePage(t, slots)
	var wg sync.WaitGroup
	var claimers []*claimer
	for range processes {
		claimers = append(claimers, startClaimer(t, "claim", path))
	}
	for _, c := range claimers {
		wg.Go(func() { c.claim(t) })
	}
	wg.Wait()
	var all []int
	for _, c := range claimers {
		for _, i := range c.slots {
			if got := readSlot(t, path, i); got.name != fmt.Sprint(c.cmd.Process.Pid) || got.state != 2 || got.count != 1 {
				t.Errorf("slot %d of process %d: %+v", i, c.cmd.Process.Pid, got)
			}
		}
		all = append(all, c.slots...)
		c.in.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(all)
	if len(all) != slots || len(slices.Compact(all)) != slots {
		t.Errorf("%d slots were claimed %d times", slots, len(all))
	}
}

type claimer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	slots []int
}

func startClaimer(t *testing.T, role, path string) *claimer {
	t.Helper()
	c := &claimer{cmd: helper(t, role, "STAY_PULSE="+path)}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	if !c.out.Scan() || c.out.Text() != "ready" {
		t.Fatalf("it said %q", c.out.Text())
	}
	return c
}

func (c *claimer) claim(t *testing.T) {
	if _, err := io.WriteString(c.in, "go\n"); err != nil {
		t.Error(err)
	}
	for c.out.Scan() && c.out.Text() != "full" {
		i, err := strconv.Atoi(c.out.Text())
		if err != nil {
			t.Error(err)
		}
		c.slots = append(c.slots, i)
	}
}

// TestCutOff cuts the page off below a living pulse: the program lives, and its pulses do nothing any more.
func TestCutOff(t *testing.T) {
	calls := map[string]func(*Pulse){
		"Beat": (*Pulse).Beat, "Idle": (*Pulse).Idle, "Pause": (*Pulse).Pause, "Close": (*Pulse).Close,
		"Note": func(p *Pulse) { p.Note("x") }, "Progress": func(p *Pulse) { p.Progress(1) }, "Extend": func(p *Pulse) { p.Extend(1) },
	}
	for name, call := range calls {
		path := makePage(t, 31)
		pg := opened(t, path)
		p := pg.start("x", 0, 0)
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		call(p)
		if name != "Close" && !errors.Is(p.Err(), ErrCut) {
			t.Errorf("%s: %v", name, p.Err())
		}
		p.Beat()
		p.Close()
		if late := pg.start("y", 0, 0); late == nil || !errors.Is(late.Err(), ErrCut) {
			t.Errorf("start after it: %v", late.Err())
		}
	}
}

// TestGuard lets panics pass that are not the page's.
func TestGuard(t *testing.T) {
	p := opened(t, makePage(t, 1)).start("x", 0, 0)
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
		if p.Err() != nil {
			t.Error(p.Err())
		}
	}()
	p.write(func(*slot) { panic("mine") })
}

// TestHeaderOnce: what is written into the header after the page was opened changes nothing.
func TestHeaderOnce(t *testing.T) {
	path := makePage(t, 2)
	pg := opened(t, path)
	binary.NativeEndian.PutUint16(pg.data[14:], 65535)
	for range 2 {
		if p := pg.start("x", 0, 0); p.Err() != nil {
			t.Error(p.Err())
		}
	}
	if p := pg.start("x", 0, 0); !errors.Is(p.Err(), ErrFull) {
		t.Error(p.Err())
	}
}
