package proctree

import "golang.org/x/sys/unix"

// send signals pid if check still holds once the process cannot be taken for another any more. Nobody there is no error.
func send(pid int, sig unix.Signal, check func() bool) error {
	if pid <= 1 || pid == unix.Getpid() {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH || err == unix.EINVAL { // gone, or only a thread of something
		return nil
	}
	pinned := err == nil // else no descriptor is left, or a filter forbids it: the moment between check and kill remains
	if pinned {
		defer unix.Close(fd)
	}
	if !check() {
		return nil
	}
	if pinned {
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
		pinned = err != unix.ENOSYS && err != unix.EPERM // a filter again; if it is the kernel's own EPERM, kill has it too
	}
	if !pinned {
		err = unix.Kill(pid, sig)
	}
	if err == unix.ESRCH {
		return nil
	}
	return err
}

// same says whether the process is still the one it was.
func (i id) same() bool {
	p, err := readProc(i.pid)
	return err == nil && p.start == i.start
}
