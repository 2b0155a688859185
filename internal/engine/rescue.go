package engine

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/notify"
)

// findAgain gets back what the process of an instance knows by a path, where the keeper does not hold it: both were killed,
// and the memory directory is as they left it. The page is the same file. The notify socket is a new one with the old name;
// what was said while nobody had it open was refused to who said it.
func (e *Engine) findAgain(in *inst) {
	if !in.u.HasProcess() {
		return
	}
	sp := in.svc.spec
	if in.pulse.page == nil && sp.Pulse != nil {
		if f, err := openPage(filepath.Join(e.o.MemoryDir, pageName(in.name))); err == nil {
			e.takePage(in, in.u.Gen, f)
			e.hold(in, f, pulsePage, in.u.Gen)
		}
	}
	if in.notify == nil && hears(sp) {
		socket := filepath.Join(e.o.MemoryDir, in.name)
		var st unix.Stat_t
		if unix.Lstat(socket, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return
		}
		f, err := notify.Listen(socket, int(st.Uid), int(st.Gid))
		if err != nil {
			e.log.Error("notify socket", "unit", in.name, "error", err)
			return
		}
		e.takeNotify(in, f, int(st.Uid))
		e.hold(in, f, "notify", 0)
	}
}

// hold has the keeper hold a descriptor of the instance.
func (e *Engine) hold(in *inst, f *os.File, name string, gen uint64) {
	if fd, err := fdOf(f); err == nil {
		e.link.send(&keeper.Message{Kind: keeper.Hold, Unit: in.name, Name: name, Gen: gen}, fd)
	}
}

// openPage opens a page of the generation that runs: the directory is stay's own, and the page the service's.
func openPage(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, &os.PathError{Op: "open", Path: path, Err: unix.EINVAL}
	}
	return f, nil
}
