package keeper

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// This file: a keeper that takes the place of one that has died. The engine lives; its connection comes with the start,
// and all that the dead keeper knew comes over it, one Adopt for each unit, before the engine says Ready. The processes
// are no children of this keeper, and never will be: their ends are heard by pidfd, without a status.

// takeEngine goes on with an engine that has lost its keeper.
func (k *Keeper) takeEngine(o *Orphaned) {
	e := &k.engine
	*e = engineState{epoch: 1, pid: o.Pid, conn: o.Conn, ran: true, heard: now(), looked: now()}
	k.about.Engines++
	go readEngine(e.epoch, e.conn, k.messages)
	pidfd, err := unix.PidfdOpen(o.Pid, 0)
	if err != nil { // it has gone: its end of the connection says so too
		k.engineGone()
		return
	}
	e.pidfd = pidfd
	waiter, err := unix.FcntlInt(uintptr(pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		k.o.Log.Error("the engine's end cannot be waited for, only that of its connection", "error", err)
		return
	}
	go func() {
		awaitPidfd(waiter)
		k.messages <- incoming{epoch: 1, ended: true}
	}()
}

// awaitPidfd returns when the process has ended, and closes the descriptor.
func awaitPidfd(fd int) {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			break
		}
	}
	unix.Close(fd)
}

// adopt takes over one unit: its record, its descriptors, its tree and, if it still runs, its main process.
func (k *Keeper) adopt(m *Message, fds []int) (kept int) {
	adopter, ok := k.o.Forest.(Adopter)
	if !ok || k.rows[m.Unit] != nil || k.engine.ready != 0 || k.o.Orphaned == nil || len(fds) != len(m.Names) {
		k.o.Log.Error("internal error: adoption refused", "unit", short(m.Unit))
		return 0
	}
	r := k.row(m.Unit)
	r.record, r.op, r.gen, r.born, r.start, r.mark = m.Record, m.Op, m.Gen, m.At, m.Start, m.Name
	k.change(r)
	for i, fd := range fds {
		name, gen := ParseFileName(m.Names[i])
		if name == LogPipe {
			r.holdLog(gen, fd)
			if gen == r.gen {
				r.out = inode(fd)
			}
		} else if !r.hold(name, gen, fd) {
			unix.Close(fd)
		}
	}
	if m.State != NoProcess {
		r.tree = adopter.Adopt(r.treeName(), m.Pid, m.Start, r.mark, r.out)
		k.adoptMain(r, m.Pid)
	}
	return len(fds)
}

// adoptMain follows the main process of an adopted tree, or finds that it has gone.
func (k *Keeper) adoptMain(r *row, pid int) {
	r.empty, r.main = false, pid
	a, err := k.followAdopted(pid, r.start)
	if err == nil {
		r.state, r.alien = Alive, a
		k.byPid[pid] = r
		go a.wait(r, k.gone)
		return
	}
	k.mainEnded(r, Exit{At: now()})
	r.lost = true
}

// followAdopted opens the process that was started at start.
func (k *Keeper) followAdopted(pid int, start uint64) (*alien, error) {
	if pid <= 1 || pid == os.Getpid() || k.byPid[pid] != nil { // of nobody, or of another unit
		return nil, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	if now := k.startTime(pid); now == 0 || now != start {
		unix.Close(fd)
		return nil, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	_ = unix.SetNonblock(fd, true) // so that the runtime polls it, and no thread has to wait
	return &alien{raw: fd, file: os.NewFile(uintptr(fd), "pidfd"), never: true}, nil
}

func (k *Keeper) startTime(pid int) uint64 {
	if k.o.StartTime == nil {
		return 0
	}
	return k.o.StartTime(pid)
}
