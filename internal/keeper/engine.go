package keeper

import (
	"errors"
	"io"
	"os"
	"runtime"
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
	pidfd   int // of one that is no child, and could be reaped by somebody else; 0: it is a child
	conn    *Conn
	eof     bool  // its connection was read to the end
	hello   bool  // it has introduced itself
	ready   int64 // when it said so; 0: not yet
	full    bool  // it does not read, or nothing can be sent for another reason
	deaf    int64 // since when it does not read; 0: it does
	heard   int64 // when it last said anything
	looked  int64 // when the keeper last looked
	silent  int   // looks, each on time, at which it was silent for too long
	killed  int64 // when SIGKILL was sent; 0: it was not
	ran     bool  // the process came to be
	fresh   bool
	pending bool // the next start waits
	history
}

// history is what outlives an engine.
type history struct {
	deaths int // in a row, before it was ready: three, and the next one starts fresh
	tries  int // starts in a row of which no engine came that stayed: the next one waits
}

const (
	freshAfter  = 3                      // deaths
	firstWait   = 10 * time.Millisecond  // before the second try; doubled with each
	longestWait = time.Second            //
	readyWait   = 100 * time.Millisecond // the longest, for an engine that was ready: it did serve
	shortLife   = time.Second            // an engine that dies so soon after it was ready may do it again
	freeTries   = 3                      // such deaths in a row before the next one waits
)

// incoming is one message of an engine, or the end of its connection.
type incoming struct {
	epoch int
	m     *Message
	fds   []int
	err   error
	retry bool // not a message: an attempt to start an engine is due
	ended bool // not a message: the engine, which is no child, has ended
}

// startEngine starts an engine with a connection of its own.
func (k *Keeper) startEngine() {
	e := &k.engine
	*e = engineState{epoch: e.epoch + 1, history: e.history, fresh: e.deaths >= freshAfter, heard: now(), looked: now(), eof: true}
	k.asked.tellAgain()
	k.listing, k.fetches = false, nil
	conn, other, err := Pair()
	if err != nil {
		k.o.Log.Error("start engine", "error", err)
		k.nextEngine()
		return
	}
	e.conn, e.eof = conn, false
	k.about.Engines++
	k.mirror.daemon = true
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
			Files: []uintptr{k.null.Fd(), k.stdout(), k.o.Stderr.Fd(), uintptr(other)}},
		ours: []int{other},
	}}, k.waiting...)
	go readEngine(e.epoch, conn, k.messages)
}

// stdout is the engine's standard output.
func (k *Keeper) stdout() uintptr {
	if k.o.Stdout != nil {
		return k.o.Stdout.Fd()
	}
	return k.o.Stderr.Fd()
}

// readEngine reads the engine's connection to its end.
func readEngine(epoch int, conn *Conn, messages chan<- incoming) {
	for {
		m, fds, err := conn.Receive()
		messages <- incoming{epoch: epoch, m: m, fds: fds, err: err}
		if err != nil {
			return
		}
		runtime.Gosched() // the loop takes this thread over at once, instead of waking another
	}
}

func (k *Keeper) receive(in incoming) {
	e := &k.engine
	switch {
	case in.epoch != e.epoch:
		CloseAll(in.fds)
	case in.retry:
		if !k.leaving {
			k.startEngine()
		}
	case in.ended:
		k.engineEnded(Exit{})
	case in.err != nil:
		e.eof = true
		if !errors.Is(in.err, io.EOF) {
			k.o.Log.Error("engine said what nobody understands", "error", in.err)
		}
		k.killEngine()
		k.nextEngine()
	default:
		e.heard = now()
		k.order(in.m, in.fds)
	}
}

func (k *Keeper) engineForked(pid int, err error) {
	e := &k.engine
	if err != nil {
		k.o.Log.Error("start engine", "error", err)
		e.conn.Hangup() // the reader's end leads to the next attempt
		return
	}
	e.pid, e.ran = pid, true
	if e.killed != 0 {
		_ = unix.Kill(e.pid, unix.SIGKILL)
	}
}

func (k *Keeper) hello(m *Message) {
	e := &k.engine
	k.about.Fresh = e.fresh
	about := k.about
	if err := e.conn.TrySend(&Message{Kind: Hello, Version: Version, About: &about}); err != nil {
		k.o.Log.Warn("engine", "error", err)
	}
	if m.Version != Version {
		k.o.Log.Error("engine speaks another version of the wire: restart stay with matching binaries",
			"engine", m.Version, "keeper", Version)
		return
	}
	e.hello = true
	k.untold = k.untold[:0]
	for _, r := range k.rows { // what it has not heard, its List will tell
		r.queued, r.owed = false, owed{refuses: r.owed.refuses}
	}
}

func (k *Keeper) engineReady() {
	k.engine.ready = now()
	k.engine.deaths = 0
	k.publish()
	k.upgraded()
	k.o.Log.Info("engine is ready", "pid", k.engine.pid, "engines", k.about.Engines)
}

func (k *Keeper) engineEnded(x Exit) {
	e := &k.engine
	if k.leaver == e.epoch && k.leaver != 0 {
		k.o.Log.Info("the engine of the program before has left", "pid", e.pid)
	} else if !k.done && !k.leaving {
		k.o.Log.Warn("engine ended", "pid", e.pid, "how", howEnded(x), "was_ready", e.ready != 0)
	}
	k.engineGone()
}

// howEnded says how an engine ended, for the log. The end of one that another keeper started comes without a status, and
// without a time.
func howEnded(x Exit) string {
	switch status := unix.WaitStatus(x.Status); {
	case x.At == 0:
		return "unknown: an earlier keeper started it"
	case status.Signaled():
		return "killed by signal " + strings.TrimPrefix(unix.SignalName(status.Signal()), "SIG")
	default:
		return "exit code " + strconv.Itoa(status.ExitStatus())
	}
}

// engineGone is for an engine of which there is no process any more, or none that can do anything. Whoever else may have
// got hold of its end of the connection is cut off; what was sent is still read.
func (k *Keeper) engineGone() {
	e := &k.engine
	e.pid = 0
	if e.pidfd != 0 {
		unix.Close(e.pidfd)
		e.pidfd = 0
	}
	if e.conn != nil {
		e.conn.Hangup()
	}
	k.nextEngine()
}

// nextEngine starts an engine when the last one has gone and all that it said was done.
func (k *Keeper) nextEngine() {
	e := &k.engine
	if e.pid != 0 || !e.eof || k.done || k.leaving || e.pending {
		return
	}
	if k.upgrading != nil {
		return // the program is changed first
	}
	if e.conn != nil {
		e.conn.Close()
	}
	e.conn, e.hello = nil, false
	if k.o.Orphaned != nil && e.epoch == 1 && e.ready == 0 { // what there was to adopt went with it
		k.done, k.abandoned = true, true
		return
	}
	wait := e.history.next(e.ran, e.ready, now())
	if e.deaths >= freshAfter && k.goBack("its engine died three times before it was ready") {
		return
	}
	if wait == 0 {
		k.startEngine()
		return
	}
	e.pending = true
	epoch := e.epoch
	time.AfterFunc(wait, func() { k.messages <- incoming{epoch: epoch, retry: true} })
}

// next counts the end of an engine and returns how long the next one waits: not at all where this one had served for a
// while. Ready is when it said so, 0 if it never did.
func (h *history) next(ran bool, ready, now int64) time.Duration {
	h.tries++
	switch {
	case ready == 0:
		if ran { // one that was refused a process did not die of anything it read
			h.deaths++
		}
		return min(firstWait<<min(h.tries-1, 10), longestWait)
	case now-ready >= int64(shortLife):
		h.tries = 0
	case h.tries > freeTries:
		return min(firstWait<<min(h.tries-1-freeTries, 10), readyWait)
	}
	return 0
}

func (k *Keeper) killEngine() {
	e := &k.engine
	if e.killed == 0 {
		e.killed = now()
	}
	switch {
	case e.pidfd != 0:
		_ = unix.PidfdSendSignal(e.pidfd, unix.SIGKILL, nil, 0)
	case e.pid != 0:
		_ = unix.Kill(e.pid, unix.SIGKILL)
	}
}

// endEngine waits for the last engine, so that nothing of the daemon outlives its keeper. One that does not end is
// killed; one that does not die of that is left to whoever comes after.
func (k *Keeper) endEngine() {
	e := &k.engine
	if e.conn != nil {
		e.conn.Hangup()
	}
	late := time.NewTimer(k.limits.Leave)
	defer late.Stop()
	for killed := false; e.pid != 0; {
		select {
		case ack := <-k.children:
			k.reap()
			close(ack)
		case in := <-k.messages:
			CloseAll(in.fds)
			if in.ended && in.epoch == e.epoch {
				e.pid = 0
			}
		case <-k.staged:
		case <-k.writable:
		case <-k.gone:
		case <-late.C:
			if killed {
				return
			}
			killed = true
			k.killEngine()
			late.Reset(k.limits.Leave)
		}
	}
}
