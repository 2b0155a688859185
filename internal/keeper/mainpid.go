package keeper

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// moveMain makes another process of the tree the main one: one that lives, or one that was adopted and has ended since.
func (k *Keeper) moveMain(r *row, m *Message) {
	answer := &Message{Kind: MainMoved, Unit: r.unit, Gen: m.Gen, Pid: m.Pid}
	answer.Missing = !k.moveTo(r, m.Gen, m.Pid)
	answer.Start = r.start
	r.owed.moved = answer
	k.owe(r)
}

func (k *Keeper) moveTo(r *row, gen uint64, pid int) bool {
	if gen != r.gen || !r.live() || r.tree == nil || r.state != Alive && r.state != Ended {
		return false
	}
	if pid == r.main && r.state == Alive {
		return true
	}
	if pid <= 1 || pid == k.engine.pid || k.byPid[pid] != nil {
		return false // of another unit, or of nobody
	}
	if a, ok := k.follow(r, pid); ok {
		k.leaveMain(r)
		r.main, r.state, r.exit, r.lost, r.alien = pid, Alive, nil, false, a
		r.owed.exited = false
		k.byPid[pid] = r
		r.start = k.startTime(pid)
		r.tree.Rooted(pid, r.mark, r.out)
		return true
	}
	if x, ok := k.orphans.take(pid, r.born); ok {
		k.leaveMain(r)
		r.main = pid
		k.mainEnded(r, x)
		return true
	}
	return false
}

// leaveMain makes the main process a member like others.
func (k *Keeper) leaveMain(r *row) {
	if k.byPid[r.main] == r {
		delete(k.byPid, r.main)
	}
	r.unfollow()
}

// An alien is a main process that is not (yet) a child of the keeper, which hears of its end by a pidfd. Its status is
// known only if its parent goes first and leaves it, or what is left of it, to the keeper.
type alien struct {
	raw   int      // the pidfd
	file  *os.File // the same, its owner
	ended int64    // when it was heard that nothing runs any more, 0: it does; somebody has to reap it
	never bool     // it will never be the keeper's to reap
}

// alienEnd says that an alien has ended.
type alienEnd struct {
	row   *row
	alien *alien
}

// follow sees to it that the end of a process of the tree will be heard of. The answer is nil for a child: wait4 tells.
// It is false if the process is not of that tree, or not there.
func (k *Keeper) follow(r *row, pid int) (*alien, bool) {
	if !r.tree.Contains(pid) {
		return nil, false
	}
	var info unix.Siginfo
	if unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil) == nil {
		return nil, true
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		k.o.Log.Warn("main process cannot be followed", "unit", r.unit, "pid", pid, "error", err)
		return nil, false
	}
	_ = unix.SetNonblock(fd, true) // so that the runtime polls it, and no thread has to wait
	a := &alien{raw: fd, file: os.NewFile(uintptr(fd), "pidfd")}
	if !r.tree.Contains(pid) { // the pid may have been another's when the descriptor was opened
		a.file.Close()
		return nil, false
	}
	go a.wait(r, k.gone)
	return a, true
}

// wait tells when the process has ended, unless the descriptor is closed before.
func (a *alien) wait(r *row, gone chan<- alienEnd) {
	c, err := a.file.SyscallConn()
	if err != nil {
		return
	}
	if c.Read(polled) == nil {
		gone <- alienEnd{r, a}
	}
}

// polled says whether a pidfd polls readable. The runtime's poller alone does not do: it tells of a change once, and who
// ended before somebody waited for it would be waited for for ever.
func polled(fd uintptr) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if err != unix.EINTR {
			return n != 0 || err != nil
		}
	}
}

// signal sends sig: never to another process, whatever became of the pid.
func (a *alien) signal(sig unix.Signal) error {
	return unix.PidfdSendSignal(a.raw, sig, nil, 0)
}

// reaped says whether an alien that has ended is no zombie any more, or one that nobody waits for.
func (a *alien) reaped() bool { return a.ended != 0 && (a.never || a.signal(0) == unix.ESRCH) }

// unfollow is for a main process that was reaped, or is main no more.
func (r *row) unfollow() {
	if r.alien != nil {
		r.alien.file.Close()
		r.alien = nil
	}
}

// alienEnded takes the end of an alien. Its parent may reap it, or leave it to the keeper: lookAtTree finds out.
func (k *Keeper) alienEnded(g alienEnd) {
	if g.row.alien != g.alien {
		return
	}
	g.alien.ended = now()
	k.trees.watch(g.row)
	k.trees.next = time.Now()
}

// alienLost takes the end of an alien that is not the keeper's to reap. The kernel may know how it ended.
func (k *Keeper) alienLost(r *row) {
	status, known := r.alien.status(r.main, r.start)
	k.mainEnded(r, Exit{Status: status, At: r.alien.ended})
	r.lost = !known
}
