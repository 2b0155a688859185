package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/graph"
	"example.com/stay/internal/judge"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/notify"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A service is what the engine knows of one service.
type service struct {
	spec    *spec.Service
	hash    string
	index   int // in the graph
	order   int // place in the graph's order, dependencies first
	insts   []*inst
	status  graph.Status
	unready unit.Time // since when no instance is ready; 0 while one is
	wasMet  bool      // what its units were last told
	wasLost bool
	marked  bool // in Engine.dirty
	gone    bool // stopped or given up: lost to everybody
	watched bool // in Engine.unready
	lapsed  bool // it is lost to one more of those that need it, who have not been told

	firstLoss unit.Time // when having no ready instance makes it lost to the most impatient of those that need it; 0: nobody does
	nextLoss  unit.Time // likewise to the next one
}

// An inst is one instance: its unit and what is around it.
type inst struct {
	name   string
	number int
	svc    *service
	leaver bool // to be forgotten when it is idle: its number is above the service's instances, or the service goes

	u       unit.Unit
	op      uint64
	seen    uint64
	act     unit.Action
	noted   bool      // the record changed and was not sent
	asked   bool      // by a command that the keeper's record does not have
	stored  unit.Want // the want that the keeper's record has
	making  bool      // its spawn is being prepared at the edge
	hash    string
	status  string
	parked  string
	touched bool
	shown   shown

	heapIndex int // -1: not in the heap
	queued    bool

	streams   map[uint64]*capture.Stream
	readiness uint64 // the generation whose readiness pipe is being watched
	notify    *os.File
	hears     *notify.Receiver // of notify
	notifyUID int
	early     []func() // datagrams that wait for the news of the process's birth
	moving    int      // the pid that Main was ordered for: ends are held back until its answer; 0: none
	heldBack  []fact
	refusing  []keeper.Member
	waits     []*wait
	start     uint64 // start time of the main process, 0 if there is none
	lastPid   int    // main process of the generation before
	pulse     pulse
	ending
	checking *checking  // nil: nothing is asked
	times    *timetable // of a job with a cron line; else nil

	pending      *draft // an incident that waits for the birth of the next generation
	lastCause    api.Cause
	lastIncident unit.Time
	spared       int // incidents since then that were only counted

	store     []stored
	output    outputPipe
	reloading unit.Time // since when; 0: it is not
	refused   refusals
}

// An outputPipe is the newest log pipe, by which processes show whose they are.
type outputPipe struct {
	gen   uint64
	inode uint64
}

// noteOutput takes the log pipe of a generation.
func (in *inst) noteOutput(gen uint64, pipe *os.File) {
	if gen < in.output.gen {
		return
	}
	if fd, err := fdOf(pipe); err == nil {
		var st unix.Stat_t
		_ = unix.Fstat(fd, &st) // 0 on an error
		in.output = outputPipe{gen, st.Ino}
	}
}

// step applies one event. A panic parks the unit: its process stays as it is.
func (e *Engine) step(in *inst, ev unit.Event) {
	if in.parked != "" && ev.Kind != unit.Restart {
		return
	}
	before := in.u
	after, act, err := safeStep(in, e.now, ev)
	if err != nil {
		in.parked = err.Error()
		e.log.Error("internal error: unit parked, its process is left as it is", "unit", in.name, "event", ev.Kind.String(), "error", err)
		e.touch(in)
		in.noted = true
		return
	}
	if after == before && act.Kind == unit.NoAction {
		return
	}
	if act.Kind != unit.NoAction {
		if in.act.Kind != unit.NoAction {
			e.flush(in) // one message carries one order
		}
		in.act = act
	}
	if before.Phase != unit.Spawning && after.Phase == unit.Spawning {
		in.status, in.refusing, in.moving, in.reloading = "", nil, 0, 0
	}
	if after.Phase == unit.Idle || after.Phase == unit.Failed {
		e.dropStored(in, dropAll)
	}
	if after.Pid != before.Pid && in.svc.spec.Log.Syslog {
		e.relays.pids.Store(in.name, after.Pid)
	}
	in.asked = in.asked || ev.Kind <= unit.Reset
	in.u = after
	in.noted = true
	e.busy += busy(after) - busy(before)
	e.touch(in)
	in.escalated = in.escalated || after.Phase == unit.Killing && before.Phase == unit.Stopping
	if before.HasProcess() && (!after.HasProcess() || after.Gen != before.Gen) {
		e.generationEnded(in, before)
	}
	e.followPulse(in, before)
	if after.Deadline != before.Deadline || after.Phase != before.Phase {
		e.heap.set(in, after.Deadline)
		e.unqueue(in)
	}
	e.mark(in.svc)
}

// safeStep is unit.Step with a panic made an error.
func safeStep(in *inst, now unit.Time, ev unit.Event) (u unit.Unit, act unit.Action, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v at %.600s", p, debug.Stack())
		}
	}()
	u, act = unit.Step(in.u, in.name, in.svc.spec, now, ev)
	return u, act, nil
}

// busy is 1 for a unit that is up, or on its way up or down, and 0 for one at rest.
func busy(u unit.Unit) int {
	if u.Phase == unit.Idle && u.Want == unit.Down {
		return 0
	}
	return 1
}

// touch notes that something of the instance changed in this batch.
func (e *Engine) touch(in *inst) {
	e.version++
	if !in.touched {
		in.touched = true
		e.touched = append(e.touched, in)
	}
}

// flush sends the order that is due, or the record alone.
func (e *Engine) flush(in *inst) {
	act := in.act
	in.act = unit.Action{}
	switch act.Kind {
	case unit.NoAction:
		if in.noted {
			e.sendOrder(in, &keeper.Message{Kind: keeper.Note})
		}
	case unit.Spawn: // its record goes with the order, when that is ready; what was asked for is stored before
		if in.asked || in.u.Want != in.stored {
			e.sendOrder(in, &keeper.Message{Kind: keeper.Note})
		}
		e.prepare(in, act.Gen)
	case unit.Signal:
		e.sendOrder(in, &keeper.Message{Kind: keeper.SignalTo, Gen: act.Gen, Signal: int(act.Signal), To: string(act.To),
			Cont: in.u.Phase == unit.Stopping})
	case unit.KillTree:
		e.sendOrder(in, &keeper.Message{Kind: keeper.KillTree, Gen: act.Gen})
	case unit.TakeEvidence:
		if in.noted {
			e.sendOrder(in, &keeper.Message{Kind: keeper.Note})
		}
		e.takeEvidence(in, act.Gen)
	}
}

// sendOrder completes m with number, record and what was seen, and sends it. The descriptors stay the caller's.
func (e *Engine) sendOrder(in *inst, m *keeper.Message, fds ...int) {
	in.op++
	in.noted, in.asked, in.stored = false, false, in.u.Want
	m.Unit, m.Op, m.Seen = in.name, in.op, in.seen
	m.Record = e.record(in)
	e.link.send(m, fds...)
}

// record is what the keeper stores of the instance.
func (e *Engine) record(in *inst) json.RawMessage {
	return mustJSON(record{Service: in.svc.spec.Name, Number: in.number, Unit: in.u, Spec: in.hash, Status: in.status, Parked: in.parked,
		LastPid: in.lastPid, Errno: in.errno, Reloading: in.reloading, Unready: in.svc.unready, Paid: e.bucket.Paid, Verdict: in.verdict, Told: in.pulse.told,
		Asked: in.pulse.asked, Beats: in.pulse.watchdog.State != judge.Free,
		Times: in.kept()})
}
