package engine

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// This file: what the engine does when its keeper has died. Somebody killed it; the services live, with nobody as their
// parent. The engine has a copy of everything the keeper held, the lock among it, so no second daemon can come. It starts
// another keeper and hands all of it over. Survivors stay what they are until their next restart brings them home.

// keeperEnd is how long the keeper's process may take to be gone, in ms, when its end of the connection is. One that still
// lives then has hung up on this engine.
const keeperEnd = 1000

// watchKeeper opens the keeper, so that its death is known from its process, never from a connection that broke.
func (e *Engine) watchKeeper() {
	fd, err := unix.PidfdOpen(e.about.Pid, 0)
	if err != nil {
		fd = -1
	}
	e.keeperFD = fd
}

// keepCopy keeps a descriptor that the next keeper will have to hold.
func (e *Engine) keepCopy(name string, fd int) {
	if e.copies == nil {
		e.copies = map[string]int{}
	}
	e.copies[name] = fd
}

// keeperGone decides what the end of the keeper's connection means.
func (e *Engine) keeperGone() error {
	switch {
	case e.daemon.Left:
		return errLeft
	case e.o.NewKeeper == nil || !e.keeperDead():
		return errKeeperGone // it lives, and has given this engine up
	}
	e.log.Error("the keeper was killed: the engine starts another, services go on", "pid", e.about.Pid)
	old := e.about.Pid
	if err := e.newKeeper(); err != nil {
		return fail("start another keeper", err)
	}
	n := e.handOver()
	e.link.send(&keeper.Message{Kind: keeper.Ready})
	e.event(event{kind: "keeper", text: fmt.Sprintf("the keeper (pid %d) was killed; another (pid %d) took over %d processes", old, e.about.Pid, n)})
	return nil
}

// keeperDead waits for the keeper's process to be gone.
func (e *Engine) keeperDead() bool {
	if e.keeperFD < 0 {
		return false
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(e.keeperFD), Events: unix.POLLIN}}, keeperEnd)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// newKeeper starts a keeper and makes its acquaintance.
func (e *Engine) newKeeper() error {
	conn, other, err := keeper.Pair()
	if err != nil {
		return err
	}
	err = e.o.NewKeeper(other)
	unix.Close(other)
	if err != nil {
		conn.Close()
		return err
	}
	e.link.renew(conn)
	hello, fds, err := e.link.ask(&keeper.Message{Kind: keeper.Hello, Version: keeper.Version}, keeper.Hello)
	keeper.CloseAll(fds)
	if err != nil {
		return err
	}
	engines := e.about.Engines
	e.about = *hello.About
	e.about.Engines = engines
	unix.Close(e.keeperFD)
	e.watchKeeper()
	go e.link.read(e.facts)
	return nil
}

// handOver tells the keeper all that the last one knew, and returns how many processes that are.
func (e *Engine) handOver() int {
	for name, fd := range e.copies {
		e.link.send(&keeper.Message{Kind: keeper.Hold, Name: name}, fd)
	}
	if lock, ok := e.copies["lock"]; ok { // it names the keeper to whoever finds it held
		_ = unix.Ftruncate(lock, 0)
		_, _ = unix.Pwrite(lock, []byte(strconv.Itoa(e.about.Pid)+"\n"+e.o.MemoryDir+"\n"), 0)
	}
	if err := e.holdConfig(e.cfg, e.agenda); err != nil {
		e.log.Error("hand over the configuration", "error", err)
	}
	e.saveDaemon()
	e.captureLate(len(e.late))
	e.handOverHelpers()
	n := 0
	for _, in := range e.insts {
		if e.handOverOne(in) {
			n++
		}
		if in.u.Phase == unit.Spawning { // nobody knows whether it was made: whatever there is of it has to go first
			in.act = unit.Action{}
			in.u.Deadline = e.now
			e.step(in, unit.Event{Kind: unit.Deadline})
		}
	}
	return n
}

// handOverOne sends what is known of one instance, and says whether it has a process.
func (e *Engine) handOverOne(in *inst) bool {
	m := &keeper.Message{Kind: keeper.Adopt, Unit: in.name, Gen: in.u.Gen, Op: in.op, Record: e.record(in), Name: e.treeMark(in.name, in.u.Gen)}
	if in.u.HasProcess() {
		m.State, m.Pid, m.Start, m.At = keeper.Alive, in.u.Pid, in.start, int64(in.u.Started)
	}
	var fds []int
	for gen, st := range in.streams {
		if fd, err := st.Dup(); err == nil {
			fds = append(fds, fd)
			m.Names = append(m.Names, keeper.FileName(keeper.LogPipe, gen))
		}
	}
	if p := in.pulse.page; p != nil {
		if fd, err := dupOf(p); err == nil {
			fds = append(fds, fd)
			m.Names = append(m.Names, keeper.FileName(pulsePage, in.pulse.pageGen))
		}
	}
	if in.notify != nil {
		if fd, err := dupOf(in.notify); err == nil {
			fds = append(fds, fd)
			m.Names = append(m.Names, keeper.FileName("notify", 0))
		}
	}
	copies, _ := in.copyStored()
	if len(copies) == len(in.store) { // or none: names and descriptors have to agree
		for _, s := range in.store {
			m.Names = append(m.Names, keeper.FileName(s.wire(), s.number))
		}
		fds, copies = append(fds, copies...), nil
	}
	e.link.send(m, fds...)
	keeper.CloseAll(append(fds, copies...))
	if in.moving != 0 { // the last keeper did not answer
		e.moveMain(in, in.moving)
	}
	return m.Pid != 0
}
