package oldtable

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/stay/sysv"
)

// patience ends what would otherwise hang the test.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("OLDTABLE_TEST_TRACE") != "" {
		os.Exit(traceRole())
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // they wait for seconds, and do nothing
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(beaterDir)
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A made is a table and its lock, made by the test, and gone when it ends.
type made struct {
	t     *testing.T
	key   sysv.Key
	bytes []byte
	lock  sysv.Semaphore
}

// makeTable makes a table of size bytes with a lock around it.
func makeTable(t *testing.T, size int) *made {
	t.Helper()
	m := &made{t: t, key: freeKey(t)}
	m.fill(size)
	s, err := sysv.MakeSemaphore(m.key, 1, 0o600)
	must(t, err)
	m.lock = s
	return m
}

func (m *made) fill(size int) {
	m.t.Helper()
	memory, err := sysv.CreateMemory(m.key, size, 0o600)
	must(m.t, err)
	x, err := memory.Attach()
	must(m.t, err)
	m.bytes = x.Bytes()
	m.t.Cleanup(func() { x.Detach() })
}

// freeKey is a key that nobody has. What has it when the test ends is removed.
func freeKey(t *testing.T) sysv.Key {
	t.Helper()
	for {
		key := sysv.Key(rand.Uint32()>>8 | uint32(os.Getpid())<<24)
		if _, err := sysv.OpenMemory(key); err == nil || key == sysv.Private {
			continue
		}
		if _, err := sysv.OpenSemaphore(key); err == nil {
			continue
		}
		t.Cleanup(func() {
			removeMemory(key)
			if s, err := sysv.OpenSemaphore(key); err == nil {
				s.Remove()
			}
			_, m := sysv.OpenMemory(key)
			if _, s := sysv.OpenSemaphore(key); m == nil || s == nil {
				t.Errorf("something with key %s is left", key)
			}
		})
		return key
	}
}

func removeMemory(key sysv.Key) {
	if m, err := sysv.OpenMemory(key); err == nil {
		m.Remove()
	}
}

// put writes an entry as a program would.
func (m *made) put(i, pid int, name string, timeout int32, atime int64) {
	raw := m.bytes[i*EntrySize:][:EntrySize]
	clear(raw)
	binary.NativeEndian.PutUint32(raw, uint32(int32(pid)))
	copy(raw[nameAt:][:nameSize], name)
	binary.NativeEndian.PutUint32(raw[timeoutAt:], uint32(timeout))
	binary.NativeEndian.PutUint64(raw[atimeAt:], uint64(atime))
}

// pid is the pid in an entry.
func (m *made) pid(i int) int { return pidOf(m.bytes[i*EntrySize:]) }

var (
	beaterOnce sync.Once
	beaterDir  string
	beaterErr  error
)

// A beater is testdata/beater.c at work.
type beater struct {
	cmd   *exec.Cmd
	index int
	ended chan struct{}
}

// beat starts a beater that hangs after some beats (-1: never) and waits until it has an entry. Where there is no C compiler
// the test is skipped.
func (m *made) beat(timeout, beats int, more ...string) *beater {
	t := m.t
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc, for the old program")
	}
	beaterOnce.Do(func() {
		if beaterDir, beaterErr = os.MkdirTemp("", "oldtable-test-"); beaterErr != nil {
			return
		}
		out, err := exec.Command(cc, "-Wall", "-Wextra", "-O2", "-o", filepath.Join(beaterDir, "beater"), "testdata/beater.c").CombinedOutput()
		if err != nil {
			beaterErr = fmt.Errorf("gcc: %v\n%s", err, out)
		}
	})
	must(t, beaterErr)
	args := append([]string{m.key.String(), m.key.String(), strconv.Itoa(timeout), strconv.Itoa(beats)}, more...)
	b := &beater{cmd: exec.Command(filepath.Join(beaterDir, "beater"), args...), ended: make(chan struct{})}
	out, err := b.cmd.StdoutPipe()
	must(t, err)
	b.cmd.Stderr = os.Stderr
	must(t, b.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		b.index, err = strconv.Atoi(strings.TrimSpace(line))
	}
	go func() { b.cmd.Wait(); close(b.ended) }()
	t.Cleanup(func() { b.cmd.Process.Kill(); <-b.ended })
	must(t, err)
	return b
}

func (b *beater) pid() int { return b.cmd.Process.Pid }

// awaitEnd waits until it has ended and returns how.
func (b *beater) awaitEnd(t *testing.T) syscall.WaitStatus {
	t.Helper()
	select {
	case <-b.ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return b.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// A watched is Watch at work.
type watched struct {
	t     *testing.T
	mu    sync.Mutex
	said  []string
	shown Shown
	more  chan struct{} // something came
}

// watch watches until the test ends.
func (m *made) watch(o Options) *watched {
	w := &watched{t: m.t, more: make(chan struct{}, 1)}
	o.Shm = m.key
	o.Say = func(text string) { w.note(func() { w.said = append(w.said, text) }) }
	o.Show = func(s Shown) { w.note(func() { w.shown = s }) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { Watch(ctx, o); close(done) }()
	m.t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *watched) note(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// until waits until is says yes to what was said and shown.
func (w *watched) until(what string, is func(said string, s Shown) bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		said, shown := strings.Join(w.said, "\n"), w.shown
		w.mu.Unlock()
		if is(said, shown) {
			return
		}
		select {
		case <-w.more:
		case <-deadline:
			w.t.Fatalf("waiting for %s; said:\n%s\nshown: %+v", what, said, shown)
		}
	}
}

// says waits until all texts were said.
func (w *watched) says(texts ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf("%q", texts), func(said string, _ Shown) bool {
		for _, text := range texts {
			if !strings.Contains(said, text) {
				return false
			}
		}
		return true
	})
}

// row waits until the row of an entry is as is says.
func (w *watched) row(index int, what string, is func(Row) bool) {
	w.t.Helper()
	w.until(what, func(_ string, s Shown) bool {
		for _, r := range s.Rows {
			if r.Entry.Index == index && is(r) {
				return true
			}
		}
		return false
	})
}
