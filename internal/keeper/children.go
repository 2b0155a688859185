package keeper

import (
	"time"

	"golang.org/x/sys/unix"
)

// waiter waits until a child can be reaped, has the loop reap, and waits again. It does not reap itself: as long as
// the loop has not, the pid cannot be given to another process, and the loop may signal it.
func waiter(children chan<- chan struct{}) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		switch err {
		case nil:
			ack := make(chan struct{})
			children <- ack
			<-ack
		case unix.EINTR:
		default: // ECHILD: there is always an engine, but for the moments without one
			time.Sleep(time.Millisecond)
		}
	}
}

// reap takes every child that has ended.
func (k *Keeper) reap() {
	any := false
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		any = true
		k.childEnded(pid, Exit{Status: int(status), UserNS: usage.Utime.Nano(), SysNS: usage.Stime.Nano(),
			MaxRSS: usage.Maxrss << 10, At: now()})
	}
	if any && len(k.pending) > 0 {
		k.lookAtTrees()
	}
}

func (k *Keeper) childEnded(pid int, x Exit) {
	switch r := k.byPid[pid]; {
	case r != nil:
		k.mainEnded(r, x)
	case pid == k.engine.pid:
		k.engineEnded(x)
	default:
		if k.forking {
			k.early[pid] = waited{pid, x}
		}
		k.orphans.add(waited{pid, x})
	}
}

// mainEnded takes the end of a main process.
func (k *Keeper) mainEnded(r *row, x Exit) {
	delete(k.byPid, r.main)
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
		k.pending[r] = true
	}
	k.owe(r)
}

// treeEmpty notes that nothing is left.
func (k *Keeper) treeEmpty(r *row) {
	delete(k.pending, r)
	r.empty, r.killing = true, false
	k.removeTree(r)
}

func (k *Keeper) removeTree(r *row) {
	if r.tree == nil {
		return
	}
	if err := r.tree.Remove(); err != nil {
		k.o.Log.Warn("remove tree", "unit", r.unit, "error", err)
	}
	r.tree = nil
	r.owed.refuses = false
}

// lookAtTrees looks whether trees without a main process have become empty, and kills on where that was ordered.
func (k *Keeper) lookAtTrees() {
	for r := range k.pending {
		if r.tree == nil {
			delete(k.pending, r)
			continue
		}
		if r.state == Ended && r.tree.Empty() {
			k.treeEmpty(r)
			r.owed.empty = true
			k.owe(r)
			continue
		}
		if r.killing {
			k.killOn(r)
		} else if r.state == Alive {
			delete(k.pending, r)
		}
	}
}

// killOn repeats SIGKILL, and after a while tells who does not die of it.
func (k *Keeper) killOn(r *row) {
	if err := r.tree.Kill(); err != nil {
		k.o.Log.Warn("kill tree", "unit", r.unit, "error", err)
	}
	if !r.named && now()-r.killAt > int64(refuseAfter) {
		r.named = true
		r.owed.refuses = true
		k.owe(r)
	}
}
