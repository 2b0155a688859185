package launch

import (
	"fmt"
	"strings"
	"syscall"
)

// A Stage is the step at which a process did not come to be. A limit has its key after it: "rlimit open_files".
type Stage = string

// The stages, in the order in which they are reached. The first three are Prepare's.
const (
	StageLookup     Stage = "lookup"
	StageUser       Stage = "user"
	StageGroup      Stage = "group"
	StagePlan       Stage = "plan"
	StageOOM        Stage = "oom_score_adj"
	StageNice       Stage = "nice"
	StageChroot     Stage = "chroot"
	StageChdir      Stage = "chdir"
	StageUmask      Stage = "umask"
	StageGroups     Stage = "groups"
	StageGID        Stage = "gid"
	StageUID        Stage = "uid"
	StageRlimit     Stage = "rlimit"
	StageNoNewPrivs Stage = "no_new_privs"
	StageExec       Stage = "exec"
)

// A Failure says at which stage a process did not come to be, and why. It travels as JSON.
type Failure struct {
	Stage  string // one of the stages above
	Errno  int    // errno(3); 0 if there was none
	Detail string // the path or value it was about; of lookup, user, group and plan the whole sentence
}

// interpreter stands in the detail of exec between a program and the interpreter that could not be run.
const interpreter = ": interpreter "

// Error returns one line: what, on what, why, and for what an operator can change, what to do.
func (f Failure) Error() string {
	switch f.Stage {
	case StageLookup, StageUser, StageGroup, StagePlan:
		return f.Detail
	case StageExec:
		if program, interp, ok := strings.Cut(f.Detail, interpreter); ok {
			return fmt.Sprintf("exec %q: interpreter %q: %s", program, interp, f.cause())
		}
	}
	s := f.Stage
	if f.Detail != "" {
		s = fmt.Sprintf("%s %q", s, f.Detail)
	}
	return s + ": " + f.cause()
}

func (f Failure) cause() string {
	errno := syscall.Errno(f.Errno)
	if f.Stage == StageExec && errno == syscall.ENOEXEC {
		return "not a program: no #! line, and no binary of this machine"
	}
	s := errno.Error()
	stage, _, _ := strings.Cut(f.Stage, " ")
	if hint := hints[stage]; hint != "" && (errno == syscall.EPERM || errno == syscall.EACCES) {
		s += " (" + hint + ")"
	}
	return s
}

// hints tell what would work where permission was refused.
var hints = map[string]string{
	StageOOM:    "lowering it needs CAP_SYS_RESOURCE",
	StageNice:   "a negative value needs CAP_SYS_NICE",
	StageChroot: "start stayd as root or remove the key",
	StageRlimit: "above the hard limit: lower the value or start stayd with a higher one",
	StageExec:   "the file must be executable for the user, its file system not mounted noexec",
}

// sentence makes a Failure whose detail says everything.
func sentence(stage Stage, errno syscall.Errno, format string, args ...any) *Failure {
	return &Failure{Stage: stage, Errno: int(errno), Detail: fmt.Sprintf(format, args...)}
}

// at makes a Failure of err, which is nil or holds an errno.
func at(stage Stage, detail string, err error) *Failure {
	if err == nil {
		return nil
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		return sentence(stage, syscall.EIO, "%s", err)
	}
	return &Failure{Stage: stage, Errno: int(errno), Detail: detail}
}
