package engine

import (
	"bytes"
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
			if in.streams[gen] != nil { // came with the row already, while the process was being made
				f.Close()
				continue
			}
			e.capture(in, gen, f)
		case keeper.ReadyPipe:
			if in.readiness == gen {
				f.Close()
				continue
			}
			in.readiness = gen
			go e.awaitReady(in, gen, f)
		case "notify":
			e.takeNotify(in, f, -1)
		default:
			f.Close()
		}
	}
}

// capture keeps the output of one generation.
func (e *Engine) capture(in *inst, gen uint64, pipe *os.File) {
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
	go func() {
		err := notify.Receive(f, func(m notify.Message) {
			stored := make(chan struct{})
			e.post(func() {
				e.noted(in, f, m)
				e.flush(in)
				e.link.afterwards(func() { close(stored) })
			})
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

// orderMain has the keeper make the process that the service named its main one; once it is known that there is one at
// all, for a datagram may be faster than the keeper's word of the birth.
func (e *Engine) orderMain(in *inst) {
	pid := in.mainPID
	if pid == 0 || in.u.Phase == unit.Spawning {
		return
	}
	in.mainPID = 0
	if pid == in.u.Pid {
		return
	}
	in.moving = true
	in.op++
	e.link.send(&keeper.Message{Kind: keeper.Main, Unit: in.name, Gen: in.u.Gen, Op: in.op, Pid: pid})
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
	if m.MainPID > 0 {
		in.mainPID = m.MainPID
		e.orderMain(in)
	}
	if m.Ready {
		e.step(in, unit.Event{Kind: unit.ReadyNoted, Gen: gen})
	}
	if m.Stopping {
		e.step(in, unit.Event{Kind: unit.StoppingNoted, Gen: gen})
	}
}
