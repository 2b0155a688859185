package keeper

import (
	"time"

	"golang.org/x/sys/unix"
)

// childless is how long the waiter rests when there is no child and none is made: somebody may still enter the pid
// namespace of which this process is PID 1, and leave an orphan.
const childless = 100 * time.Millisecond

// waiter waits until a child can be reaped, has the loop reap, and waits again. It does not reap itself: as long as
// the loop has not, the pid cannot be given to another process, and the loop may signal it.
func waiter(children chan<- chan struct{}, kick <-chan struct{}) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		switch err {
		case nil:
			ack := make(chan struct{})
			children <- ack
			<-ack
		case unix.EINTR:
		default: // ECHILD
			select {
			case <-kick:
			case <-time.After(childless):
			}
		}
	}
}

// maxReap is how many children are taken at one turn of the loop: a flood of them may not keep it from all else.
const maxReap = 64

// reap takes children that have ended, and says whether there may be more.
func (k *Keeper) reap() (more bool) {
	for range maxReap {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return false
		}
		k.childEnded(pid, Exit{Status: int(status), UserNS: usage.Utime.Nano(), SysNS: usage.Stime.Nano(),
			MaxRSS: usage.Maxrss << 10, At: now()})
	}
	return true
}

func (k *Keeper) childEnded(pid int, x Exit) {
	switch r := k.byPid[pid]; {
	case r != nil:
		k.mainEnded(r, x)
	case pid == k.engine.pid:
		k.engineEnded(x)
	default:
		k.orphans.add(waited{pid, x})
		k.trees.soon() // it may have been the last of its tree
	}
}

// mainEnded takes the end of a main process.
func (k *Keeper) mainEnded(r *row, x Exit) {
	delete(k.byPid, r.main)
	r.unfollow()
	r.exit = &x
	r.tree.Ended()
	if r.stage {
		if r.fail != nil {
			k.notBorn(r, *r.fail)
		}
		return // stageDone says whether the program ever ran
	}
	r.state = Ended
	r.owed.exited = true
	if r.tree.Empty() {
		k.treeEmpty(r)
	} else {
		k.trees.watch(r)
	}
	k.owe(r)
}
