package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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
	e.keeperWatch = keeperWatch{}
	wait := time.Duration(0)
	if e.now.Sub(e.keeperSince) < shortKeeper {
		wait = firstKeeperWait // it may be killed, or fail, again and again
	}
	go e.seekKeeper(wait)
	return nil
}

const (
	shortKeeper       = time.Second // a keeper that goes so soon may do it again
	firstKeeperWait   = 10 * time.Millisecond
	longestKeeperWait = time.Second // between two attempts to start one
	keeperHello       = 5 * time.Second
)

// seekKeeper starts keepers until one is there, and has the loop hand over to it. Meanwhile the loop runs: clients are
// answered, and what is ordered is in what is handed over.
func (e *Engine) seekKeeper(wait time.Duration) {
	for {
		select {
		case <-time.After(wait):
		case <-e.loop:
			return
		}
		conn, hello, err := e.newKeeper()
		if err == nil {
			e.post(func() { e.takeKeeper(conn, hello) })
			return
		}
		wait = min(max(2*wait, firstKeeperWait), longestKeeperWait)
		e.log.Error("start another keeper", "error", err, "again_in", wait)
	}
}

// takeKeeper goes on with another keeper.
func (e *Engine) takeKeeper(conn *keeper.Conn, hello *keeper.Message) {
	old, engines := e.about.Pid, e.about.Engines
	e.about = *hello.About
	e.about.Engines = engines
	unix.Close(e.keeperFD)
	e.watchKeeper()
	e.keeperSince = e.now
	lost := e.link.renew(conn)
	go e.link.read(e.facts)
	n := e.handOver()
	e.signalAgain(lost)
	e.link.send(&keeper.Message{Kind: keeper.Ready})
	e.upgradeDied()
	if e.daemon.Left { // what there was went down meanwhile
		e.link.send(&keeper.Message{Kind: keeper.Shutdown})
	}
	e.event(event{kind: "keeper", text: fmt.Sprintf("the keeper (pid %d) was killed; another (pid %d) took over %d processes", old, e.about.Pid, n)})
}

// signalAgain repeats the signals that were ordered while there was no keeper.
func (e *Engine) signalAgain(lost []*keeper.Message) {
	for _, m := range lost {
		if in := e.insts[m.Unit]; m.Kind == keeper.SignalTo && in != nil && in.u.Gen == m.Gen && in.u.HasProcess() {
			e.sendOrder(in, &keeper.Message{Kind: keeper.SignalTo, Gen: m.Gen, Signal: m.Signal, To: m.To, Cont: m.Cont})
		}
	}
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

// newKeeper starts a keeper and makes its acquaintance. One that does not introduce itself in time is killed.
func (e *Engine) newKeeper() (*keeper.Conn, *keeper.Message, error) {
	conn, other, err := keeper.Pair()
	if err != nil {
		return nil, nil, err
	}
	kill, err := e.o.NewKeeper(other)
	unix.Close(other)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	late := time.AfterFunc(keeperHello, func() { kill(); conn.Hangup() })
	defer late.Stop()
	first := link{conn: conn, fault: e.link.fault}
	hello, fds, err := first.ask(&keeper.Message{Kind: keeper.Hello, Version: keeper.Version}, keeper.Hello)
	keeper.CloseAll(fds)
	if err == nil && (hello.Version != keeper.Version || hello.About == nil) {
		err = fmt.Errorf("it speaks version %d of the wire, not %d", hello.Version, keeper.Version)
	}
	if err != nil {
		kill()
		conn.Close()
		return nil, nil, err
	}
	return conn, hello, nil
}

// lookAtKeeper acts on a keeper that says nothing. As PID 1 it is left alone: with it the container would end, which is
// for others to decide. One that a debugger holds does not hang.
func (e *Engine) lookAtKeeper() {
	act := e.keeperWatch.look(e.now)
	if act == leaveKeeper || e.about.Pid <= 1 || e.keeperFD < 0 || traced(e.about.Pid) {
		return
	}
	sig := unix.SIGCONT
	if act == killKeeper {
		sig = unix.SIGKILL
	}
	e.log.Error("the keeper is silent", "pid", e.about.Pid, "signal", unix.SignalName(sig))
	e.event(event{kind: "keeper", text: fmt.Sprintf("the keeper (pid %d) is silent: %s", e.about.Pid, unix.SignalName(sig))})
	_ = unix.PidfdSendSignal(e.keeperFD, sig, nil, 0)
}

// traced says whether a debugger holds the process. Its status is made without waiting for it.
func traced(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, after, ok := strings.Cut(string(data), "\nTracerPid:\t")
	return err == nil && ok && !strings.HasPrefix(after, "0")
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
		if in.u.Phase == unit.Killing { // the last keeper may not have heard it
			e.sendOrder(in, &keeper.Message{Kind: keeper.KillTree, Gen: in.u.Gen})
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
