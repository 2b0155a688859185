package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A forkJob is one process to be made.
type forkJob struct {
	row   *row   // nil: the engine
	gen   uint64 // of the row
	spawn *Spawn
	path  string
	argv  []string
	attr  *syscall.ProcAttr
	ours  []int // the child's ends: closed here when it has them
	stage int   // read end of the exec stage's error pipe; 0 = direct
}

// A forkResult is what became of a job.
type forkResult struct {
	job forkJob
	pid int
	at  int64
	err error
}

// forker makes processes, one at a time, on a thread of its own: a fork takes .4 ms, and the loop has others to serve.
// It must not be the process's first thread (see the package comment).
func forker(jobs <-chan forkJob, results chan<- forkResult) {
	for j := range jobs {
		pid, err := syscall.ForkExec(j.path, j.argv, j.attr)
		results <- forkResult{job: j, pid: pid, at: now(), err: err}
	}
}

// spawn takes the order; the process is made when its turn comes.
func (k *Keeper) spawn(r *row, m *Message) {
	switch {
	case m.Gen <= r.gen:
		k.o.Log.Warn("spawn refused: its generation was seen", "unit", r.unit, "generation", m.Gen, "last", r.gen)
		return
	case r.live():
		k.o.Log.Error("internal error: spawn beside a live tree refused", "unit", r.unit, "generation", m.Gen)
		return
	case m.Spawn == nil || m.Spawn.Exec == nil && len(m.Spawn.Stage) == 0:
		k.o.Log.Error("internal error: spawn without a program", "unit", r.unit)
		return
	}
	r.gen, r.state, r.empty = m.Gen, InSpawn, false
	r.main, r.born, r.exit, r.fail, r.tree = 0, 0, nil, nil, nil
	r.killing, r.named, r.mark = false, false, m.Spawn.Mark
	r.owed = owed{row: r.owed.row}
	k.waiting = append(k.waiting, forkJob{row: r, gen: m.Gen, spawn: m.Spawn})
}

// startFork gives the forker its next job.
func (k *Keeper) startFork() {
	for !k.forking && len(k.waiting) > 0 {
		j := k.waiting[0]
		k.waiting = k.waiting[1:]
		if len(k.waiting) == 0 {
			k.waiting = nil
		}
		if j.row != nil {
			if j.row.killing {
				k.notBorn(j.row, Failure{Stage: "fork", Errno: int(unix.ECANCELED), Detail: "killed before it was made"})
				continue
			}
			if f := k.prepare(&j); f != nil {
				CloseAll(j.ours)
				k.notBorn(j.row, *f)
				continue
			}
		}
		k.forking = true
		k.jobs <- j
	}
}

// prepare makes the pipes, the tree and the attributes of one process.
func (k *Keeper) prepare(j *forkJob) *Failure {
	r, s := j.row, j.spawn
	read, write, f := k.pipe(s, "log pipe")
	if f != nil {
		return f
	}
	r.holdAlso(LogPipe, r.gen, read)
	j.ours = append(j.ours, write)
	r.out = inode(read)
	files := []uintptr{k.null.Fd(), uintptr(write), uintptr(write)}
	r.drop(ReadyPipe, 0)
	if s.Ready > 2 {
		read, write, f := k.pipe(s, "readiness pipe")
		if f != nil {
			return f
		}
		r.hold(ReadyPipe, r.gen, read)
		j.ours = append(j.ours, write)
		for len(files) <= s.Ready {
			files = append(files, ^uintptr(0))
		}
		files[s.Ready] = uintptr(write)
	}
	tree, err := k.o.Forest.Plant(r.unit + "-g" + strconv.FormatUint(r.gen, 10))
	if err != nil {
		return failure("tree", r.unit, err)
	}
	r.tree = tree
	sys := &syscall.SysProcAttr{Setsid: true}
	if fd, ok := tree.CgroupFD(); ok {
		sys.UseCgroupFD, sys.CgroupFD = true, fd
		j.ours = append(j.ours, fd)
	}
	j.attr = &syscall.ProcAttr{Files: files, Sys: sys}
	if s.Exec != nil {
		j.path, j.argv = s.Exec.Path, s.Exec.Argv
		j.attr.Dir, j.attr.Env = s.Exec.Dir, s.Exec.Env
		return nil
	}
	return k.prepareStage(j)
}

// prepareStage has the exec stage come first: it finds its plan and the way to report behind the service's descriptors.
func (k *Keeper) prepareStage(j *forkJob) *Failure {
	plan, err := memfd("plan", j.spawn.Stage)
	if err != nil {
		return failure("plan", "", err)
	}
	j.ours = append(j.ours, plan)
	var report [2]int
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return failure("pipe", "", err)
	}
	j.ours = append(j.ours, report[1])
	j.stage = report[0]
	n := len(j.attr.Files)
	j.attr.Files = append(j.attr.Files, uintptr(plan), uintptr(report[1]))
	j.path = k.exePath()
	j.argv = []string{"stayd", "exec", strconv.Itoa(n), strconv.Itoa(n + 1)}
	j.attr.Dir, j.attr.Env = "/", []string{}
	return nil
}

// exePath names stayd's own file in a way that survives its replacement on disk.
func (k *Keeper) exePath() string { return "/proc/self/fd/" + strconv.Itoa(int(k.o.Exe.Fd())) }

// pipe returns the read end, which never blocks, and the service's end. That one is opened read-write, so that no
// death of a reader can break it, and belongs to the service's user, who may open it again as /dev/stdout.
func (k *Keeper) pipe(s *Spawn, what string) (read, write int, f *Failure) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return 0, 0, failure(what, "", err)
	}
	defer unix.Close(p[1])
	write, err := unix.Open("/proc/self/fd/"+strconv.Itoa(p[1]), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(p[0])
		return 0, 0, failure(what, "", err)
	}
	if s.UID != os.Geteuid() || s.GID != os.Getegid() {
		if err := unix.Fchown(p[0], s.UID, s.GID); err != nil {
			unix.Close(p[0])
			unix.Close(write)
			return 0, 0, failure(what, "", err)
		}
	}
	return p[0], write, nil
}

func inode(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// failure makes a Failure of an error; one without a number counts as EIO.
func failure(stage, detail string, err error) *Failure {
	var n syscall.Errno
	if !errors.As(err, &n) {
		return &Failure{Stage: stage, Errno: int(unix.EIO), Detail: err.Error()}
	}
	return &Failure{Stage: stage, Errno: int(n), Detail: detail}
}

// forkDone takes what the forker returned.
func (k *Keeper) forkDone(res forkResult) {
	k.forking = false
	CloseAll(res.job.ours)
	defer clear(k.early) // who is in there now and was not asked for is an orphan
	r := res.job.row
	if r == nil {
		k.engineForked(res)
		return
	}
	if res.err != nil {
		if res.job.stage != 0 {
			unix.Close(res.job.stage)
		}
		k.notBorn(r, *execFailure(res.job, res.err))
		return
	}
	r.main, r.born = res.pid, res.at
	k.byPid[res.pid] = r
	r.tree.Rooted(res.pid, r.mark, r.out)
	if res.job.stage == 0 {
		k.born(r)
	} else {
		r.stage = true
		go readStage(r, r.gen, res.job.stage, k.staged)
	}
	if r.killing {
		k.killNow(r)
	}
	if w, ok := k.early[res.pid]; ok {
		k.mainEnded(r, w.exit)
	}
}

// execFailure finds out at which stage a direct exec failed: the kernel tells only a number.
func execFailure(j forkJob, err error) *Failure {
	if j.spawn.Exec == nil {
		return failure("exec stage", j.path, err)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && (errno == unix.EAGAIN || errno == unix.ENOMEM) {
		return failure("fork", "", err)
	}
	if st, statErr := os.Stat(j.attr.Dir); statErr != nil || !st.IsDir() {
		return failure("chdir", j.attr.Dir, err)
	}
	return failure("exec", j.path, err)
}

// born says that the program runs.
func (k *Keeper) born(r *row) {
	r.state = Alive
	r.owed.spawned = true
	k.owe(r)
}

// notBorn says that no process came of the order, and none is left of the attempt.
func (k *Keeper) notBorn(r *row, f Failure) {
	delete(k.byPid, r.main)
	r.state, r.fail, r.empty, r.stage = NotBorn, &f, true, false
	r.owed.failed = true
	k.removeTree(r)
	r.drop(LogPipe, r.gen)
	r.drop(ReadyPipe, 0)
	k.owe(r)
}

// A stageResult is what the exec stage said before it was gone: nothing, when the program runs.
type stageResult struct {
	row  *row
	gen  uint64
	fail *Failure
}

// readStage reads the exec stage's report to its end, which comes with the exec.
func readStage(r *row, gen uint64, fd int, results chan<- stageResult) {
	defer unix.Close(fd)
	var buf [4096]byte
	n := 0
	for n < len(buf) {
		c, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || c == 0 {
			break
		}
		n += c
	}
	res := stageResult{row: r, gen: gen}
	if n > 0 {
		res.fail = new(Failure)
		if err := json.Unmarshal(buf[:n], res.fail); err != nil {
			res.fail = &Failure{Stage: "exec stage", Errno: int(unix.EPROTO), Detail: fmt.Sprintf("%.200q", buf[:n])}
		}
	}
	results <- res
}

// stageDone takes the report. The process of a failed stage is waited for before anything is told of it.
func (k *Keeper) stageDone(res stageResult) {
	r := res.row
	if r.gen != res.gen || !r.stage {
		return
	}
	if res.fail == nil {
		r.stage = false
		exit := r.exit
		k.born(r)
		if exit != nil {
			r.exit = nil
			k.mainEnded(r, *exit)
		}
		return
	}
	r.fail = res.fail
	if r.exit != nil {
		k.notBorn(r, *r.fail)
	}
}
