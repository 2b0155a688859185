package proctree

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An id is one process, also after its pid was used again. (Start times have a resolution of 1/100 s; a pid comes back
// that fast only where pid_max was made tiny.)
type id struct {
	pid   int
	start uint64
}

// A proc is what /proc/PID/stat says of one process.
type proc struct {
	id
	comm    string
	state   byte // as in proc_pid_stat(5)
	parent  int
	session int
	threads int
}

// live is false for zombies, but not for a process whose first thread alone has ended.
func (p *proc) live() bool {
	return p.state != 'Z' && p.state != 'X' && p.state != 'x' || p.threads > 1
}

// StartTime returns when a process started, in clock ticks since boot: with the pid it names a process for good.
func StartTime(pid int) (uint64, error) {
	p, err := readProc(pid)
	if err != nil {
		return 0, fmt.Errorf("start time of process %d: %w", pid, err)
	}
	return p.start, nil
}

func procPath(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

func readProc(pid int) (*proc, error) {
	if pid <= 0 {
		return nil, unix.ESRCH
	}
	data, err := readFile(procPath(pid, "stat"), maxStat)
	if err == unix.ENOENT {
		return nil, unix.ESRCH
	}
	if err != nil {
		return nil, err
	}
	return parseStat(data)
}

// parseStat takes apart proc_pid_stat(5). The name is the process's own choice and may contain anything, but nothing
// after it contains a parenthesis.
func parseStat(data []byte) (*proc, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return nil, errStat
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 { // field 3 (state) is f[0]
		return nil, errStat
	}
	var n [5]uint64
	for i, s := range []string{strings.TrimSpace(string(data[:open])), f[1], f[3], f[17], f[19]} {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, errStat
		}
		n[i] = v
	}
	return &proc{id: id{pid: int(n[0]), start: n[4]}, comm: string(data[open+1 : end]), state: f[0][0],
		parent: int(n[1]), session: int(n[2]), threads: int(n[3])}, nil
}

var errStat = errors.New("stat not understood")

// Bounds of what is read, in bytes.
const (
	maxStat    = 4 << 10
	maxEnviron = 8 << 20 // more than execve(2) takes, less than would hurt
	maxList    = 64 << 20
)

// readFile reads at most limit bytes of a file that may have no size, and never waits for a writer.
func readFile(path string, limit int) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 512)
	for len(data) < limit {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := retry(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		data = data[:len(data)+n]
	}
	return data, nil
}

// retry calls again what a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// pids reads a list of numbers, as in children or cgroup.procs. Numbers of processes outside our view are 0 there.
func pids(data []byte) []int {
	var list []int
	for word := range strings.FieldsSeq(string(data)) {
		if n, err := strconv.Atoi(word); err == nil && n > 0 {
			list = append(list, n)
		}
	}
	return list
}

// numbered lists the entries of a directory that are numbers: /proc, or the tasks of a process.
func numbered(dir string) []int {
	fd, err := retry(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var list []int
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return list
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if v, err := strconv.Atoi(name); err == nil && v > 0 {
				list = append(list, v)
			}
		}
	}
}

// gone says that an error of /proc means that there is no such process, rather than that it could not be looked at.
func gone(err error) bool { return err == unix.ENOENT || err == unix.ESRCH }

// entries returns the environment that pid was started with, as far as the process left it alone. Reading it takes a lock
// of the target that a thread in uninterruptible sleep may hold for ever: then it is not read.
func entries(pid int) []string {
	for _, tid := range numbered(procPath(pid, "task")) {
		data, err := readFile(procPath(pid, "task/"+strconv.Itoa(tid)+"/stat"), maxStat)
		if err != nil {
			continue
		}
		if p, err := parseStat(data); err != nil || p.state == 'D' {
			return nil
		}
	}
	data, err := readFile(procPath(pid, "environ"), maxEnviron)
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(string(data), "\x00")
}

// outputs returns the inodes of the pipes that are stdout and stderr of pid, 0 for what is no pipe.
func outputs(pid int) (inodes [2]uint64) {
	var buf [64]byte
	for i, file := range []string{"fd/1", "fd/2"} {
		n, err := unix.Readlink(procPath(pid, file), buf[:])
		if err != nil {
			continue
		}
		if text, ok := strings.CutPrefix(string(buf[:n]), "pipe:["); ok {
			inodes[i], _ = strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64) // 0 if it is no number
		}
	}
	return inodes
}

// children lists the children of all threads of a process. One that ends meanwhile can hide another for this once.
func children(pid int) []int {
	var list []int
	for _, tid := range numbered(procPath(pid, "task")) {
		if data, err := readFile(procPath(pid, "task/"+strconv.Itoa(tid)+"/children"), maxList); err == nil {
			list = append(list, pids(data)...)
		}
	}
	return list
}

// printable makes a name that a process chose fit for a terminal and for JSON.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
