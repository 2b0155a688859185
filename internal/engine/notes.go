package engine

import (
	"bytes"
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/capture"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/unit"
)

// adoptFiles takes over descriptors that came from the keeper.
func (e *Engine) adoptFiles(in *inst, names []string, fds []int) {
	if len(fds) < len(names) {
		e.log.Error("descriptors were cut off on their way: this process may have no more open files", "unit", in.name,
			"lost", len(names)-len(fds))
	}
	for i, fd := range fds {
		if i >= len(names) {
			unix.Close(fd)
			continue
		}
		name, gen := keeper.ParseFileName(names[i])
		f := os.NewFile(uintptr(fd), in.name+" "+name)
		switch name {
		case keeper.LogPipe:
			if e.answering {
				e.capture(in, gen, f)
			} else {
				e.late = append(e.late, output{in, gen, f})
			}
		case keeper.ReadyPipe:
			if in.readiness == gen {
				f.Close()
				continue
			}
			in.readiness = gen
			go e.awaitReady(in, gen, f)
		case "notify":
			e.takeNotify(in, f, -1)
		case pulsePage:
			e.takePage(in, gen, f)
		default:
			f.Close()
		}
	}
}

// An output is the log pipe of one generation.
type output struct {
	in   *inst
	gen  uint64
	pipe *os.File
}

// captureLate takes over at most n of the log pipes that were there when the engine started, and says whether more are
// waiting. Clients come first: a pipe holds what is written meanwhile.
func (e *Engine) captureLate(n int) (more bool) {
	n = min(n, len(e.late))
	for _, o := range e.late[:n] {
		e.capture(o.in, o.gen, o.pipe)
	}
	if e.late = e.late[n:]; len(e.late) == 0 {
		e.late = nil
	}
	return e.late != nil
}

// lateAtOnce is how many log pipes are taken over between two looks at what else there is to do.
const lateAtOnce = 32

// captureRest has the loop take over all log pipes that wait.
func (e *Engine) captureRest() {
	for more := true; more; {
		if e.do(context.Background(), func() { more = e.captureLate(lateAtOnce) }) != nil {
			return
		}
	}
}

// capture keeps the output of one generation.
func (e *Engine) capture(in *inst, gen uint64, pipe *os.File) {
	if in.streams[gen] != nil { // it came with the row already, while the process was being made
		pipe.Close()
		return
	}
	st := e.store.Stream(in.name, gen, pipe, policy(in.svc.spec))
	if in.streams == nil {
		in.streams = map[uint64]*capture.Stream{}
	}
	in.streams[gen] = st
}

// captured notes that the output of a generation is complete: nobody needs its pipe any more.
func (e *Engine) captured(name string, gen uint64) {
	e.post(func() {
		if in := e.insts[name]; in != nil {
			delete(in.streams, gen)
		}
		e.link.send(&keeper.Message{Kind: keeper.Drop, Unit: name, Name: keeper.LogPipe, Gen: gen})
	})
}

// awaitReady waits for the newline on a readiness pipe. It stays in the pipe until the readiness is stored: should this
// engine die before, the next one finds it.
func (e *Engine) awaitReady(in *inst, gen uint64, f *os.File) {
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	found := false
	_ = raw.Read(func(fd uintptr) (done bool) {
		found, err = newline(int(fd))
		return err != unix.EAGAIN
	})
	if !found {
		return
	}
	e.post(func() {
		e.step(in, unit.Event{Kind: unit.ReadyNoted, Gen: gen})
		e.flush(in)
		e.link.send(&keeper.Message{Kind: keeper.Drop, Unit: in.name, Name: keeper.ReadyPipe, Gen: gen})
	})
}

// newline says whether there is a newline in a pipe, without taking it out; what comes before it is consumed. The error
// is EAGAIN while more may come, and EOF when nothing will.
func newline(fd int) (bool, error) {
	var scratch [2]int
	if err := unix.Pipe2(scratch[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return false, err
	}
	defer keeper.CloseAll(scratch[:])
	var buf [256]byte
	for {
		n, err := unix.Tee(fd, scratch[1], len(buf), unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, err
		case n == 0:
			return false, io.EOF
		}
		if _, err := unix.Read(scratch[0], buf[:n]); err != nil {
			return false, err
		}
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			return true, nil
		}
		if _, err := unix.Read(fd, buf[:n]); err != nil {
			return false, err
		}
	}
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
		err := hears.Run(func(m notify.Message) {
			stored := make(chan struct{})
			e.post(func() { e.hear(in, f, m, stored) })
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

// hear acts on one datagram of a service, and closes stored when the keeper has all that follows. A new main process that
// is named before the keeper's news of the old one's birth waits for it.
func (e *Engine) hear(in *inst, f *os.File, m notify.Message, stored chan<- struct{}) {
	if in.u.Phase == unit.Spawning && m.MainPID > 0 {
		in.early = append(in.early, func() { e.hear(in, f, m, stored) })
		return
	}
	e.noted(in, f, m)
	e.flush(in)
	e.link.afterwards(func() { close(stored) })
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

// noted acts on one datagram of a service.
func (e *Engine) noted(in *inst, f *os.File, m notify.Message) {
	if in.notify != f || !in.u.HasProcess() || m.Pid != 0 && m.Pid == in.lastPid && m.Pid != in.u.Pid {
		return // from a generation that has gone
	}
	gen := in.u.Gen
	if m.HasStatus && m.Status != in.status {
		in.status, in.noted = m.Status, true
		e.touch(in)
	}
	if m.MainPID > 0 && m.MainPID != in.u.Pid {
		e.moveMain(in, m.MainPID)
	}
	if m.Ready {
		e.step(in, unit.Event{Kind: unit.ReadyNoted, Gen: gen})
	}
	if m.Stopping {
		e.step(in, unit.Event{Kind: unit.StoppingNoted, Gen: gen})
	}
}

// moveMain has the keeper make pid the main process, if it is one of the tree.
func (e *Engine) moveMain(in *inst, pid int) {
	in.moving = pid
	in.op++
	e.link.send(&keeper.Message{Kind: keeper.Main, Unit: in.name, Gen: in.u.Gen, Op: in.op, Pid: pid})
}
