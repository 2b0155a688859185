package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/capture"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/launch"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/page"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A prepared is what the edge found out for one spawn.
type prepared struct {
	order   keeper.Spawn
	notify  *os.File // a new notify socket, or nil
	page    *os.File // a new pulse page, or nil
	uid     int
	pass    []int // descriptors that the service begins with; closed when the order is out
	failure *keeper.Failure
}

// prepare has the edge look up program, user and groups, which may take as long as a file system or a name service
// pleases; the order goes out when it has.
func (e *Engine) prepare(in *inst, gen uint64) {
	in.making = true
	if in.svc.spec.FDStore == 0 || in.hears == nil {
		e.prepareNow(in, gen)
		return
	}
	in.hears.Drained(func() { // what the last generation stored before it ended is for this one
		e.post(func() {
			if e.insts[in.name] == in && in.u.Gen == gen && in.u.Phase == unit.Spawning {
				e.prepareNow(in, gen)
			}
		})
	})
}

func (e *Engine) prepareNow(in *inst, gen uint64) {
	sp, hash, name, number := in.svc.spec, in.svc.hash, in.name, in.number
	have := in.notifyUID
	if in.notify == nil {
		have = -1
	}
	pass, names := in.copyStored()
	go func() {
		p := e.prepareAtEdge(sp, name, number, gen, have, names)
		p.pass = pass
		if p.page != nil && p.order.Pass > len(pass) {
			if fd, err := dupOf(p.page); err == nil { // without it the keeper says that not all could be handed over
				p.pass = append(p.pass, fd)
			}
		}
		e.post(func() { e.spawnPrepared(in, gen, hash, p) })
	}()
}

// treeMark is the entry in the environment of every process of a generation.
func (e *Engine) treeMark(name string, gen uint64) string {
	return fmt.Sprintf("%s%s/%d", e.markPrefix(), name, gen)
}

func (e *Engine) prepareAtEdge(sp *spec.Service, name string, number int, gen uint64, haveUID int, stored []string) prepared {
	mark := e.treeMark(name, gen)
	socket := filepath.Join(e.o.MemoryDir, name)
	env := environment(sp, name, number, mark, e.o.Socket)
	if hears(sp) {
		env = append(env, "NOTIFY_SOCKET="+socket)
	}
	pageFD := inheritsPage(sp, len(stored))
	if sp.Pulse != nil {
		where := filepath.Join(e.o.MemoryDir, pageName(name))
		if pageFD > 0 {
			where = "fd:" + strconv.Itoa(pageFD)
		}
		env = append(env, "STAY_PULSE="+where, "WATCHDOG_USEC="+strconv.FormatInt(sp.Pulse.Limit.Microseconds(), 10))
	}
	env = append(env, storeVariables(sp, stored)...)
	ready, failure := launch.Prepare(request(sp, env))
	if failure != nil {
		return prepared{failure: &keeper.Failure{Stage: failure.Stage, Errno: failure.Errno, Detail: failure.Detail}}
	}
	p := prepared{uid: ready.UID, order: keeper.Spawn{UID: ready.UID, GID: ready.GID, Mark: mark, Pass: len(stored)}}
	if len(stored) > 0 {
		ready.Plan.ListenPID, ready.Direct = true, false
	}
	if ready.Direct {
		p.order.Exec = &keeper.Exec{Path: ready.Plan.Path, Argv: ready.Plan.Argv, Env: ready.Plan.Env, Dir: ready.Plan.Dir}
	} else {
		p.order.Stage = mustJSON(ready.Plan)
	}
	if sp.Ready.When == spec.ReadyFD {
		p.order.Ready = sp.Ready.FD
	}
	if hears(sp) && haveUID != ready.UID {
		f, err := notify.Listen(socket, ready.UID, ready.GID)
		if err != nil {
			return prepared{failure: &keeper.Failure{Stage: "notify socket", Detail: err.Error()}}
		}
		p.notify = f
	}
	if sp.Pulse != nil {
		f, err := e.makePage(sp, name, gen, ready.UID, ready.GID)
		if err != nil {
			p.close()
			return prepared{failure: &keeper.Failure{Stage: "pulse page", Detail: err.Error()}}
		}
		p.page = f
		if pageFD > 0 {
			p.order.Pass++
		}
	}
	return p
}

// inheritsPage is the descriptor on which a service in a chroot, where the path of its page is not, begins with it: the next
// after those that it has stored. 0: it opens the page by its path.
func inheritsPage(sp *spec.Service, stored int) int {
	fd := 3 + stored
	if sp.Pulse == nil || sp.Sandbox.Chroot == "" || sp.Ready.When == spec.ReadyFD && sp.Ready.FD <= fd {
		return 0
	}
	return fd
}

// close is for what was prepared in vain.
func (p *prepared) close() {
	if p.notify != nil {
		p.notify.Close()
	}
	if p.page != nil {
		p.page.Close()
	}
}

// pageName is the file of an instance's pulse page in the memory directory.
func pageName(instance string) string { return instance + ".pulse" }

func (e *Engine) makePage(sp *spec.Service, name string, gen uint64, uid, gid int) (*os.File, error) {
	f, _, err := page.Make(e.o.MemoryDir, pageName(name), page.Options{Slots: sp.Pulse.Slots, Generation: gen, Limit: sp.Pulse.Limit,
		Required: sp.Pulse.Required, UID: uid, GID: gid})
	return f, err
}

// ofAccount are the variables that a login sets from the user's account.
var ofAccount = map[string]bool{"HOME": true, "USER": true, "LOGNAME": true, "SHELL": true}

// ofSupervisor are the variables by which a supervisor speaks to the one process that it has started.
var ofSupervisor = map[string]bool{"NOTIFY_SOCKET": true, "WATCHDOG_USEC": true, "WATCHDOG_PID": true, "FDSTORE": true,
	"LISTEN_FDS": true, "LISTEN_PID": true, "LISTEN_FDNAMES": true, "LISTEN_PIDFDID": true}

// environment is what the service finds: its own variables, then stay's.
func environment(sp *spec.Service, name string, number int, mark, socket string) []string {
	env := make([]string, 0, len(sp.Env)+7)
	for _, v := range sp.Env {
		if sp.User != "" && v.From == spec.Inherited && ofAccount[v.Name] {
			continue // the daemon's: package launch sets the user's own
		}
		if v.From == spec.Inherited && ofSupervisor[v.Name] {
			continue // what the daemon's own supervisor says to the daemon
		}
		env = append(env, v.Name+"="+v.Value)
	}
	return append(env, "STAY_SERVICE="+sp.Name, "STAY_INSTANCE="+name, "STAY_NUMBER="+strconv.Itoa(number), "STAY_SOCKET="+socket, mark)
}

func request(sp *spec.Service, env []string) launch.Request {
	r := launch.Request{Command: sp.Command, Dir: sp.Directory, Env: env, User: sp.User, Group: sp.Group, Groups: sp.Groups,
		Umask: sp.Umask, Nice: sp.Limits.Nice, OOMScoreAdj: sp.Limits.OOMScoreAdj, Chroot: sp.Sandbox.Chroot,
		NoNewPrivs: sp.Sandbox.NoNewPrivileges}
	for _, l := range sp.Limits.Rlimits {
		r.Rlimits = append(r.Rlimits, launch.Limit{Name: l.Name, Value: l.Value})
	}
	return r
}

// spawnPrepared sends the order, unless the unit went on to something else meanwhile. One that has to end already is not
// made, and one whose configuration changed is prepared again.
func (e *Engine) spawnPrepared(in *inst, gen uint64, hash string, p prepared) {
	defer keeper.CloseAll(p.pass)
	current := in.u.Gen == gen && in.u.Phase == unit.Spawning && e.insts[in.name] == in
	if !current || in.u.Reason != unit.NoReason || hash != in.svc.hash {
		p.close()
		switch {
		case !current:
		case in.u.Reason != unit.NoReason:
			e.notMade(in)
		default:
			e.prepare(in, gen)
		}
		return
	}
	in.hash, in.making = hash, false
	in.pulse.told = 0
	if sp := in.svc.spec.Pulse; sp != nil {
		in.pulse.told = sp.Limit
	}
	if p.failure != nil {
		e.spawnFailed(in, &keeper.Message{Gen: gen, Failure: p.failure})
		return
	}
	if p.notify != nil {
		e.takeNotify(in, p.notify, p.uid)
		fd, err := fdOf(p.notify)
		if err == nil {
			e.link.send(&keeper.Message{Kind: keeper.Hold, Unit: in.name, Name: "notify", Gen: 0}, fd)
		}
	}
	if p.page != nil {
		e.takePage(in, gen, p.page)
		if fd, err := fdOf(p.page); err == nil {
			e.link.send(&keeper.Message{Kind: keeper.Hold, Unit: in.name, Name: pulsePage, Gen: gen}, fd)
		}
	}
	e.sendOrder(in, &keeper.Message{Kind: keeper.SpawnOrder, Gen: gen, Spawn: &p.order}, p.pass...)
}

// notMade ends an attempt of which the keeper knows nothing.
func (e *Engine) notMade(in *inst) {
	in.making = false
	e.step(in, unit.Event{Kind: unit.SpawnFailed, Gen: in.u.Gen, End: unit.End{Stage: "fork", Errno: int(unix.ECANCELED)}})
}

// fdOf is the descriptor of f, which stays f's and stays nonblocking (os.File.Fd would make it block).
func fdOf(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// dupOf returns another descriptor of f, the caller's.
func dupOf(f *os.File) (int, error) {
	fd, err := fdOf(f)
	if err != nil {
		return -1, err
	}
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// policy is how the output of an instance is kept.
func policy(sp *spec.Service, instance int) capture.Policy {
	l := &sp.Log
	return capture.Policy{MaxSize: l.MaxSize, RotateEvery: l.RotateEvery, Keep: l.Keep, MaxAge: l.MaxAge, Compress: l.Compress,
		File: l.FileOf(instance), Timestamps: l.Timestamps, Drop: l.Full == spec.FullDrop}
}
