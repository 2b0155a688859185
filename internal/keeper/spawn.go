package keeper

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A forkJob is one process to be made.
type forkJob struct {
	row   *row // nil: the engine
	spawn *Spawn
	path  string
	argv  []string
	attr  *syscall.ProcAttr
	ours  []int // the child's ends: closed here when it has them
	pass  []int // of ours, those that the service begins with, from 3 on
	stage int   // read end of the exec stage's error pipe; 0 = direct
}

// spawn takes the order; the process is made when its turn comes. It says how many of the descriptors are taken.
func (k *Keeper) spawn(r *row, m *Message, fds []int) (kept int) {
	switch {
	case m.Gen <= r.gen:
		k.o.Log.Warn("spawn refused: its generation was seen", "unit", r.unit, "generation", m.Gen, "last", r.gen)
		return 0
	case r.live():
		k.o.Log.Error("internal error: spawn beside a live tree refused", "unit", r.unit, "generation", m.Gen)
		return 0
	}
	r.gen, r.state, r.empty = m.Gen, InSpawn, false
	r.main, r.start, r.born, r.exit, r.lost, r.fail, r.tree = 0, 0, 0, nil, false, nil, nil
	r.killing, r.named, r.mark, r.out = false, false, "", 0
	r.owed = owed{row: r.owed.row}
	if m.Spawn == nil || m.Spawn.Exec == nil && len(m.Spawn.Stage) == 0 {
		k.notBorn(r, Failure{Stage: "order", Errno: int(unix.EINVAL), Detail: "internal error: spawn without a program"})
		return 0
	}
	r.mark = m.Spawn.Mark
	k.waiting = append(k.waiting, forkJob{row: r, spawn: m.Spawn, pass: fds, ours: fds[:len(fds):len(fds)]})
	return len(fds)
}

// makeOne makes the next process that is waited for, and says whether there are more. The loop itself forks: it runs on any
// thread but the first (see the package comment), a fork takes .4 ms, and a direct exec is ordered only where program and
// directory lie on local file systems. So no child can end before the loop knows its pid.
func (k *Keeper) makeOne() (more bool) {
	if len(k.waiting) == 0 {
		return false
	}
	j := k.waiting[0]
	k.waiting[0] = forkJob{}
	k.waiting = k.waiting[1:]
	if len(k.waiting) == 0 {
		k.waiting = nil
	}
	if f := k.refused(&j); f != nil {
		CloseAll(j.ours)
		if j.row != nil {
			k.notBorn(j.row, *f)
		}
		return k.waiting != nil
	}
	pid, err := k.fork(j.path, j.argv, j.attr)
	at := now()
	CloseAll(j.ours)
	if err == nil {
		select {
		case k.kick <- struct{}{}:
		default:
		}
	}
	switch {
	case j.row == nil:
		k.engineForked(pid, err)
	case err != nil:
		if j.stage != 0 {
			unix.Close(j.stage)
		}
		k.notBorn(j.row, *execFailure(j, err))
	default:
		k.forked(j, pid, at)
	}
	return k.waiting != nil
}

// refused prepares a job, or says why it is not to be done.
func (k *Keeper) refused(j *forkJob) *Failure {
	switch {
	case k.leaving:
		return &Failure{Stage: "fork", Errno: int(unix.ECANCELED), Detail: "the keeper is leaving"}
	case j.row == nil:
		return nil
	case j.row.killing:
		return &Failure{Stage: "fork", Errno: int(unix.ECANCELED), Detail: "killed before it was made"}
	}
	return k.prepare(j)
}

// forked takes a service's new process.
func (k *Keeper) forked(j forkJob, pid int, at int64) {
	r := j.row
	r.main, r.born, r.start = pid, at, k.startTime(pid)
	r.tree.Rooted(pid, r.mark, r.out)
	k.byPid[pid] = r
	k.change(r)
	if j.stage == 0 {
		k.born(r)
	} else {
		r.stage = true
		go readStage(r, r.gen, j.stage, k.staged)
	}
}

// execFailure finds out at which stage a direct exec failed: the kernel tells only a number.
func execFailure(j forkJob, err error) *Failure {
	var errno syscall.Errno
	_ = errors.As(err, &errno)
	switch errno {
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return failure("fork", "", err)
	}
	if j.spawn.Exec == nil {
		return failure("exec stage", j.path, err)
	}
	// The program is on a local file system, says the order, so asking about its directory does not block.
	if dir := j.attr.Dir; dir != "" {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() || unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS) != nil {
			return failure("chdir", dir, errno)
		}
	}
	return failure("exec", j.path, err)
}

// failure makes a Failure of an error; one without a number counts as EIO.
func failure(stage, detail string, err error) *Failure {
	var n syscall.Errno
	if !errors.As(err, &n) {
		return &Failure{Stage: stage, Errno: int(unix.EIO), Detail: err.Error()}
	}
	return &Failure{Stage: stage, Errno: int(n), Detail: detail}
}

// born says that the program runs.
func (k *Keeper) born(r *row) {
	r.state = Alive
	r.owed.spawned = true
	k.owe(r)
}

// notBorn says that no process came of the order, and none is left of the attempt.
func (k *Keeper) notBorn(r *row, f Failure) {
	if k.byPid[r.main] == r {
		delete(k.byPid, r.main)
	}
	r.state, r.fail, r.empty, r.stage, r.killing = NotBorn, &f, true, false, false
	r.main, r.exit = 0, nil
	r.owed.failed = true
	k.removeTree(r)
	r.drop(LogPipe, r.gen)
	r.drop(ReadyPipe, 0)
	k.owe(r)
}

// exePath names stayd's own file in a way that survives its replacement on disk.
func (k *Keeper) exePath() string { return fmt.Sprintf("/proc/self/fd/%d", k.o.Exe.Fd()) }

// treeName is the name of the tree of the row's generation.
func (r *row) treeName() string { return r.unit + "-g" + strconv.FormatUint(r.gen, 10) }
