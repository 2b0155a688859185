package oldtable

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/sysv"
)

// tick is the unit of start times in /proc (USER_HZ, the same on all machines that Go runs on).
const tick = time.Second / 100

// exists says whether a process, or a thread, has the pid.
func exists(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH }

// A process is held by its pidfd: what is asked of it by pid is about it if it still lives afterwards.
type process struct {
	pid int
	fd  *os.File
}

var errGone = errors.New("it has gone")

// hold gets hold of the process with a pid. errGone: there is none, or it is a thread of another.
func hold(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH || err == unix.EINVAL || err == unix.ENOENT {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that its end can be waited for without a thread
		unix.Close(fd)
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	return &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (p *process) release() { p.fd.Close() }

// signal sends a signal. errGone: it has ended.
func (p *process) signal(sig unix.Signal) error {
	var err error
	if e := p.control(func(fd int) { err = unix.PidfdSendSignal(fd, sig, nil, 0) }); e != nil {
		return e
	}
	if err == unix.ESRCH {
		return errGone
	}
	return err
}

func (p *process) control(f func(fd int)) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// ended says whether it has ended; a zombie has.
func (p *process) ended() (yes bool) {
	err := p.control(func(fd int) { yes = readable(fd) })
	return yes || err != nil
}

func readable(fd int) bool {
	list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(list, 0)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// await waits until it has ended, for d at most; 0: without end. It says whether it has.
func (p *process) await(ctx context.Context, d time.Duration) bool {
	limit := time.Time{}
	if d > 0 {
		limit = time.Now().Add(d)
	}
	if p.fd.SetReadDeadline(limit) != nil {
		return p.ended()
	}
	defer context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })()
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return p.ended()
	}
	return raw.Read(func(fd uintptr) bool { return readable(int(fd)) }) == nil
}

// stat is what /proc/PID/stat says.
type stat struct {
	state byte
	start uint64 // ticks since boot
}

func statOf(pid int) (stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat takes the fields after the name, which may hold anything.
func parseStat(data []byte) (stat, error) {
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if end < 0 || len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errors.New("not understood")
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	return stat{state: fields[0][0], start: start}, err
}

// traced says whether somebody has the process on a leash: a debugger may hold it.
func traced(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if tracer, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			return strings.TrimSpace(tracer) != "0"
		}
	}
	return false
}

// attached says whether the process has the segment attached. It may take long: the kernel locks the address space.
func attached(pid int, key sysv.Key, memory sysv.Memory) (bool, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	if theirs, err := os.Readlink(proc + "/ns/ipc"); err != nil {
		return false, err
	} else if ours, err := os.Readlink("/proc/self/ns/ipc"); err != nil || ours != theirs {
		return false, err // its segments have numbers of their own
	}
	f, err := os.Open(proc + "/maps")
	if err != nil {
		return false, err
	}
	defer f.Close()
	return findSegment(f, key, memory)
}

// findSegment looks for a line like `7f…-7f… rw-s 00000000 00:01 32768  /SYSV00005095 (deleted)`: the inode is the segment's
// number. Who may not write it has made no entry: it only looks, as other daemons like this one do.
func findSegment(maps io.Reader, key sysv.Key, memory sysv.Memory) (bool, error) {
	name, inode := fmt.Sprintf("/SYSV%08x", uint32(key)), strconv.Itoa(memory.ID)
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[5] == name && fields[4] == inode && strings.HasPrefix(fields[1], "rw") && strings.HasSuffix(fields[1], "s") {
			return true, nil
		}
	}
	return false, lines.Err()
}

// startedAt is the moment of a start time, given both clocks now: the one that counts from boot, and the wall's.
func startedAt(start uint64, boot time.Duration, wall time.Time) time.Time {
	return wall.Add(time.Duration(start)*tick - boot)
}

// sinceBoot is CLOCK_BOOTTIME: start times count suspend.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
