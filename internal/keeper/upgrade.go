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
// The engine orders it as its last word and ends. No engine is started meanwhile; what was ordered before is still made,
// and the exec stages under way end. Then all that the keeper has goes into one memfd, descriptors by their numbers, and
// the new program is executed. If that fails, everything is as before and an engine of the old program starts. If the new
// program's engine does not get ready in time, the new keeper goes the same way back: it was given the old program's file.

// A Handover is what a keeper leaves to the program that it becomes. It is read by other versions: fields are only added.
type Handover struct {
	Image   Image            `json:"image"`
	Held    map[string]int   `json:"held"`           // descriptors of Image.Held
	Files   map[string][]int `json:"files"`          // those of each row, in the order of its Files
	Upgrade Upgraded         `json:"upgrade"`        //
	Back    int              `json:"back,omitzero"`  // the file of the program before; 0: this one is where it went back to
	Asked   int              `json:"asked,omitzero"` // a signal that was sent to the keeper and has to be acted on
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

// upgradeFor bounds the wait for the engine's end and for the exec stages under way.
const upgradeFor = 10 * time.Second

// takeUpgrade takes the order: m.Name is its ID, the descriptor the new program.
func (k *Keeper) takeUpgrade(m *Message, fds []int) (kept int) {
	if len(fds) == 0 || k.upgrading != nil || k.o.Become == nil || k.asked.goingDown() {
		k.about.Upgrade = Upgraded{ID: m.Name, Began: now(), Error: "the keeper takes no upgrade just now"}
		return 0
	}
	k.upgrading = &upgrading{to: os.NewFile(uintptr(fds[0]), "stayd"), done: Upgraded{ID: m.Name, Began: now()}}
	k.o.Log.Info("upgrade: the engine is about to end, services go on", "id", m.Name)
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
	case k.engine.pid != 0 && late:
		k.killEngine() // its end brings this on
	case k.engine.pid != 0 || k.engine.conn != nil && !k.engine.eof:
	case len(k.waiting) == 0 && k.stages() == 0:
		k.notUpgraded(k.become().Error())
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
	k.nextEngine()
}

// become executes the program. It returns only with an error, and then everything is as before.
func (k *Keeper) become() error {
	u := k.upgrading
	for k.reflect() { // should the program die before it has read what it is given
	}
	h, fds := k.handover(u)
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write down the table: %w", err)
	}
	table, err := memfd("handover", data)
	if err != nil {
		return err
	}
	defer unix.Close(table)
	fds = append(fds, table)
	for _, fd := range fds {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	limit := files()
	runtime.LockOSThread() // the mask of signals is this thread's, and exec keeps it
	defer runtime.UnlockOSThread()
	var mask unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), &mask)
	err = k.o.Become(u.to, table)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	limit.restore()
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	if err == nil {
		err = errors.New("internal error: the program was not executed")
	}
	return err
}

// handover is everything, and the descriptors that it names.
func (k *Keeper) handover(u *upgrading) (*Handover, []int) {
	h := &Handover{Image: k.image(), Held: map[string]int{}, Files: map[string][]int{}, Upgrade: u.done, Asked: k.asked.signal}
	var fds []int
	for name, fd := range k.held {
		h.Held[name] = fd
		fds = append(fds, fd)
	}
	for _, r := range k.rows {
		for _, f := range r.files {
			h.Files[r.unit] = append(h.Files[r.unit], f.fd)
			fds = append(fds, f.fd)
		}
	}
	if !u.back {
		h.Back = int(k.o.Exe.Fd())
		fds = append(fds, h.Back)
	} else {
		h.Upgrade = k.about.Upgrade
	}
	return h, fds
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
	for _, fd := range h.Held {
		unix.CloseOnExec(fd)
	}
	for _, list := range h.Files {
		for _, fd := range list {
			unix.CloseOnExec(fd)
		}
	}
	if h.Back != 0 {
		unix.CloseOnExec(h.Back)
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
		k.takeRow(&h.Image.Rows[i], h.Files[h.Image.Rows[i].Unit])
	}
}

// takeRow takes over one unit.
func (k *Keeper) takeRow(i *RowImage, fds []int) {
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
	tree, ok := k.regrow(r)
	if !ok {
		return
	}
	r.tree = tree
	switch {
	case r.state != Alive:
		tree.Ended()
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

func (k *Keeper) regrow(r *row) (Tree, bool) {
	adopter, ok := k.o.Forest.(Adopter)
	if !ok {
		k.o.Log.Error("internal error: trees cannot be taken over")
		return nil, false
	}
	return adopter.Adopt(r.treeName(), r.main, r.start, r.mark, r.out), true
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
