package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	survivorsAsk  = 5 * time.Second // between SIGTERM and SIGKILL
	survivorsKill = 2 * time.Second // after SIGKILL
	survivorsLook = 10 * time.Millisecond
)

// endSurvivors ends the processes of a daemon of this directory whose keeper and engine were both killed: nobody has
// looked after them since, and what starts now must not run beside them. The lock is held, so they are nobody else's.
func endSurvivors(id string, log *slog.Logger) error {
	left := survivors(id)
	if len(left) == 0 {
		return nil
	}
	log.Warn("services of a daemon that was killed are still there: they are ended, so that nothing runs twice", "processes", len(left))
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, survivorsAsk}, {unix.SIGKILL, survivorsKill}} {
		for begin := time.Now(); time.Since(begin) < step.wait; time.Sleep(survivorsLook) {
			if left = survivors(id); len(left) == 0 {
				return nil
			}
			if step.signal == unix.SIGKILL || time.Since(begin) < survivorsLook {
				signalAll(left, id, step.signal)
			}
		}
	}
	return fmt.Errorf("processes of a daemon that was killed do not end: pid %s", strings.Trim(fmt.Sprint(left), "[]"))
}

// survivors are the live processes that a daemon of this id left, by their mark or their cgroup, but not who asks.
func survivors(id string) []int {
	family := ancestors()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && !family[pid] && belongs(pid, id) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// belongs says whether a process is alive and of a tree of the daemon id.
func belongs(pid int, id string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return false
	}
	if !strings.Contains(string(group), "/stay-"+id+"/") {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains("\x00"+string(env), "\x00STAY_TREE="+id+"/") {
			return false
		}
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	after := strings.LastIndex(string(stat), ") ")
	return err == nil && after >= 0 && !strings.HasPrefix(string(stat[after+2:]), "Z")
}

// signalAll signals the processes, each only if it still is what it was when its descriptor was opened.
func signalAll(pids []int, id string, sig unix.Signal) {
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if belongs(pid, id) {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		unix.Close(fd)
	}
}

// ancestors are this process and those above it: one may start a daemon from a shell that such a daemon has left.
func ancestors() map[int]bool {
	family := map[int]bool{}
	for pid := os.Getpid(); pid > 1 && !family[pid]; {
		family[pid] = true
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		after := strings.LastIndex(string(stat), ") ")
		if err != nil || after < 0 {
			break
		}
		fields := strings.Fields(string(stat[after+2:]))
		if len(fields) < 2 {
			break
		}
		pid, _ = strconv.Atoi(fields[1])
	}
	return family
}

// endOrphans kills what services have left to this process, their subreaper, and what nobody could tell whose it was: it
// had left its session, its environment and its output behind. Nobody else is ever given to a keeper.
func endOrphans(orphans func() []int, log *slog.Logger) {
	for begin := time.Now(); time.Since(begin) < survivorsKill; time.Sleep(survivorsLook) {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err != unix.EINTR && (err != nil || pid <= 0) {
				break
			}
		}
		left := orphans()
		if len(left) == 0 {
			return
		}
		log.Warn("processes that belonged to no service any more are killed", "pid", left)
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL) // a child that only this process reaps: the pid is still its
		}
	}
}
