package keeper

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// engineState is the engine as the keeper sees it. One epoch is one connection.
type engineState struct {
	epoch   int
	pid     int // 0: none
	conn    *Conn
	eof     bool // its connection was read to the end
	hello   bool // it has introduced itself
	ready   bool
	full    bool  // it does not read
	heard   int64 // when it last said anything
	looked  int64 // when the keeper last looked
	silent  int   // looks, each on time, at which it was silent for too long
	killed  bool
	fails   int       // starts in a row that never became ready
	retry   time.Time // not before
	fresh   bool
	pending bool // a start is wanted
}

// incoming is one message of an engine, or the end of its connection.
type incoming struct {
	epoch int
	m     *Message
	fds   []int
	err   error
	retry bool // not a message: an attempt to start an engine is due
}

// asked is a signal that was sent to the keeper and is the engine's to act on.
type asked struct {
	signal   int
	told     bool
	answered bool
	at       int64
	stage    int // 0: waiting for the engine; 1: the keeper has sent TERM; 2: KILL
}

// startEngine starts an engine with a connection of its own.
func (k *Keeper) startEngine() {
	e := &k.engine
	conn, other, err := Pair()
	if err != nil {
		k.o.Log.Error("engine", "error", err)
		k.engineFailed()
		return
	}
	k.about.Engines++
	e.epoch++
	*e = engineState{epoch: e.epoch, conn: conn, fails: e.fails, fresh: e.fails >= 3, heard: now(), looked: now()}
	if e.fresh {
		k.o.Log.Error("the engine died three times before it was ready: the next one starts fresh, restart counters are lost, no process is touched")
	}
	args := append([]string{"stayd", "engine", "--conn", "3"}, k.o.EngineArgs...)
	if e.fresh {
		args = append(args, "--fresh")
	}
	k.waiting = append([]forkJob{{
		path: k.exePath(),
		argv: args,
		attr: &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true},
			Files: []uintptr{k.null.Fd(), k.o.Stderr.Fd(), k.o.Stderr.Fd(), uintptr(other)}},
		ours: []int{other},
	}}, k.waiting...)
	go readEngine(e.epoch, conn, k.messages)
}

// readEngine reads the engine's connection to its end.
func readEngine(epoch int, conn *Conn, messages chan<- incoming) {
	for {
		m, fds, err := conn.Receive()
		messages <- incoming{epoch: epoch, m: m, fds: fds, err: err}
		if err != nil {
			return
		}
	}
}

func (k *Keeper) receive(in incoming) {
	e := &k.engine
	if in.epoch != e.epoch {
		CloseAll(in.fds)
		return
	}
	if in.retry {
		k.startEngine()
		return
	}
	if in.err != nil {
		e.eof = true
		if !errors.Is(in.err, io.EOF) {
			k.o.Log.Error("engine said what nobody understands", "error", in.err)
		}
		k.killEngine()
		k.nextEngine()
		return
	}
	e.heard, e.silent = now(), 0
	k.order(in.m, in.fds)
}

func (k *Keeper) engineForked(res forkResult) {
	e := &k.engine
	if res.err != nil {
		k.o.Log.Error("start engine", "error", res.err)
		e.pid = 0
		e.conn.Hangup() // the reader's end leads to the next attempt
		return
	}
	e.pid = res.pid
	if w, ok := k.early[res.pid]; ok {
		k.engineEnded(w.exit)
	} else if e.killed {
		_ = unix.Kill(e.pid, unix.SIGKILL)
	}
}

func (k *Keeper) hello(m *Message) {
	e := &k.engine
	k.about.Fresh = e.fresh
	about := k.about
	answer := &Message{Kind: Hello, Version: Version, About: &about}
	if err := e.conn.TrySend(answer); err != nil {
		k.o.Log.Warn("engine", "error", err)
	}
	if m.Version != Version {
		k.o.Log.Error("engine speaks another version of the wire: restart stay with matching binaries",
			"engine", m.Version, "keeper", Version)
		return
	}
	e.hello = true
	k.untold = k.untold[:0]
	for _, r := range k.rows { // it hears nothing but what it asks for until its List
		r.queued, r.owed = false, owed{refuses: r.owed.refuses}
	}
}

func (k *Keeper) engineReady() {
	k.engine.ready = true
	k.engine.fails = 0
	k.o.Log.Info("engine is ready", "pid", k.engine.pid, "engines", k.about.Engines)
}

func (k *Keeper) engineEnded(x Exit) {
	e := &k.engine
	status := unix.WaitStatus(x.Status)
	if !k.done {
		k.o.Log.Warn("engine ended", "pid", e.pid, "code", status.ExitStatus(), "signal", status.Signal().String(), "was_ready", e.ready)
	}
	e.pid = 0
	k.nextEngine()
}

// nextEngine starts an engine when the last one has gone and all that it said was done.
func (k *Keeper) nextEngine() {
	e := &k.engine
	if e.pid != 0 || !e.eof || k.done || e.pending {
		return
	}
	e.conn.Close()
	e.conn, e.hello = nil, false
	if e.ready {
		e.fails = 0
		k.startEngine()
		return
	}
	k.engineFailed()
}

// engineFailed waits before the next attempt: 10 ms, doubled up to 1 s.
func (k *Keeper) engineFailed() {
	e := &k.engine
	e.fails++
	e.pending = true
	wait := min(10*time.Millisecond<<min(e.fails-1, 10), time.Second)
	epoch := e.epoch
	time.AfterFunc(wait, func() { k.messages <- incoming{epoch: epoch, retry: true} })
}

func (k *Keeper) killEngine() {
	e := &k.engine
	e.killed = true
	if e.pid != 0 {
		_ = unix.Kill(e.pid, unix.SIGKILL)
	}
}

// leaveLimit is how long the last engine gets to end by itself.
const leaveLimit = time.Second

// endEngine waits for the last engine, so that nothing of the daemon outlives its keeper.
func (k *Keeper) endEngine() {
	e := &k.engine
	if e.conn != nil {
		e.conn.Hangup()
	}
	late := time.AfterFunc(leaveLimit, k.killEngine)
	defer late.Stop()
	for e.pid != 0 {
		select {
		case ack := <-k.children:
			k.reap()
			close(ack)
		case in := <-k.messages:
			CloseAll(in.fds)
		case <-k.staged:
		case <-k.writable:
		}
	}
}

// watch looks at the engine once a tick: one that is silent for too long is replaced. Who was late himself does not
// judge; a traced engine is not silent.
func (k *Keeper) watch() {
	e := &k.engine
	at := now()
	onTime := at-e.looked < int64(tick+lateness)
	e.looked = at
	k.watchAsked(at)
	if e.conn == nil || e.pid == 0 || e.killed {
		return
	}
	if e.hello && !e.full {
		k.send(&Message{Kind: Ping})
	}
	limit := silenceLimit
	if !e.ready {
		limit = startLimit
	}
	if at-e.heard < int64(limit) || traced(e.pid) {
		e.silent = 0
		return
	}
	if !onTime {
		return
	}
	if e.silent++; e.silent >= 2 {
		k.o.Log.Error("engine is silent: it is replaced", "pid", e.pid, "silent_ms", (at-e.heard)/1e6)
		k.killEngine()
	}
}

// waitWritable has the loop told when the engine reads again.
func (k *Keeper) waitWritable() {
	epoch, fd := k.engine.epoch, k.engine.conn.FD()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil { // no descriptor to wait with: look again soon
		time.AfterFunc(10*time.Millisecond, func() { k.writable <- epoch })
		return
	}
	go func() {
		defer unix.Close(dup)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(dup), Events: unix.POLLOUT}}, -1)
			if err != unix.EINTR {
				break
			}
		}
		k.writable <- epoch
	}()
}

// traced says whether a debugger holds the process.
func traced(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	_, after, ok := strings.Cut(string(data), "\nTracerPid:\t")
	return ok && !strings.HasPrefix(after, "0")
}

// signal takes a signal that was sent to the keeper.
func (k *Keeper) signal(s os.Signal) {
	sig, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	if k.asked.signal != int(unix.SIGHUP) && k.asked.signal != 0 && sig == unix.SIGHUP {
		return // going down already
	}
	k.asked = asked{signal: int(sig), at: now()}
	k.o.Log.Info("signal", "signal", sig.String())
}

// watchAsked carries out a TERM by itself when no engine does.
func (k *Keeper) watchAsked(at int64) {
	a := &k.asked
	if a.signal == 0 || a.signal == int(unix.SIGHUP) || a.answered || at-a.at < int64(askLimit) {
		return
	}
	a.at = at
	alive := 0
	for _, r := range k.rows {
		if !r.live() || r.tree == nil {
			continue
		}
		alive++
		if a.stage == 0 {
			_ = r.tree.Signal(unix.SIGTERM, false)
		} else {
			r.killing, r.killAt = true, at
			k.killNow(r)
		}
	}
	a.stage++
	k.o.Log.Error("no engine answered: the keeper ends the services itself", "alive", alive)
	if alive == 0 || a.stage > 2 {
		k.killEngine()
		k.done = true
	}
}
