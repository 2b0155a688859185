package keeper

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxReady is the highest descriptor that may stand for readiness: stayd's own file is at 100 or above, and has to be
// reached from the child.
const maxReady = 90

// reserve is how many descriptors services leave to the keeper itself: for an engine, for what an engine holds, for large
// messages. A quarter of them all, if there are few.
const reserve = 64

// scarce says whether descriptors have become few: fd is a new one, and the kernel gives the lowest that is free. The
// share of the reserve that has to be left is 1 for what a service cannot be made without, more for what it can.
func scarce(fd int, share uint64) bool {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return false
	}
	return uint64(fd) >= l.Cur-share*min(reserve, l.Cur/4)
}

// prepare makes the pipes, the tree and the attributes of one process. What it has made when it fails is notBorn's and
// in j.ours.
func (k *Keeper) prepare(j *forkJob) *Failure {
	r, s := j.row, j.spawn
	read, write, f := pipe(s, "log pipe")
	if f != nil {
		return f
	}
	if lost := r.holdLog(r.gen, read); lost != 0 {
		k.o.Log.Error("the end of an old generation's output was given up: nobody reads it", "unit", r.unit, "generation", lost)
	}
	j.ours = append(j.ours, write)
	r.out = inode(read)
	j.attr = &syscall.ProcAttr{Files: []uintptr{k.null.Fd(), uintptr(write), uintptr(write)}, Sys: &syscall.SysProcAttr{Setsid: true}}
	r.drop(ReadyPipe, 0)
	if len(j.pass) != s.Pass {
		return &Failure{Stage: "stored descriptors", Errno: int(unix.EMFILE), Detail: "not all of them could be handed over"}
	}
	j.passAll()
	if s.Ready != 0 {
		if f := k.prepareReady(j); f != nil {
			return f
		}
	}
	tree, err := k.o.Forest.Plant(r.treeName())
	if err != nil {
		return failure("tree", r.unit, err)
	}
	r.tree = tree
	if fd, ok := tree.CgroupFD(); ok {
		j.attr.Sys.UseCgroupFD, j.attr.Sys.CgroupFD = true, fd
		j.ours = append(j.ours, fd)
	}
	if s.Exec != nil {
		j.path, j.argv = s.Exec.Path, s.Exec.Argv
		j.attr.Dir, j.attr.Env = s.Exec.Dir, s.Exec.Env
		return nil
	}
	return k.prepareStage(j)
}

// prepareReady makes the pipe on which the service says that it is ready.
func (k *Keeper) prepareReady(j *forkJob) *Failure {
	s := j.spawn
	if s.Ready < 3 || s.Ready > maxReady {
		return &Failure{Stage: "readiness pipe", Errno: int(unix.EBADF), Detail: strconv.Itoa(s.Ready)}
	}
	if s.Ready < len(j.attr.Files) {
		return &Failure{Stage: "readiness pipe", Errno: int(unix.EEXIST), Detail: strconv.Itoa(s.Ready) + " is a stored descriptor"}
	}
	read, write, f := pipe(s, "readiness pipe")
	if f != nil {
		return f
	}
	j.ours = append(j.ours, write)
	if !j.row.hold(ReadyPipe, j.row.gen, read) {
		unix.Close(read)
		return &Failure{Stage: "readiness pipe", Errno: int(unix.EMFILE), Detail: "too many descriptors of one unit"}
	}
	for len(j.attr.Files) <= s.Ready {
		j.attr.Files = append(j.attr.Files, ^uintptr(0)) // closed
	}
	j.attr.Files[s.Ready] = uintptr(write)
	return nil
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
	_ = unix.SetNonblock(report[0], true) // so that the runtime polls it, and no thread has to wait
	j.ours = append(j.ours, report[1])
	j.stage = report[0]
	n := len(j.attr.Files)
	j.attr.Files = append(j.attr.Files, uintptr(plan), uintptr(report[1]))
	j.path = k.exePath()
	j.argv = []string{"stayd", "exec", strconv.Itoa(n), strconv.Itoa(n + 1)}
	j.attr.Dir, j.attr.Env = "/", []string{}
	return nil
}

// pipe returns the read end, which never blocks, and the service's end. That one is opened read-write, so that no
// death of a reader can break it, and belongs to the service's user, who may open it again as /dev/stdout.
func pipe(s *Spawn, what string) (read, write int, f *Failure) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return 0, 0, failure(what, "", err)
	}
	defer unix.Close(p[1])
	if scarce(p[0], 1) {
		unix.Close(p[0])
		return 0, 0, &Failure{Stage: what, Errno: int(unix.EMFILE), Detail: "the rest is kept for the daemon itself"}
	}
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
