package evidence

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A LookRequest names the threads to look at.
type LookRequest struct {
	Main  int    // main process of the instance
	Start uint64 // its start time, proc_pid_stat(5); 0: not known
	Tids  []int  // 0: all threads of the main process
}

// A LookedAt is what a thread was seen doing. What could not be read is zero.
type LookedAt struct {
	At        int64 // CLOCK_MONOTONIC, ns
	Gone      bool
	State     byte
	Traced    bool
	Frozen    bool
	PipeWrite bool
	Waited    time.Duration
	Ran       time.Duration
	IO        time.Duration
	Tight     bool
}

// Look looks at threads: some 50 µs each. What is no thread of the instance is Gone, whatever it is: the number of a thread
// comes from the service. If the main process is another by now everything is.
func Look(r LookRequest) []LookedAt {
	list := make([]LookedAt, len(r.Tids))
	if r.Start != 0 {
		if st, ok := readStat(procFile(r.Main, "stat")); !ok || st.start != r.Start {
			for i := range list {
				list[i] = LookedAt{At: monotonic(), Gone: true}
			}
			return list
		}
	}
	io, tight := pressure()
	frozen := frozen(r.Main)
	for i, tid := range r.Tids {
		l := LookedAt{At: monotonic(), Frozen: frozen, IO: io, Tight: tight}
		if tid == 0 {
			lookAll(r.Main, &l)
		} else {
			lookOne(r.Main, tid, &l)
		}
		list[i] = l
	}
	return list
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// A process of which some thread runs or wants to is looked at a few times more, shortly after each other: one moment in
// which nobody does shows that it is not for want of a processor that another thread is late.
const (
	moreLooks  = 6
	lookingGap = 400 * time.Microsecond
)

// lookAll looks at all threads of a process.
func lookAll(pid int, l *LookedAt) {
	for n := 0; ; n++ {
		one := LookedAt{At: monotonic(), Frozen: l.Frozen, IO: l.IO, Tight: l.Tight}
		lookOnce(pid, &one)
		if one.State != 'R' && one.State != 'D' || n == moreLooks {
			*l = one
			return
		}
		time.Sleep(lookingGap)
	}
}

// lookOnce looks at each thread of a process: one that wants to run says more than those that sleep.
func lookOnce(pid int, l *LookedAt) {
	tids := threads(pid)
	l.Gone = true
	for _, tid := range tids {
		one := LookedAt{}
		lookOne(pid, tid, &one)
		l.Gone = l.Gone && one.Gone
		l.Waited += one.Waited
		l.Ran += one.Ran
		l.Traced = l.Traced || one.Traced
		l.PipeWrite = l.PipeWrite || one.PipeWrite
		if rank(one.State) > rank(l.State) {
			l.State = one.State
		}
	}
}

func rank(state byte) int {
	switch state {
	case 0:
		return 0
	case 'R':
		return 4
	case 'D':
		return 3
	case 't', 'T':
		return 2
	}
	return 1
}

func lookOne(pid, tid int, l *LookedAt) {
	dir := fmt.Sprintf("/proc/%d/task/%d/", pid, tid)
	st, ok := readStat(dir + "stat")
	if !ok {
		dir = fmt.Sprintf("/proc/%d/task/%d/", tid, tid) // of another process, maybe
		if st, ok = readStat(dir + "stat"); !ok || !belongs(tid, pid) {
			l.Gone = true
			return
		}
	}
	if st.state == 'Z' || st.state == 'X' { // it has ended; the first thread of a process stays as a zombie until all have
		l.Gone = true
		return
	}
	l.State = st.state
	l.Traced = l.Traced || st.state == 't' || field(dir+"status", "TracerPid:") != 0
	l.Ran, l.Waited = schedstat(dir + "schedstat")
	l.PipeWrite = pipeWrite(dir, pid)
}

// maxLooked bounds how many threads of a process are looked at each time, the oldest first.
const maxLooked = 512

func threads(pid int) []int { return numbers(fmt.Sprintf("/proc/%d/task", pid), maxLooked) }

// pipeWrite says whether a thread is blocked in a write to the pipe that is the output of the main process. Where the kernel
// does not tell which descriptor it writes to, or the main process writes elsewhere, any pipe counts.
func pipeWrite(dir string, main int) bool {
	wchan, err := readSmall(dir + "wchan")
	if err != nil || !strings.Contains(wchan, "pipe_write") {
		return false
	}
	text, err := readSmall(dir + "syscall")
	c, ok := parseCall(text)
	if err != nil || !ok || c.name() != "write" && c.name() != "writev" {
		return true
	}
	fd, _ := c.file()
	target, err := os.Readlink(dir + "fd/" + strconv.Itoa(fd))
	if err != nil {
		return true
	}
	known := false
	for _, fd := range []string{"1", "2"} {
		out, err := os.Readlink(procFile(main, "fd/"+fd))
		if err == nil && out == target {
			return true
		}
		known = known || err == nil && strings.HasPrefix(out, "pipe:")
	}
	return !known
}

// field is a number of a status file, proc_pid_status(5), 0 if it is not there.
func field(status, name string) int {
	text, err := readSmall(status)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.Atoi(f[0])
				return n
			}
		}
	}
	return 0
}

// schedstat is how long a thread ran, and how long it waited for a processor.
func schedstat(file string) (ran, waited time.Duration) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0
	}
	f := strings.Fields(string(data))
	if len(f) < 2 {
		return 0, 0
	}
	r, _ := strconv.ParseInt(f[0], 10, 64)
	w, _ := strconv.ParseInt(f[1], 10, 64)
	return time.Duration(r), time.Duration(w)
}

// Above these shares of ten seconds, in percent, the machine is short of something: tasks that are ready wait for processors
// even on a healthy one, while waiting for memory or I/O is always lost time.
const (
	tightCPU   = 40
	tightOther = 20
)

// pressure is what pressure stall information says: the time lost for I/O so far, and whether the machine is short now.
func pressure() (io time.Duration, tight bool) {
	for _, what := range []string{"cpu", "memory", "io"} {
		data, err := os.ReadFile("/proc/pressure/" + what)
		if err != nil {
			continue
		}
		avg, total := some(string(data))
		if what == "io" {
			io = total
		}
		tight = tight || what == "cpu" && avg > tightCPU || what != "cpu" && avg > tightOther
	}
	return io, tight
}

// some parses the line "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", whose total is in µs.
func some(text string) (avg10 float64, total time.Duration) {
	line, _, _ := strings.Cut(text, "\n")
	for _, f := range strings.Fields(line) {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "avg10":
			avg10, _ = strconv.ParseFloat(value, 64)
		case "total":
			us, _ := strconv.ParseInt(value, 10, 64)
			total = time.Duration(us) * time.Microsecond
		}
	}
	return avg10, total
}
