package engine

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: descriptors that services store, to find them again after their restart. The keeper holds them, so they
// outlive engines too; the engine has a copy of each for the day on which the keeper dies. They go when the other end
// hangs up, when the service says so, and when it is stopped.

// A stored is one descriptor that a service has stored.
type stored struct {
	name   string
	number uint64 // tells it from others of that name
	fd     int    // the engine's own copy
	keep   bool   // FDPOLL=0: also when the other end has hung up
	token  uint64 // of the watch; 0: not watched
}

// defaultName is that of descriptors stored without FDNAME=.
const defaultName = "stored"

// keepMark ends the name on the wire of one that is not watched. No name has a colon.
const keepMark = ":keep"

// wire is the name of a stored descriptor on the wire.
func (s stored) wire() string {
	if s.keep {
		return keeper.Store + s.name + keepMark
	}
	return keeper.Store + s.name
}

// takeStored takes over a descriptor of the keeper, if it is one that the service has stored.
func (e *Engine) takeStored(in *inst, wire string, number uint64, fd int) bool {
	rest, ok := strings.CutPrefix(wire, keeper.Store)
	if !ok {
		return false
	}
	name, keep := strings.CutSuffix(rest, keepMark)
	in.store = append(in.store, stored{name: name, number: number, fd: fd, keep: keep})
	e.watchStored(in, &in.store[len(in.store)-1])
	return true
}

// keepStored stores what came with a datagram, and drops what it names. A service that is down stores nothing.
func (e *Engine) keepStored(in *inst, n note) {
	if n.Remove && n.Name != "" {
		e.dropStored(in, func(s stored) bool { return s.name == n.Name })
	}
	if !n.Store || in.u.Phase == unit.Idle || in.u.Phase == unit.Failed {
		return
	}
	if n.Lost {
		e.refuseNote(in, "not all descriptors that came to be stored could be taken: this process may have no more open files", "name", n.Name)
	}
	for _, fd := range n.files {
		if in.hasStored(fd) {
			continue
		}
		if len(in.store) >= in.svc.spec.FDStore {
			e.refuseNote(in, "more descriptors than fd_store allows", "name", n.Name, "fd_store", in.svc.spec.FDStore)
			return
		}
		e.storeOne(in, n, fd)
	}
}

func (e *Engine) storeOne(in *inst, n note, fd int) {
	s := stored{name: n.Name, keep: n.NoPoll, number: 1}
	if s.name == "" {
		s.name = defaultName
	}
	if len(in.store) > 0 {
		s.number = in.store[len(in.store)-1].number + 1
	}
	var err error
	if s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		e.refuseNote(in, "store "+quote(s.name)+": "+err.Error())
		return
	}
	e.link.send(&keeper.Message{Kind: keeper.Hold, Unit: in.name, Name: s.wire(), Gen: s.number}, s.fd)
	in.store = append(in.store, s)
	e.watchStored(in, &in.store[len(in.store)-1])
}

// hasStored says whether the same open file is stored already, maybe under another number.
func (in *inst) hasStored(fd int) bool {
	for _, s := range in.store {
		if sameFile(s.fd, fd) {
			return true
		}
	}
	return false
}

// sameFile says whether two descriptors of this process are of one open file: kcmp(2), KCMP_FILE. Where the kernel does not
// tell, none are the same.
func sameFile(a, b int) bool {
	const kcmpFile = 0
	pid := uintptr(os.Getpid())
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	return errno == 0 && r == 0
}

// dropStored drops what a service has stored and which says so.
func (e *Engine) dropStored(in *inst, which func(stored) bool) {
	kept := in.store[:0]
	for _, s := range in.store {
		if !which(s) {
			kept = append(kept, s)
			continue
		}
		e.link.send(&keeper.Message{Kind: keeper.Drop, Unit: in.name, Name: s.wire(), Gen: s.number})
		e.unwatchStored(s)
		unix.Close(s.fd)
	}
	if in.store = kept; len(kept) == 0 {
		in.store = nil
	}
}

// dropAll is for a service that is down.
func dropAll(stored) bool { return true }

// copyStored returns copies of what is stored, the caller's, and their names.
func (in *inst) copyStored() (fds []int, names []string) {
	for _, s := range in.store {
		if fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fds, names = append(fds, fd), append(names, s.name)
		}
	}
	return fds, names
}

// storeVariables are what a service finds in its environment about its store: how many descriptors it may store, and which
// of them it has got back, sd_listen_fds(3). LISTEN_PID is added by the exec stage.
func storeVariables(sp *spec.Service, names []string) []string {
	var env []string
	if sp.FDStore > 0 {
		env = append(env, "FDSTORE="+strconv.Itoa(sp.FDStore))
	}
	if len(names) > 0 {
		env = append(env, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	return env
}
