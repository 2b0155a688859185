package launch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitFailed is the status of a stage that did not become the program, as of a shell that did not find it.
const exitFailed = 127

// maxPlan bounds a plan, in bytes; the kernel takes no more than 6 MiB of argv and env.
const maxPlan = 64 << 20

// Main is the role `stayd exec PLANFD ERRFD`; args are what stands after "exec". It reads the Plan, as JSON, from the
// descriptor PLANFD, carries it out and becomes the program. It returns only if that failed, with an exit status, after
// writing one Failure, as JSON, to the descriptor ERRFD. Both descriptors are closed by the exec: end of file on the
// other end of ERRFD without a byte is success.
func Main(args []string) int {
	runtime.LockOSThread() // niceness, no_new_privs and the signal mask belong to the thread that calls execve
	debug.SetGCPercent(-1) // a collection would want threads and memory that the limits may not leave
	if len(args) != 2 {
		os.Stderr.WriteString("stayd exec: is started by stayd only\n")
		return exitFailed
	}
	errs, err := strconv.Atoi(args[1])
	if err != nil || !isOpen(errs) {
		os.Stderr.WriteString("stayd exec: no descriptor for errors\n")
		return exitFailed
	}
	unix.CloseOnExec(errs)
	p, f := open(args[0])
	if f == nil {
		f = p.run()
	}
	report(errs, f)
	return exitFailed
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func report(fd int, f *Failure) {
	data, err := json.Marshal(f)
	if err != nil { // a Failure is two strings and a number
		return
	}
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		data = data[n:]
	}
}

// open reads the plan.
func open(arg string) (*Plan, *Failure) {
	fd, err := strconv.Atoi(arg)
	if err != nil || !isOpen(fd) {
		return nil, sentence(StagePlan, unix.EBADF, "plan %q: no open descriptor", arg)
	}
	unix.CloseOnExec(fd)
	data, err := readAll(fd)
	if err != nil {
		return nil, sentence(StagePlan, unix.EIO, "plan: %v", err)
	}
	p := new(Plan)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, sentence(StagePlan, unix.EINVAL, "plan: %v", err)
	}
	if p.Path == "" || len(p.Argv) == 0 {
		return nil, sentence(StagePlan, unix.EINVAL, "plan: no program")
	}
	return p, nil
}

// readAll reads a file from its start, whatever its offset, and a pipe from where it is.
func readAll(fd int) ([]byte, error) {
	var data []byte
	buf := make([]byte, 64<<10)
	pipe := false
	for {
		var n int
		var err error
		if pipe {
			n, err = unix.Read(fd, buf)
		} else {
			n, err = unix.Pread(fd, buf, int64(len(data)))
		}
		switch {
		case err == unix.EINTR:
		case err == unix.ESPIPE && !pipe:
			pipe = true
		case err != nil:
			return nil, err
		case n == 0 && len(data) == 0:
			return nil, io.ErrUnexpectedEOF
		case n == 0:
			return data, nil
		case len(data)+n > maxPlan:
			return nil, errors.New("too large")
		default:
			data = append(data, buf[:n]...)
		}
	}
}

// run becomes the program. It returns the first stage that failed.
func (p *Plan) run() *Failure {
	up, down := raised(inOrder(p.Rlimits))
	steps := []func() *Failure{
		p.setOOMScoreAdj, // /proc/self/oom_score_adj is root's file after a change of user
		p.setNice,        // may need CAP_SYS_NICE
		p.enterRoot,      // needs CAP_SYS_CHROOT
		p.enterDir,       // before the user changes: it may be one that only root can enter
		p.setUmask,
		func() *Failure { return setLimits(up) }, // needs CAP_SYS_RESOURCE, and more room never hurts
		p.setGroups,                              // groups and gid need CAP_SETGID
		p.setGID,
		p.setUID,
		p.setNoNewPrivs,
		// After the uid: a user who is above `processes` already would otherwise be refused the exec (execve(2), EAGAIN);
		// and changing the uid needs signals between threads, which `pending_signals` counts.
		func() *Failure { return setLimits(down) },
	}
	env := p.environ()
	for _, step := range steps {
		if f := step(); f != nil {
			return f
		}
	}
	return p.exec(env)
}

func (p *Plan) setOOMScoreAdj() *Failure {
	if p.OOMScoreAdj == nil {
		return nil
	}
	value := strconv.Itoa(*p.OOMScoreAdj)
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		unix.Close(fd)
	}
	return at(StageOOM, value, err)
}

func (p *Plan) setNice() *Failure {
	if p.Nice == nil {
		return nil
	}
	return at(StageNice, strconv.Itoa(*p.Nice), unix.Setpriority(unix.PRIO_PROCESS, 0, *p.Nice))
}

func (p *Plan) enterRoot() *Failure {
	if p.Chroot == "" {
		return nil
	}
	return at(StageChroot, p.Chroot, unix.Chroot(p.Chroot))
}

func (p *Plan) enterDir() *Failure {
	dir := p.Dir
	if dir == "" && p.Chroot != "" {
		dir = "/" // or the program would stay outside
	}
	if dir == "" {
		return nil
	}
	return at(StageChdir, dir, unix.Chdir(dir))
}

func (p *Plan) setUmask() *Failure {
	if p.Umask == nil {
		return nil
	}
	if *p.Umask < 0 || *p.Umask > 0o777 {
		return at(StageUmask, strconv.FormatInt(int64(*p.Umask), 8), unix.EINVAL)
	}
	unix.Umask(*p.Umask)
	return nil
}

func (p *Plan) setGroups() *Failure {
	if p.Groups == nil && p.UID == nil {
		return nil
	}
	words := make([]string, len(p.Groups))
	for i, g := range p.Groups {
		words[i] = strconv.Itoa(g)
	}
	return at(StageGroups, strings.Join(words, " "), syscall.Setgroups(p.Groups))
}

// The ids are changed by package syscall, in every thread: until exec, no thread is left that has more rights.
func (p *Plan) setGID() *Failure {
	if p.GID == nil {
		return nil
	}
	return at(StageGID, strconv.Itoa(*p.GID), syscall.Setresgid(*p.GID, *p.GID, *p.GID))
}

func (p *Plan) setUID() *Failure {
	if p.UID == nil {
		return nil
	}
	return at(StageUID, strconv.Itoa(*p.UID), syscall.Setresuid(*p.UID, *p.UID, *p.UID))
}

func (p *Plan) setNoNewPrivs() *Failure {
	if !p.NoNewPrivs {
		return nil
	}
	return at(StageNoNewPrivs, "", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// environ is Env, with LISTEN_PID where it is wanted.
func (p *Plan) environ() []string {
	if !p.ListenPID {
		return p.Env
	}
	env := make([]string, 0, len(p.Env)+1)
	for _, entry := range p.Env {
		if !strings.HasPrefix(entry, "LISTEN_PID=") {
			env = append(env, entry)
		}
	}
	return append(env, "LISTEN_PID="+strconv.Itoa(os.Getpid()))
}

func (p *Plan) exec(env []string) *Failure {
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil); err != nil {
		return at(StageExec, p.Path, err)
	}
	err := syscall.Exec(p.Path, p.Argv, env)
	detail := p.Path
	if err == syscall.ENOENT || err == syscall.EACCES {
		if interp := missing(p.Path); interp != "" {
			detail += interpreter + interp
		}
	}
	return at(StageExec, detail, err)
}

// missing returns the interpreter that path names and that is not there or not executable; "" if there is no such.
func missing(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	interp, err := interpreterOf(fd)
	if err != nil || interp == "" || unix.Access(interp, unix.X_OK) == nil {
		return ""
	}
	return interp
}
