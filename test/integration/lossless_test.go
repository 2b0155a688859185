package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// This file: nothing of what a service writes is lost, whoever of stay is killed meanwhile. roleNumbers writes, a ledger
// checks.

func init() { roles["numbers"] = roleNumbers }

// roleNumbers writes numbered lines as fast as it can until SIGTERM, and then, as the last line, "end" and how many there
// were. Its writes are of all lengths and end within lines.
func roleNumbers([]string) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var ended atomic.Bool
	go func() { <-term; ended.Store(true) }()
	dice := rand.New(rand.NewPCG(1, 2))
	var out []byte
	n := 0
	for !ended.Load() {
		for most := 1 + dice.IntN(128<<10); len(out) < most; n++ {
			out = numberedLine(out, n)
		}
		cut := 1 + dice.IntN(len(out))
		if _, err := os.Stdout.Write(out[:cut]); err != nil {
			return 1
		}
		out = append(out[:0], out[cut:]...)
	}
	if _, err := fmt.Printf("%send %d\n", out, n); err != nil {
		return 1
	}
	return 0
}

const numberedFill = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"

// numberedLine appends the n-th line, which can be told from any part of it and of others.
func numberedLine(b []byte, n int) []byte {
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(append(b, ' '), numberedFill[:n*7%len(numberedFill)]...)
	return append(b, '.', '\n')
}

// A ledger is what became of numbered lines.
type ledger struct {
	lines, last      int // lines in the log, the number of the last one
	missing, mangled int
	repeats          int // how often the log goes back
	repeated         int // lines that are there again
	most             int // bytes of the longest repeat
	bytes            int64
	end              int // what the writer says there were; -1: it did not say
	dropped, notices int // lines that the log says were dropped, and how often it says so
	odd              []string
}

// String is for the test's log.
func (l *ledger) String() string {
	return fmt.Sprintf("%d lines, %d MB: %d missing, %d mangled; went back %d times, %d lines twice, %d bytes at most",
		l.lines, l.bytes>>20, l.missing, l.mangled, l.repeats, l.repeated, l.most)
}

// readLedger reads the log of a service from its oldest file on. Lines may have stamps.
func readLedger(t testing.TB, dir, name string) *ledger {
	t.Helper()
	l := &ledger{last: -1, end: -1}
	files, err := filepath.Glob(filepath.Join(dir, name+".log*"))
	if err != nil {
		t.Fatal(err)
	}
	number := func(file string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(filepath.Base(file), name+".log"), "."))
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(b) - number(a) })
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		l.read(t, f)
		f.Close()
	}
	return l
}

func (l *ledger) read(t testing.TB, r io.Reader) {
	t.Helper()
	in := bufio.NewReaderSize(r, 1<<20)
	var want []byte
	back := 0 // bytes of the repeat that is under way
	for {
		line, err := in.ReadSlice('\n')
		if len(line) == 0 && err == io.EOF {
			return
		}
		l.bytes += int64(len(line))
		if len(line) > 28 && line[4] == '-' && line[27] == ' ' {
			line = line[28:]
		}
		var dropped int
		if _, err := fmt.Sscanf(string(line), "— stay: output was dropped, because the log could not be written: %d lines", &dropped); err == nil {
			l.dropped += dropped
			l.notices++
			continue
		}
		head, _, _ := bytes.Cut(line, []byte(" "))
		n, bad := strconv.Atoi(string(head))
		if string(head) == "end" {
			fmt.Sscanf(string(line), "end %d\n", &l.end)
			continue
		}
		if want = numberedLine(want[:0], n); bad != nil || !bytes.Equal(line, want) {
			l.mangled++
			l.note("after line %d comes %.60q", l.last, line)
			continue
		}
		l.lines++
		switch {
		case n > l.last+1:
			l.missing += n - l.last - 1
			l.note("after line %d comes %d", l.last, n)
		case n <= l.last && back == 0:
			l.repeats++
		}
		if n <= l.last {
			l.repeated++
			back += len(line)
			l.most = max(l.most, back)
			continue
		}
		l.last, back = n, 0
	}
}

func (l *ledger) note(format string, a ...any) {
	if len(l.odd) < 10 {
		l.odd = append(l.odd, fmt.Sprintf(format, a...))
	}
}

// complete fails the test unless all is there, in order, whole, and once, but for some repeats of a chunk.
func (l *ledger) complete(t testing.TB, repeats int) {
	t.Helper()
	t.Log(l)
	if l.missing > 0 || l.mangled > 0 || l.end != l.last+1 {
		t.Errorf("%d lines are missing, %d are mangled, and the last of %d is %d: %q", l.missing, l.mangled, l.end, l.last, l.odd)
	}
	if l.repeats > repeats || l.most > 64<<10 {
		t.Errorf("%d repeats, up to %d bytes", l.repeats, l.most)
	}
}

// numbers is the configuration of two services that run roleNumbers: the log of "raw" is one file, that of "stamped" many.
func numbers(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	service := func(name, log string) string {
		return fmt.Sprintf("[service.%s]\ncommand = [%q, \"numbers\"]\nenv = { STAY_TEST_ROLE = \"numbers\" }\nrestart = { when = \"never\" }\nlog = { %s }\n", name, self, log)
	}
	return service("raw", "timestamps = false, max_size = 0") +
		service("stamped", "timestamps = true, max_size = \"8MiB\", keep = 10000, compress = false")
}

// grown waits until a log that is written has grown by more than n bytes.
func (d *daemon) grown(name string, n int64) {
	d.t.Helper()
	logged := func() int64 {
		info, err := os.Stat(filepath.Join(d.dir, ".stay", "log", name+".log"))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	before := logged()
	d.wait("an engine that writes", func() error {
		if logged() <= before+n {
			return errNotYet
		}
		return nil
	})
}

// ledgers stops the services of numbers, and reads what they have written when all of it is there.
func (d *daemon) ledgers() map[string]*ledger {
	d.t.Helper()
	d.ending("raw", "stamped")
	found := map[string]*ledger{}
	for _, name := range []string{"raw", "stamped"} {
		found[name] = readLedger(d.t, filepath.Join(d.dir, ".stay", "log"), name)
	}
	return found
}

// ending stops services of roleNumbers, and waits until all that they have written is in their logs.
func (d *daemon) ending(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if _, err := d.try(api.Command{Verb: api.Stop, Target: name}); err != nil {
			d.t.Fatal(err)
		}
		d.wait("the last line of "+name, func() error {
			if !strings.Contains(tailOf(filepath.Join(d.dir, ".stay", "log", name+".log")), "end ") {
				return errNotYet
			}
			return nil
		})
	}
}

// tailOf is the last 100 bytes of a file.
func tailOf(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(-100, io.SeekEnd); err != nil {
		_, _ = f.Seek(0, io.SeekStart)
	}
	text, _ := io.ReadAll(f)
	return string(text)
}

// deaths is how many engines a test kills: STAY_TEST_DEATHS, if that is set.
func deaths(n int) int {
	if testing.Short() {
		n /= 10
	}
	if given, err := strconv.Atoi(os.Getenv("STAY_TEST_DEATHS")); err == nil {
		n = given
	}
	return n
}

// TestNoLineIsLost: services write as fast as they can, while engine after engine is killed.
func TestNoLineIsLost(t *testing.T) {
	t.Parallel()
	d := start(t, numbers(t))
	begin, n := time.Now(), deaths(100)
	dice := rand.New(rand.NewPCG(3, 4))
	for range n {
		d.grown("raw", dice.Int64N(1<<20))
		d.killEngine()
	}
	t.Logf("%d engines were killed in %v", n, time.Since(begin).Round(time.Millisecond))
	for _, l := range d.ledgers() {
		l.complete(t, 0)
	}
}

// TestNoLineIsLostOverKeepers: what an engine leaves to the next one goes with it to another keeper.
func TestNoLineIsLostOverKeepers(t *testing.T) {
	t.Parallel()
	d := start(t, numbers(t))
	for range 3 {
		d.grown("raw", 100_000)
		d.killKeeper()
		for range 3 {
			d.grown("raw", 100_000)
			d.killEngine()
		}
	}
	for _, l := range d.ledgers() {
		l.complete(t, 0)
	}
}

// TestFullLog: a log that cannot grow holds the service that waits for it, drops what the other says, and is made good when
// it can; a third service does not notice.
func TestFullLog(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("needs prlimit, of util-linux")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const limit = 16 << 20 // bytes of a file
	service := func(name, full string) string {
		return fmt.Sprintf("[service.%s]\ncommand = [%q, \"numbers\"]\nenv = { STAY_TEST_ROLE = \"numbers\" }\nrestart = { when = \"never\" }\nlog = { timestamps = false, max_size = 0, full = %q }\n", name, self, full)
	}
	d := prepare(t, service("waits", "wait")+service("drops", "drop")+"[service.quiet]\ncommand = \"sh -c 'while :; do echo still here; sleep .01; done'\"\n")
	d.wrap = []string{"prlimit", fmt.Sprintf("--fsize=%d:unlimited", limit)}
	d.up()
	logs := filepath.Join(d.dir, ".stay", "log")
	drops := d.running("drops", 0)
	d.wait("full logs", func() error {
		for _, name := range []string{"waits", "drops"} {
			if info, err := os.Stat(filepath.Join(logs, name+".log")); err != nil || info.Size() < limit-(64<<10) {
				return errNotYet
			}
		}
		return nil
	})
	before := d.written(drops.Pid)
	d.wait("a service that writes to a full log", func() error {
		if d.written(drops.Pid) < before+1<<20 {
			return errNotYet
		}
		return nil
	})
	d.grown("quiet", 100)
	if err := unix.Prlimit(mustVersion(t, d).EnginePid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
	d.grown("waits", 1<<20)
	d.grown("drops", 1<<20)
	d.ending("waits", "drops")
	waits, dropped := readLedger(t, logs, "waits"), readLedger(t, logs, "drops")
	waits.complete(t, 0)
	t.Log(dropped)
	if dropped.missing != dropped.dropped || dropped.notices == 0 || dropped.mangled > dropped.notices || dropped.repeats > 0 {
		t.Errorf("%d lines are missing, %d were said to be dropped, in %d notices: %q", dropped.missing, dropped.dropped, dropped.notices, dropped.odd)
	}
}

// written is how many bytes a process has written, to whatever.
func (d *daemon) written(pid int) (n int64) {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		d.t.Skipf("needs to know how much a process writes: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "wchar: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		d.t.Fatal(err)
	}
	return n
}
