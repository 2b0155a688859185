package engine

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/proctree"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: what services say on their notify sockets.

// hears says whether a service gets a notify socket.
func hears(sp *spec.Service) bool {
	return sp.Ready.When == spec.ReadyNotify || sp.Pulse != nil || sp.FDStore > 0
}

// A note is one datagram of a service, as it came in at the edge.
type note struct {
	notify.Message
	files []int          // to be stored; open until the datagram is taken out of the socket
	from  proctree.Trace // its sender
}

// takeNotify makes f the notify socket of the instance.
func (e *Engine) takeNotify(in *inst, f *os.File, uid int) {
	if in.notify != nil {
		in.notify.Close()
	}
	in.notify, in.notifyUID = f, uid
	hears := notify.NewReceiver(f)
	in.hears = hears
	go func() {
		who := tracer{e: e}
		err := hears.Run(func(m notify.Message, files []int) {
			n := note{Message: m, files: files, from: who.trace(m.Pid)}
			stored := make(chan struct{})
			e.post(func() { e.hear(in, f, n, stored) })
			select { // the datagram stays in the socket until then
			case <-stored:
			case <-e.loop:
			}
		})
		if err != nil {
			e.log.Warn("notify socket", "unit", in.name, "error", err)
		}
	}()
}

// hear acts on one datagram of a service, and closes stored when the keeper has all that follows. What needs to know the
// main process waits for the keeper's news of its birth.
func (e *Engine) hear(in *inst, f *os.File, n note, stored chan<- struct{}) {
	if in.u.Phase == unit.Spawning && !in.making && (n.needsBirth() || !known(n.from)) {
		in.early = append(in.early, func() { e.hear(in, f, n, stored) })
		return
	}
	if in.notify == f {
		e.noted(in, n)
	}
	e.flush(in)
	e.link.afterwards(func() { close(stored) })
}

// needsBirth says whether a datagram is about a process whose birth has to be known first.
func (n *note) needsBirth() bool {
	return n.MainPID > 0 || n.Extend > 0 || n.Watchdog > 0 || n.Beat || n.Trigger
}

// hearEarly takes what was heard while the process was being made.
func (e *Engine) hearEarly(in *inst) {
	if in.u.Phase == unit.Spawning {
		return
	}
	early := in.early
	in.early = nil
	for _, hear := range early {
		hear()
	}
}

// noted acts on one datagram of a service. What a generation that has gone has stored is kept for the next; the rest of its
// words is about itself.
func (e *Engine) noted(in *inst, n note) {
	if !e.maySend(in, n) {
		e.refuseNote(in, "its sender is not of this instance", "pid", n.Pid, "uid", n.UID)
		return
	}
	e.keepStored(in, n)
	if !in.u.HasProcess() || in.isOld(n) {
		return
	}
	e.notedText(in, n)
	if n.MainPID > 0 && n.MainPID != in.u.Pid {
		e.moveMain(in, n.MainPID)
	}
	gen := in.u.Gen
	if n.Extend > 0 {
		e.step(in, unit.Event{Kind: unit.ExtendNoted, Gen: gen, For: n.Extend})
	}
	if n.RestartReset {
		e.step(in, unit.Event{Kind: unit.ResetNoted, Gen: gen})
	}
	e.notedLife(in, n)
	if n.Ready {
		e.step(in, unit.Event{Kind: unit.ReadyNoted, Gen: gen})
	}
	if n.Stopping {
		e.step(in, unit.Event{Kind: unit.StoppingNoted, Gen: gen})
	}
}

// isOld says whether a datagram is of a generation that has gone.
func (in *inst) isOld(n note) bool {
	if in.u.Phase == unit.Spawning && in.making {
		return true // of this one there is nobody yet
	}
	_, gen, found := treeIn(n.from)
	return found && gen < in.u.Gen || n.Pid != 0 && n.Pid == in.lastPid && n.Pid != in.u.Pid
}

// notedText takes what a service says for people: its status, why it fails, and that it is reloading. READY=1 ends a
// reload, also one that begins in the same message.
func (e *Engine) notedText(in *inst, n note) {
	errno, since := in.errno, in.reloading
	if n.Errno > 0 {
		errno = errnoName(n.Errno)
	}
	switch {
	case n.Ready || n.Stopping:
		since = 0
	case n.Reloading && in.u.Phase == unit.Ready:
		since = e.now
		if sent := unit.Time(n.Monotonic); sent > in.u.Started && sent < e.now {
			since = sent
		}
	}
	if (since != 0) != (in.reloading != 0) {
		text := "reloading"
		if since == 0 {
			text = "reloaded"
		}
		e.event(event{kind: "state", in: in, pid: n.Pid, gen: in.u.Gen, text: text})
	}
	status := in.status
	if n.HasStatus {
		status = n.Status
	}
	if status != in.status || errno != in.errno || since != in.reloading {
		in.status, in.errno, in.reloading, in.noted = status, errno, since, true
		e.touch(in)
	}
}

// notedLife hands signs of life to the judge.
func (e *Engine) notedLife(in *inst, n note) {
	if n.Watchdog > 0 {
		e.watchdogNoted(in, n.Watchdog)
	}
	if n.Beat {
		e.beatNoted(in)
	}
	if n.Trigger {
		e.triggerNoted(in)
	}
}

// errnoName is the name of an errno, "ENOENT", or its number where it has none.
func errnoName(n int) string {
	if name := unix.ErrnoName(syscall.Errno(n)); name != "" {
		return name
	}
	return strconv.Itoa(n)
}

// moveMain has the keeper make pid the main process, if it is one of the tree.
func (e *Engine) moveMain(in *inst, pid int) {
	in.moving = pid
	in.op++
	e.link.send(&keeper.Message{Kind: keeper.Main, Unit: in.name, Gen: in.u.Gen, Op: in.op, Pid: pid})
}
