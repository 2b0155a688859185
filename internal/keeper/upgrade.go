package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file: how the keeper becomes another program and stays the same process, so that its children stay its children.
//
// The engine orders it and says nothing more; it reads logs and watches on. What was ordered before is still made, and the
// exec stages under way end. Then all that the keeper has goes into one memfd, descriptors by their numbers, and the new
// program is executed. Only when that one has everything, the old engine is told to leave, and a new one starts.
//
// If the exec fails, the engine goes on. If the new program dies before it has told the engine to leave, that is the death of
// a keeper like any other, and the engine starts one of its own program. If the new program's engine does not get ready in
// time, the new keeper goes the same way back: it was given the old program's file.

// A Handover is what a keeper leaves to the program that it becomes. It is read by other versions: fields are only added.
type Handover struct {
	Image   Image            `json:"image"`
	Held    map[string]int   `json:"held"`           // descriptors of Image.Held
	Files   map[string][]int `json:"files"`          // those of each row, in the order of its Files
	Upgrade Upgraded         `json:"upgrade"`        //
	Back    int              `json:"back,omitzero"`  // the file of the program before; 0: this one is where it went back to
	Asked   int              `json:"asked,omitzero"` // a signal that was sent to the keeper and has to be acted on

	Trees   map[string]json.RawMessage `json:"trees"`            // what the forest said of each row's tree
	Engine  int                        `json:"engine,omitzero"`  // pid of the engine, which has said its last word and waits; 0: there is none
	Conn    int                        `json:"conn,omitzero"`    // the keeper's end of its connection
	Foreign bool                       `json:"foreign,omitzero"` // the engine is no child
	Resumes bool                       `json:"resumes,omitzero"` // the program could not be changed: the engine goes on
}

// Upgraded is the last change of the program, as the keeper saw it.
type Upgraded struct {
	ID    string `json:"id"`             // as the order named it
	Began int64  `json:"began"`          // when the order came, CLOCK_MONOTONIC, ns
	Ready int64  `json:"ready,omitzero"` // when an engine was ready again
	Error string `json:"error,omitzero"` // what kept it from being done; "": nothing
}

// upgrading is a change of the program under way.
type upgrading struct {
	to   *os.File
	back bool // to is the program before: that one gets no way back again
	done Upgraded
}

// upgradeFor bounds the wait for an unready engine's end and for the exec stages under way.
const upgradeFor = 10 * time.Second

// takeUpgrade takes the order: m.Name is its ID, the descriptor the new program.
func (k *Keeper) takeUpgrade(m *Message, fds []int) (kept int) {
	if len(fds) == 0 || k.upgrading != nil || k.o.Become == nil || k.asked.goingDown() {
		k.about.Upgrade = Upgraded{ID: m.Name, Began: now(), Error: "the keeper takes no upgrade just now"}
		return 0
	}
	k.upgrading = &upgrading{to: os.NewFile(uintptr(fds[0]), "stayd"), done: Upgraded{ID: m.Name, Began: now()}}
	k.o.Log.Info("upgrade: this process becomes another program, services go on", "id", m.Name)
	return 1
}

// goOn does what is next of an upgrade.
func (k *Keeper) goOn() {
	u := k.upgrading
	if u == nil {
		return
	}
	late := now()-u.done.Began > int64(upgradeFor)
	switch {
	case k.asked.goingDown():
		k.notUpgraded("the keeper was told to go down")
	case u.back && k.engine.pid != 0:
		k.killEngine() // its end brings this on
	case k.engine.pid == 0 && k.engine.conn != nil && !k.engine.eof: // it has died: what it said is read first
	case k.engine.pid != 0 && k.engine.killed != 0:
	case len(k.waiting) == 0 && k.stages() == 0:
		k.notUpgraded(k.becomeOr())
	case late:
		k.notUpgraded("a program that is being started has not been reached by its exec stage")
	}
}

// stages counts the exec stages under way.
func (k *Keeper) stages() (n int) {
	for _, r := range k.rows {
		if r.stage {
			n++
		}
	}
	return n
}

// notUpgraded goes on as the program that it is.
func (k *Keeper) notUpgraded(why string) {
	u := k.upgrading
	k.upgrading = nil
	k.o.Log.Error("upgrade failed: everything goes on as before", "why", why)
	if u.back {
		why = k.about.Upgrade.Error + "; and there is no way back: " + why
	}
	u.done.Error = why
	k.about.Upgrade = u.done
	u.to.Close()
	k.resume = k.engine.pid != 0
	k.nextEngine()
}

// becomeOr executes the program and, if that fails, this one's own, which has the engine go on: the attempt has lowered the
// limit of descriptors, and only a start raises it for this process and not for the services too (E8). It returns why it
// failed.
func (k *Keeper) becomeOr() string {
	u := k.upgrading
	h := k.handover(u)
	why := k.become(u.to, h).Error()
	if u.back {
		return why
	}
	h.Upgrade.Error, h.Back, h.Resumes = why, 0, k.engine.pid != 0
	k.o.Log.Error("upgrade failed: everything goes on as before", "why", why)
	limit := files()
	again := k.become(k.o.Exe, h)
	limit.restore()
	k.o.Log.Error("internal error: the keeper cannot execute itself", "error", again)
	return why
}

// become executes a program with a handover. It returns only with an error, and then everything is as before, but for the
// limit of descriptors. Signals are held back until the program hears them: between, their default would end this process,
// and the services would have nobody.
func (k *Keeper) become(program *os.File, h *Handover) error {
	for k.reflect() { // should the program die before it has read what it is given
	}
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write down the table: %w", err)
	}
	table, err := memfd("handover", data)
	if err != nil {
		return err
	}
	defer unix.Close(table)
	fds := append(h.descriptors(), table)
	for _, fd := range fds {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	if k.o.Flush != nil {
		k.o.Flush()
	}
	runtime.LockOSThread() // the mask of signals is this thread's, and exec keeps it
	defer runtime.UnlockOSThread()
	var mask unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, heldBack(), &mask)
	err = k.o.Become(program, table)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	if err == nil {
		err = errors.New("internal error: the program was not executed")
	}
	return err
}

// heldBack are the signals that are caught.
func heldBack() *unix.Sigset_t {
	var set unix.Sigset_t
	for _, s := range caught {
		set.Val[(s-1)/wordBits] |= 1 << ((s - 1) % wordBits)
	}
	return &set
}

// wordBits is how many signals are in one word of a mask.
const wordBits = strconv.IntSize

// handover is everything.
func (k *Keeper) handover(u *upgrading) *Handover {
	h := &Handover{Image: k.image(), Held: map[string]int{}, Files: map[string][]int{}, Upgrade: u.done, Asked: k.asked.signal,
		Trees: map[string]json.RawMessage{}}
	for name, fd := range k.held {
		h.Held[name] = fd
	}
	trees, _ := k.o.Forest.(Regrower)
	for _, r := range k.rows {
		for _, f := range r.files {
			h.Files[r.unit] = append(h.Files[r.unit], f.fd)
		}
		if r.tree != nil && trees != nil {
			h.Trees[r.unit] = trees.State(r.tree)
		}
	}
	if e := &k.engine; e.pid != 0 && e.conn != nil {
		h.Engine, h.Conn, h.Foreign = e.pid, e.conn.FD(), e.pidfd != 0
	}
	if !u.back {
		h.Back = int(k.o.Exe.Fd())
	} else {
		h.Upgrade = k.about.Upgrade
	}
	return h
}

// descriptors are those that it names.
func (h *Handover) descriptors() (fds []int) {
	for _, fd := range h.Held {
		fds = append(fds, fd)
	}
	for _, list := range h.Files {
		fds = append(fds, list...)
	}
	for _, fd := range []int{h.Back, h.Conn} {
		if fd != 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// image is the whole table.
func (k *Keeper) image() Image {
	i := Image{Version: Version, Engines: k.about.Engines, Started: k.about.Started, Daemon: k.daemon}
	for name := range k.held {
		i.Held = append(i.Held, name)
	}
	for _, r := range k.rows {
		i.Rows = append(i.Rows, r.image())
	}
	return i
}

// ReadHandover reads what the program before has left in descriptor fd, closes it, and has no child inherit what it names.
func ReadHandover(fd int) (*Handover, error) {
	data, err := readMemfd(fd)
	unix.Close(fd)
	if err != nil {
		return nil, err
	}
	h := new(Handover)
	if err := json.Unmarshal(data, h); err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	for _, fd := range h.descriptors() {
		unix.CloseOnExec(fd)
	}
	return h, nil
}

// takeOver begins with what the program before has left. Main processes are children of this process, or were followed
// before; who ended meanwhile is a zombie that waits to be reaped.
func (k *Keeper) takeOver(h *Handover) {
	k.daemon, k.about.Engines, k.about.Started = h.Image.Daemon, h.Image.Engines, h.Image.Started
	k.about.Upgrade = h.Upgrade
	for name, fd := range h.Held {
		if old, ok := k.held[name]; ok {
			unix.Close(old)
		}
		k.held[name] = fd
	}
	if h.Asked != 0 {
		k.asked = asked{signal: h.Asked, at: now()}
	}
	if h.Back != 0 {
		k.back = os.NewFile(uintptr(h.Back), "stayd")
	} else {
		k.about.Upgrade.Ready = 0
	}
	for i := range h.Image.Rows {
		k.takeRow(&h.Image.Rows[i], h)
	}
}

// takeEngineOver goes on with the engine of the program before: it leaves, or, if the program could not be changed, goes on.
// Who has ended meanwhile is reaped first.
func (k *Keeper) takeEngineOver(h *Handover) {
	for name, fd := range k.held {
		k.keep(name, fd)
	}
	if h.Engine == 0 {
		k.sweep()
		k.startEngine()
		return
	}
	if h.Foreign {
		k.takeEngine(&Orphaned{Pid: h.Engine, Conn: NewConn(h.Conn)})
		k.about.Engines--
	} else {
		k.engine = engineState{epoch: 1, pid: h.Engine, conn: NewConn(h.Conn), ran: true}
		go readEngine(k.engine.epoch, k.engine.conn, k.messages)
	}
	e := &k.engine
	e.hello, e.ready, e.heard, e.looked = true, now(), now(), now()
	k.sweep()
	switch {
	case h.Resumes:
		k.upgraded()
		k.resume = true
	case e.pid == 0 || !k.send(&Message{Kind: Leave}):
		k.killEngine()
	default:
		epoch := e.epoch
		k.leaver = epoch
		time.AfterFunc(k.limits.Leave, func() { k.writable <- -epoch })
	}
}

// notLeft kills the engine of the program before if it has not left.
func (k *Keeper) notLeft() {
	if k.leaver != 0 && k.engine.epoch == k.leaver {
		k.killEngine()
	}
}

// tellResume has an engine that waits go on. It returns false when the engine does not read.
func (k *Keeper) tellResume() bool {
	if k.resume && k.send(&Message{Kind: Resume, About: &k.about}) {
		k.resume = false
	}
	return !k.resume
}

// sweep takes every child that has ended.
func (k *Keeper) sweep() {
	for k.reap() {
	}
}

// takeRow takes over one unit.
func (k *Keeper) takeRow(i *RowImage, h *Handover) {
	fds := h.Files[i.Unit]
	r := k.row(i.Unit)
	r.record, r.op, r.gen, r.state, r.main, r.start, r.born = i.Record, i.Op, i.Gen, i.State, i.Main, i.Start, i.Born
	r.exit, r.lost, r.fail, r.empty, r.seen, r.mark, r.out = i.Exit, i.Lost, i.Failure, i.Empty, i.Seen, i.Mark, i.Out
	for n, name := range i.Files {
		if n < len(fds) {
			name, gen := ParseFileName(name)
			r.files = append(r.files, newFile(name, gen, fds[n]))
		}
	}
	if i.Tree == "" {
		return
	}
	r.tree = k.regrow(r, h.Trees[i.Unit])
	switch {
	case r.tree == nil:
		return
	case r.state != Alive:
		k.trees.watch(r)
	case i.Alien:
		k.adoptMain(r, r.main)
	default:
		k.byPid[r.main] = r
	}
	if i.Killing {
		r.killing, r.killAt = true, i.KillAt
		k.trees.watch(r)
	}
}

// regrow returns the tree of a row; nil if there is no way to have it.
func (k *Keeper) regrow(r *row, state json.RawMessage) Tree {
	if trees, ok := k.o.Forest.(Regrower); ok && len(state) > 0 {
		t, err := trees.Regrow(r.treeName(), state)
		if err == nil {
			return t
		}
		k.o.Log.Error("tree of a program before", "unit", r.unit, "error", err)
	}
	adopter, ok := k.o.Forest.(Adopter)
	if !ok {
		k.o.Log.Error("internal error: trees cannot be taken over")
		return nil
	}
	t := adopter.Adopt(r.treeName(), r.main, r.start, r.mark, r.out)
	if r.state != Alive {
		t.Ended()
	}
	return t
}

// upgraded notes that an engine of the new program is ready: there is no way back any more, and no need of it.
func (k *Keeper) upgraded() {
	if k.about.Upgrade.ID != "" && k.about.Upgrade.Ready == 0 {
		k.about.Upgrade.Ready = now()
	}
	if k.back != nil {
		k.back.Close()
		k.back = nil
	}
}

// goBack becomes the program before, because no engine of this one got ready.
func (k *Keeper) goBack(why string) bool {
	if k.back == nil || k.upgrading != nil {
		return false
	}
	k.o.Log.Error("upgrade: no engine of the new program gets ready: back to the old one", "why", why)
	k.about.Upgrade.Error = why
	k.upgrading = &upgrading{to: k.back, back: true, done: k.about.Upgrade}
	k.upgrading.done.Began = now()
	k.back = nil
	k.killEngine()
	return true
}

// A fileLimit is RLIMIT_NOFILE. Exec lowers it to what the process was started with, before it is known whether the program
// can be executed.
type fileLimit struct {
	set   bool
	limit unix.Rlimit
}

func files() (f fileLimit) {
	f.set = unix.Getrlimit(unix.RLIMIT_NOFILE, &f.limit) == nil
	return f
}

func (f fileLimit) restore() {
	if f.set && f.limit.Cur <= math.MaxInt64 {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: f.limit.Cur, Max: f.limit.Max})
	}
}

// Become executes a program as this process. It returns only with an error.
func Become(program *os.File, argv []string) error {
	err := syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(program.Fd())), argv, os.Environ())
	return fmt.Errorf("exec: %w", err)
}
