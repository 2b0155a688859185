package engine

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/capture"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/unit"
)

// adoptFiles takes over descriptors that came from the keeper.
func (e *Engine) adoptFiles(in *inst, names []string, fds []int) {
	if len(fds) < len(names) {
		e.log.Error("descriptors were cut off on their way: this process may have no more open files", "unit", in.name,
			"lost", len(names)-len(fds))
		e.cutOff()
	}
	for i, fd := range fds {
		if i >= len(names) {
			unix.Close(fd)
			continue
		}
		name, gen := keeper.ParseFileName(names[i])
		if e.takeStored(in, name, gen, fd) {
			continue
		}
		f := os.NewFile(uintptr(fd), in.name+" "+name)
		switch name {
		case keeper.LogPipe:
			in.noteOutput(gen, f)
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
	st := e.store.Stream(in.name, gen, pipe, policy(in.svc.spec, in.number))
	if in.streams == nil {
		in.streams = map[uint64]*capture.Stream{}
	}
	in.streams[gen] = st
}

// dropLater is when the keeper hears that nobody needs a log pipe any more: the end of one mostly comes together with the
// end of its process, and then both have more urgent things to do.
const dropLater = 5 * time.Millisecond

// captured notes that the output of a generation is complete.
func (e *Engine) captured(name string, gen uint64) {
	e.post(func() {
		if in := e.insts[name]; in != nil {
			delete(in.streams, gen)
		}
		e.after(dropLater, func() {
			e.link.send(&keeper.Message{Kind: keeper.Drop, Unit: name, Name: keeper.LogPipe, Gen: gen})
		})
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
