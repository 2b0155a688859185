package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// This file: how stay becomes another version of itself. The new program is asked whether it understands what runs; then the
// engine orders the keeper to become it, and says nothing more. It reads logs and watches on, and it is there to start another
// keeper should the new program die at once; when that has everything it tells this engine to leave. What came of it is told
// by the next one.

// handoverFormat is the version of keeper.Handover that this program reads and writes.
const handoverFormat = 1

// An upgradeRecord is what the daemon's record has of the last upgrade.
type upgradeRecord struct {
	ID    string    `json:"id"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	At    time.Time `json:"at"`
	Over  bool      `json:"over,omitzero"` // it is known what came of it
	GapMS float64   `json:"gap_ms,omitzero"`
	Went  int       `json:"went,omitzero"` // processes that went on
	Error string    `json:"error,omitzero"`
}

// A table is a copy of all that the next engine would read, for a program that may become it.
type table struct {
	Format int                        `json:"format"`
	Config json.RawMessage            `json:"config"` // as spec.Encode writes it, as a string
	Agenda agenda                     `json:"agenda"`
	Daemon daemonRecord               `json:"daemon"`
	Units  map[string]json.RawMessage `json:"units"`
}

// CheckTable says whether this program could carry on with a table that another one wrote.
func CheckTable(data []byte) error {
	var t table
	if err := json.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if t.Format != handoverFormat {
		return fmt.Errorf("the table is of format %d, this program knows %d", t.Format, handoverFormat)
	}
	var frozen string
	if err := json.Unmarshal(t.Config, &frozen); err != nil {
		return fmt.Errorf("applied configuration: %w", err)
	}
	cfg, err := spec.Decode([]byte(frozen))
	if err != nil {
		return fmt.Errorf("applied configuration: %w", err)
	}
	if errs := Cycles(cfg); len(errs) > 0 {
		return fmt.Errorf("applied configuration: %w", errs)
	}
	for name, text := range t.Units {
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("record of %q: %w", name, err)
		}
		if r.Service == "" || r.Unit.Phase > unit.Failed || r.Unit.Want > unit.Once {
			return fmt.Errorf("record of %q is of no unit that this program knows", name)
		}
	}
	return nil
}

// An UpgradeAnswer is what a program says that was asked whether it understands a table.
type UpgradeAnswer struct {
	Version  string `json:"version"`
	Handover int    `json:"handover"`
}

// Answer is that of this program.
func Answer(version string) UpgradeAnswer { return UpgradeAnswer{version, handoverFormat} }

// checkFor bounds the answer of the new program.
const checkFor = 10 * time.Second

// Upgrade checks the program at path and begins to become it. It returns before that is done: api.Daemon says what came of it.
func (e *Engine) Upgrade(ctx context.Context, path string) (api.Upgrade, error) {
	program, err := openProgram(path)
	if err != nil {
		return api.Upgrade{}, refuse("refused", fmt.Sprintf("upgrade to %q: %v", path, err), "name the new stayd: stay upgrade --to PATH")
	}
	defer program.Close()
	var data []byte
	if err := e.do(ctx, func() { data, err = e.table() }); err != nil {
		return api.Upgrade{}, err
	}
	var answer UpgradeAnswer
	if err == nil {
		answer, err = askProgram(ctx, program, data)
	}
	if err != nil {
		return api.Upgrade{}, refuse("refused", fmt.Sprintf("upgrade to %q: %v", path, err), "nothing was changed; everything goes on as before")
	}
	var a api.Upgrade
	var refused error
	err = e.change(ctx, func() { a, refused = e.beginUpgrade(ctx, program, answer.Version) })
	return a, first(err, refused)
}

// aboveAll is a descriptor that no child has for anything of its own: the program is executed by its number, after the child
// has got its files.
const aboveAll = 100

// openProgram opens the new program. Only the daemon's own user and root may have written it.
func openProgram(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path is not absolute")
	}
	low, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, aboveAll)
	unix.Close(low)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errors.New("it is not a regular file")
	case st.Mode&0o111 == 0:
		err = errors.New("it is not executable: chmod +x it")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		err = fmt.Errorf("it belongs to uid %d, who could change it: chown it to root, or to the daemon's own user", st.Uid)
	case st.Mode&0o002 != 0:
		err = errors.New("everybody can write to it: chmod o-w it")
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// table is a copy of what the next engine would read.
func (e *Engine) table() ([]byte, error) {
	frozen, err := spec.Encode(e.cfg)
	if err != nil {
		return nil, err
	}
	t := table{Format: handoverFormat, Config: mustJSON(string(frozen)), Agenda: e.agenda, Daemon: e.daemon, Units: map[string]json.RawMessage{}}
	for name, in := range e.insts {
		t.Units[name] = e.record(in)
	}
	return json.Marshal(t)
}

// askProgram runs the new program on a copy of the table.
func askProgram(ctx context.Context, program *os.File, data []byte) (answer UpgradeAnswer, err error) {
	fd, err := keeper.Memfd("table", data)
	if err != nil {
		return answer, err
	}
	copied := os.NewFile(uintptr(fd), "table")
	defer copied.Close()
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/"+strconv.Itoa(int(program.Fd())))
	cmd.Args = []string{"stayd", "check-upgrade"}
	cmd.ExtraFiles = []*os.File{copied} // descriptor 3
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{&out}, &limited{&complaint}
	err = cmd.Run()
	switch said := firstLine(strings.TrimPrefix(strings.TrimSpace(complaint.String()), "stay: ")); {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("it has not answered for %v", checkFor)
	case err != nil:
		return answer, fmt.Errorf("it does not take what runs: %s", cmp.Or(said, err.Error()))
	}
	if json.Unmarshal(out.Bytes(), &answer) != nil || answer.Version == "" {
		return answer, errors.New("it is no stayd, or one that is too old: it gave no answer")
	}
	if answer.Handover != handoverFormat {
		return answer, fmt.Errorf("its version, %s, takes over format %d, and this one hands over %d", answer.Version, answer.Handover, handoverFormat)
	}
	return answer, nil
}

// limited keeps the beginning of what a program says.
type limited struct{ to *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	const most = 4 << 10
	l.to.Write(p[:min(len(p), max(0, most-l.to.Len()))])
	return len(p), nil
}

// answersFirst is what the answer to the client gets before the engine ends.
const answersFirst = 50 * time.Millisecond

// beginUpgrade stores what is meant, and orders it as the last word.
func (e *Engine) beginUpgrade(ctx context.Context, program *os.File, version string) (api.Upgrade, error) {
	switch {
	case e.daemon.Mode != running:
		return api.Upgrade{}, errGoingDown()
	case e.daemon.Upgrade != nil && !e.daemon.Upgrade.Over:
		return api.Upgrade{}, refuse("conflict", "an upgrade is under way", "stay version")
	}
	fd, err := dupOf(program)
	if err != nil {
		return api.Upgrade{}, refuse("internal", err.Error(), "")
	}
	u := &upgradeRecord{ID: strconv.FormatInt(e.wall.UnixNano(), 36), From: e.o.Version, To: version, At: e.wall}
	e.daemon.Upgrade = u
	e.saveDaemon()
	e.daemonCommand("upgrade", "", api.CallerOf(ctx), "upgrade from "+u.From+" to "+u.To, nil)
	e.after(answersFirst, func() {
		e.link.lastWord(&keeper.Message{Kind: keeper.Upgrade, Name: u.ID}, fd)
		unix.Close(fd)
	})
	return u.shown(), nil
}

// notUpgraded goes on: the keeper is still what it was.
func (e *Engine) notUpgraded(a *keeper.About) {
	if a != nil {
		e.about.Upgrade = a.Upgrade
	}
	e.link.resume()
	e.endUpgrade()
}

// upgradeDied goes on with a keeper of the old program: the new one died before it had told this engine to leave.
func (e *Engine) upgradeDied() {
	if u := e.daemon.Upgrade; u != nil && !u.Over {
		e.about.Upgrade = keeper.Upgraded{ID: u.ID, Error: "the new program died before it had taken over; a keeper of the old one is in its place"}
		e.endUpgrade()
	}
}

// endUpgrade says what came of an upgrade: as a rule, by the next engine.
func (e *Engine) endUpgrade() {
	u := e.daemon.Upgrade
	if u == nil || u.Over {
		return
	}
	k := e.about.Upgrade
	u.Over = true
	switch {
	case k.ID != u.ID:
		u.Error = "the engine died before the keeper had the order"
	case k.Error != "":
		u.Error = k.Error
	default:
		u.Went = e.processes()
		u.GapMS = ms(max(0, e.now.Sub(unit.Time(k.Began))))
	}
	e.saveDaemon()
	text := fmt.Sprintf("upgraded from %s to %s; %d processes went on", u.From, u.To, u.Went)
	if u.Error != "" {
		text = fmt.Sprintf("the upgrade from %s to %s failed, everything goes on as before: %s", u.From, u.To, u.Error)
		e.log.Error("upgrade", "error", u.Error)
	}
	e.event(event{kind: "engine", text: text})
}

// processes counts the instances that have a process.
func (e *Engine) processes() (n int) {
	for _, in := range e.insts {
		if in.u.Pid != 0 {
			n++
		}
	}
	return n
}

// shown is the upgrade as clients see it.
func (u *upgradeRecord) shown() api.Upgrade {
	return api.Upgrade{ID: u.ID, From: u.From, To: u.To, At: u.At, Over: u.Over, GapMS: u.GapMS, Went: u.Went, Error: u.Error}
}
