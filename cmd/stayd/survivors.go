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

// endSurvivors ends the processes of a daemon of this directory whose keeper and engine were both killed, but not those of
// the trees that the next keeper carries on with: nobody has looked after them since, nothing explains them, and what starts
// now must not run beside them. The lock is held, so they are nobody else's.
func endSurvivors(id string, explained map[string]bool, log *slog.Logger) error {
	left := survivors(id, explained)
	if len(left) == 0 {
		return nil
	}
	log.Warn("processes of a daemon that was killed are still there, and nothing says what they are: they are ended, so that nothing runs twice",
		"pid", left)
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, survivorsAsk}, {unix.SIGKILL, survivorsKill}} {
		for begin := time.Now(); time.Since(begin) < step.wait; time.Sleep(survivorsLook) {
			if left = survivors(id, explained); len(left) == 0 {
				return nil
			}
			if step.signal == unix.SIGKILL || time.Since(begin) < survivorsLook {
				signalAll(left, id, step.signal)
			}
		}
	}
	return fmt.Errorf("processes of a daemon that was killed do not end: pid %s", strings.Trim(fmt.Sprint(left), "[]"))
}

// survivors are the live processes that a daemon of this id left, by their mark or their cgroup, but not who asks, nor those
// of trees that are explained.
func survivors(id string, explained map[string]bool) []int {
	family := ancestors()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || family[pid] {
			continue
		}
		if tree, ok := belongs(pid, id); ok && !explained[tree] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// belongs says whether a process is alive and of the daemon id, and of which tree, as treePath names it.
func belongs(pid int, id string) (tree string, ok bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return "", false
	}
	if _, below, found := strings.Cut(string(group), "/stay-"+id+"/"); found {
		name := strings.TrimSpace(below)
		if i := strings.LastIndex(name, "-g"); i >= 0 {
			tree = name[:i] + "/" + name[i+2:]
		}
	} else {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		_, mark, found := strings.Cut("\x00"+string(env), "\x00STAY_TREE="+id+"/")
		if err != nil || !found {
			return "", false
		}
		tree, _, _ = strings.Cut(mark, "\x00")
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	after := strings.LastIndex(string(stat), ") ")
	return tree, err == nil && after >= 0 && !strings.HasPrefix(string(stat[after+2:]), "Z")
}

// signalAll signals the processes, each only if it still is what it was when its descriptor was opened.
func signalAll(pids []int, id string, sig unix.Signal) {
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if _, ok := belongs(pid, id); ok {
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
