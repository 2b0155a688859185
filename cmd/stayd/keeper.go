package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/proctree"
	"example.com/stay/internal/spec"
)

func init() {
	// The first thread is kept out of everything: the kernel gives orphans to it (see package keeper).
	if len(os.Args) > 1 && os.Args[1] == "keeper" {
		runtime.LockOSThread()
	}
}

// limits are the keeper's own: tests set shorter ones.
var limits keeper.Limits

// keeperFlags are those of the first life of a keeper; the second has what it found out, as flags too.
type keeperFlags struct {
	file, only, dir       string
	foreground, transient bool
	runtimeDir, stateDir  string
	logDir                string
	memory                string
	adopt, umask          int
	handover              int
}

func (k *keeperFlags) set() *flag.FlagSet {
	f := flag.NewFlagSet("keeper", flag.ExitOnError)
	f.StringVar(&k.file, "file", "", "the configuration")
	f.StringVar(&k.only, "only", "", "start these services instead of all that are enabled")
	f.StringVar(&k.dir, "dir", "", "with --transient: the directory that gets a .stay")
	f.BoolVar(&k.foreground, "foreground", false, "log to standard error")
	f.BoolVar(&k.transient, "transient", false, "no file: only what `stay run` brings")
	f.StringVar(&k.runtimeDir, "runtime-dir", "", "internal")
	f.StringVar(&k.stateDir, "state-dir", "", "internal")
	f.StringVar(&k.logDir, "log-dir", "", "internal")
	f.StringVar(&k.memory, "memory", "", "internal")
	f.IntVar(&k.adopt, "adopt", 0, "internal: the engine whose keeper has died")
	f.IntVar(&k.umask, "umask", -1, "internal: of services")
	f.IntVar(&k.handover, "handover", 0, "internal: what the program has left that this process was before")
	return f
}

func keeperMain(args []string) int {
	var k keeperFlags
	_ = k.set().Parse(args)
	exe, err := ownFile()
	if err != nil {
		return refuse(err, "is /proc mounted?")
	}
	if k.runtimeDir == "" {
		return firstLife(k, exe)
	}
	return secondLife(k, exe)
}

// ownFile opens stayd's own program, high enough not to be in the way of a service's descriptors.
func ownFile() (*os.File, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 100)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "stayd"), nil
}

// firstLife reads the configuration for the directories in it, and goes on in a second life that has an empty heap and
// clean signals.
func firstLife(k keeperFlags, exe *os.File) int {
	cfg := empty(k.dir)
	if !k.transient {
		file, err := findConfig(k.file)
		if err != nil {
			return refuse(err, "write a stay.toml, or name a file with --file")
		}
		var errs spec.Errors
		if cfg, errs = load(file); len(errs) > 0 {
			return refuse(errs, "")
		}
		k.file = file
	}
	k.runtimeDir, k.stateDir, k.logDir = cfg.Daemon.RuntimeDir, cfg.Daemon.StateDir, cfg.Daemon.LogDir
	if err := dropStrays(); err != nil {
		return refuse(err, "")
	}
	return refuse(keeper.ExecClean(exe, k.argv()), "")
}

// secondLife is the keeper.
func secondLife(k keeperFlags, exe *os.File) int {
	setName("stayd-keeper")
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	started := unix.Umask(0o022)
	if k.umask >= 0 {
		started = k.umask
	}
	var left *keeper.Handover
	if k.handover != 0 {
		var err error
		if left, err = keeper.ReadHandover(k.handover); err != nil {
			return refuse(err, "")
		}
	}
	h, err := settle(k)
	unix.Umask(started) // the services' own
	if err != nil {
		if h != nil {
			h.remove(k)
		}
		return refuse(err, "")
	}
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return refuse(fmt.Errorf("become subreaper: %w", err), "Linux 5.4 or newer is needed")
		}
	}
	lines := newQueue(h.log)
	log := slog.New(slog.NewTextHandler(lines, nil)).With("process", "keeper")
	forest, err := proctree.Open(proctree.Options{ID: h.id, Leader: os.Getpid()})
	if err != nil {
		return refuse(err, "")
	}
	if k.adopt == 0 && left == nil {
		if h.doubt != nil {
			log.Warn("what a daemon before left in memory does not count", "error", h.doubt)
		}
		if err := endSurvivors(h.id, h.rescue.explained(), log); err != nil {
			if h.rescue == nil {
				h.remove(k)
			}
			return refuse(err, "kill them, then try again")
		}
		if h.rescue != nil {
			h.rescue.tell(k, log)
		}
	}
	_ = os.Chdir("/")
	if !k.foreground { // who started us reads the end of our standard error: we are up
		for fd := 1; fd <= 2; fd++ {
			_ = unix.Dup3(int(h.log.Fd()), fd, 0)
		}
	}
	log.Info("keeper started", "pid", os.Getpid(), "directory", k.runtimeDir, "trees", forest.Kind())
	o := keeper.Options{Exe: exe, EngineArgs: h.engineArgs(k), Forest: grove{forest}, Log: log, Stderr: h.log, StartTime: startTime, Held: h.held(), HeldOnly: true,
		Mirror: keeper.Mirror{Dir: h.memory, ID: h.id}}
	if os.Getpid() == 1 { // who could read it dies with this process
		o.Mirror.Dir = ""
	}
	if h.rescue != nil {
		o.Rescued = h.rescue.image
	}
	o.Handover, o.Flush, o.Limits = left, lines.flush, limits
	if k.foreground {
		o.Stdout = os.Stdout
	}
	o.Become = func(program *os.File, handover int) error {
		unix.Umask(started)
		return keeper.Become(program, append(k.argv(), "--memory", h.memory, "--umask", strconv.Itoa(started), "--handover", strconv.Itoa(handover)))
	}
	if k.adopt != 0 {
		unix.CloseOnExec(adoptConn)
		o.Orphaned = &keeper.Orphaned{Pid: k.adopt, Conn: keeper.NewConn(adoptConn)}
	}
	giveBack()
	finished := make(chan error)
	go func() { finished <- keeper.Run(o) }()
	err = <-finished
	if errors.Is(err, keeper.ErrAbandoned) {
		log.Error("the engine died before it had handed over: this keeper begins again, with the mirror", "error", err)
		return refuse(k.again(exe), "stay up")
	}
	endOrphans(forest.Orphans, log)
	forest.Close()
	h.remove(k)
	if err != nil {
		return refuse(err, "")
	}
	return 0
}

// adoptConn is the descriptor of the connection to an engine whose keeper has died.
const adoptConn = 3

// dropStrays has the next exec close what the keeper's parent left open by mistake: neither a service nor the daemon shall
// keep alive what is behind it.
func dropStrays() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// A house is what the keeper has made on disk and in memory.
type house struct {
	id            string
	lock, control *os.File
	log           *os.File
	memory        string
	rescue        *rescue // what a daemon that was killed left; nil: nothing
	doubt         error   // why what there is does not count
}

// settle makes the directories, takes the lock, opens control socket and log. A house that comes with an error is to be
// removed: its lock is held.
func settle(k keeperFlags) (*house, error) {
	h := &house{id: idOf(k.runtimeDir)}
	if k.adopt != 0 || k.handover != 0 { // everything is there, in the engine's hands or this process's; standard error is the log
		h.log, h.memory = os.Stderr, k.memory
		return h, nil
	}
	if err := makeDir(k.runtimeDir, 0o755, "runtime_dir"); err != nil {
		return nil, err
	}
	if err := makeDir(k.logDir, 0o750, "log_dir"); err != nil {
		return nil, err
	}
	var err error
	if h.lock, err = lock(k.runtimeDir); err != nil {
		return nil, fmt.Errorf("%w\n  use it: stay status, stay up; or end it first: stay down", err)
	}
	before := lockedMemory(h.lock)
	if h.rescue, h.doubt = findRescue(h.lock, h.id); h.rescue != nil {
		h.memory = h.rescue.memory
	} else if h.memory, err = memoryDir(k.runtimeDir, h.id); err != nil {
		sign(h.lock, before)
		return h, err
	}
	sign(h.lock, h.memory)
	if h.log = os.Stderr; !k.foreground {
		path := filepath.Join(k.logDir, logName)
		h.log, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
		if err != nil {
			return h, err
		}
	}
	h.control, err = listen(k.runtimeDir)
	return h, err
}

// held is what engines get from the keeper. One that adopts gets it from its engine.
func (h *house) held() map[string]*os.File {
	if h.lock == nil {
		return nil
	}
	held := map[string]*os.File{"lock": h.lock, "control": h.control}
	if h.rescue != nil {
		for name, f := range h.rescue.files {
			if held[name] == nil {
				held[name] = f
			}
		}
	}
	return held
}

// again has this process begin once more as a keeper that finds the mirror of the one before.
func (k *keeperFlags) again(exe *os.File) error {
	unix.Umask(k.umask)
	argv := append(k.argv(), "--umask", strconv.Itoa(k.umask))
	return keeper.ExecClean(exe, argv)
}

// argv are the arguments of a keeper's second life.
func (k *keeperFlags) argv() []string {
	return []string{"stayd", "keeper", "--file", k.file, "--only", k.only, "--dir", k.dir,
		"--runtime-dir", k.runtimeDir, "--state-dir", k.stateDir, "--log-dir", k.logDir,
		"--foreground=" + strconv.FormatBool(k.foreground), "--transient=" + strconv.FormatBool(k.transient)}
}

func (h *house) engineArgs(k keeperFlags) []string {
	return []string{"--file", k.file, "--only", k.only, "--dir", k.dir, "--transient=" + strconv.FormatBool(k.transient),
		"--runtime-dir", k.runtimeDir, "--state-dir", k.stateDir, "--log-dir", k.logDir, "--foreground=" + strconv.FormatBool(k.foreground),
		"--memory", h.memory, "--id", h.id}
}

// remove takes away what a later start would find: socket, memory directory and lock, in this order.
func (h *house) remove(k keeperFlags) {
	_ = os.Remove(filepath.Join(k.runtimeDir, socketName))
	_ = os.RemoveAll(h.memory)
	_ = os.Remove(filepath.Join(k.runtimeDir, lockName))
}

// list splits a comma-separated flag.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
