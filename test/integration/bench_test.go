package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// compile makes a program of testdata, or skips the benchmark where there is no compiler.
func compile(b *testing.B, name string, flags ...string) string {
	b.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Skip("needs gcc")
	}
	out := filepath.Join(b.TempDir(), name)
	cmd := exec.Command(gcc, append([]string{"-O2", "-o", out, "testdata/" + name + ".c"}, flags...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, text)
	}
	return out
}

// ticks is the file in which each new process notes its pid and the moment of its first instruction.
type ticks struct{ file string }

type tick struct{ sec, nsec, pid int64 }

// entry is the n-th entry, if it is there.
func (f ticks) entry(n int) (tick, bool) {
	data, _ := os.ReadFile(f.file)
	if n < 0 || len(data) < (n+1)*24 {
		return tick{}, false
	}
	at := func(i int) int64 { return int64(binary.NativeEndian.Uint64(data[n*24+i*8:])) }
	return tick{at(0), at(1), at(2)}, true
}

// last is the last entry there is.
func (f ticks) last() (tick, bool) {
	info, err := os.Stat(f.file)
	if err != nil {
		return tick{}, false
	}
	return f.entry(int(info.Size()/24) - 1)
}

// after waits for the n-th entry.
func (f ticks) after(b *testing.B, n int) tick {
	b.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if t, ok := f.entry(n); ok {
			return t
		}
		<-time.After(200 * time.Microsecond)
	}
	b.Fatalf("no process %d", n)
	return tick{}
}

// kill kills the n-th process and returns how long it took until its successor ran.
func (f ticks) kill(b *testing.B, n int) time.Duration {
	b.Helper()
	victim := f.after(b, n)
	<-time.After(15 * time.Millisecond) // as quiet as it is when something dies in earnest
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Kill(int(victim.pid), syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	next := f.after(b, n+1)
	return time.Duration((next.sec-ts.Sec)*1e9 + next.nsec - ts.Nsec)
}

// BenchmarkRestart measures SIGKILL to the successor's first instruction, under stay and under the least program that
// restarts anything, one after the other in the same run.
func BenchmarkRestart(b *testing.B) {
	prog := compile(b, "tick", "-static", "-nostdlib")
	bare := compile(b, "bare")
	d := start(b, fmt.Sprintf("[stay]\nfork_rate = \"\"\n[service.tick]\ncommand = [%q]\nrestart = { stable = \"1ms\" }", prog))
	under := ticks{filepath.Join(d.dir, "ticks")}
	other := b.TempDir()
	loop := exec.Command(bare, prog)
	loop.Dir = other
	if err := loop.Start(); err != nil {
		b.Fatal(err)
	}
	alone := ticks{filepath.Join(other, "ticks")}
	b.Cleanup(func() {
		_ = loop.Process.Kill()
		_ = loop.Wait()
		if last, ok := alone.last(); ok {
			_ = syscall.Kill(int(last.pid), syscall.SIGKILL)
		}
	})
	var stay, least []time.Duration
	for n := 0; b.Loop(); n++ {
		stay = append(stay, under.kill(b, n))
		least = append(least, alone.kill(b, n))
	}
	slices.Sort(stay)
	slices.Sort(least)
	s, l := stay[len(stay)/2], least[len(least)/2]
	b.ReportMetric(float64(s.Microseconds()), "stay-µs")
	b.ReportMetric(float64(l.Microseconds()), "bare-µs")
	b.ReportMetric(float64(s)/float64(l), "ratio")
}

// memory is the proportional set size of a process in KiB, and its private part.
func memory(b testing.TB, pid int) (pss, private int) {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Skipf("memory: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		var n int
		switch {
		case strings.HasPrefix(line, "Pss:"):
			fmt.Sscanf(line, "Pss: %d", &n)
			pss = n
		case strings.HasPrefix(line, "Private_"):
			fmt.Sscanf(line[strings.Index(line, ":")+1:], "%d", &n)
			private += n
		}
	}
	return pss, private
}

// BenchmarkThousand measures 1,000 services: all up, all down, the memory of both processes meanwhile, and the gap in
// service of the control socket when the engine is killed.
func BenchmarkThousand(b *testing.B) {
	prog := compile(b, "tick", "-static", "-nostdlib")
	var c strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&c, "[service.s%04d]\ncommand = [%q]\n", i, prog)
	}
	for b.Loop() {
		d := prepare(b, c.String())
		begin := time.Now()
		d.up()
		if _, err := d.try(api.Command{Verb: api.Wait, Target: "all", For: "ready"}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "up-ms")
		v, err := d.version()
		if err != nil {
			b.Fatal(err)
		}
		kp, _ := memory(b, v.KeeperPid)
		ep, _ := memory(b, v.EnginePid)
		b.ReportMetric(float64(kp), "keeper-KiB")
		b.ReportMetric(float64(ep), "engine-KiB")
		gap := d.killEngine()
		b.ReportMetric(float64(gap.Microseconds())/1000, "gap-ms")
		v, _ = d.version()
		ep, _ = memory(b, v.EnginePid)
		b.ReportMetric(float64(ep), "engine2-KiB")
		begin = time.Now()
		if _, err := d.try(api.Command{Verb: api.Stop, Target: "all"}); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "down-ms")
	}
}

// BenchmarkChurn measures both processes before and after 20,000 restarts: memory, descriptors and threads have to stay.
func BenchmarkChurn(b *testing.B) {
	const services, restarts = 20, 20000
	var c strings.Builder
	c.WriteString("[stay]\nfork_rate = \"\"\n[defaults]\nrestart = { step = \"0s\", max_delay = \"0s\" }\n")
	for i := range services {
		fmt.Fprintf(&c, "[service.s%02d]\ncommand = \"/bin/true\"\n", i)
	}
	for b.Loop() {
		d := start(b, c.String())
		sum := func() (n int) {
			for _, i := range d.status("") {
				n += i.Restarts
			}
			return n
		}
		var first, last usage
		begin := time.Now()
		for goal := restarts / 20; goal <= restarts; goal += restarts - restarts/20 {
			for sum() < goal {
				<-time.After(20 * time.Millisecond)
			}
			first, last = last, d.usage(b)
		}
		b.ReportMetric(float64(restarts)/time.Since(begin).Seconds(), "restarts/s")
		b.ReportMetric(float64(first.memory), "KiB-at-1000")
		b.ReportMetric(float64(last.memory), "KiB-at-20000")
		b.ReportMetric(float64(last.files-first.files), "more-files")
		b.ReportMetric(float64(last.threads-first.threads), "more-threads")
	}
}

// usage is what keeper and engine together have.
type usage struct{ memory, files, threads int }

func (d *daemon) usage(b testing.TB) usage {
	b.Helper()
	v, err := d.version()
	if err != nil {
		b.Fatal(err)
	}
	var u usage
	for _, pid := range []int{v.KeeperPid, v.EnginePid} {
		pss, _ := memory(b, pid)
		u.memory += pss
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		u.files += len(files)
		u.threads += len(threads)
	}
	return u
}
