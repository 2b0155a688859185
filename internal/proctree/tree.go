package proctree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Root is the main process of a tree, and what its descendants inherit from it.
type Root struct {
	Pid   int    // it must have been started as leader of a session of its own
	Start uint64 // its StartTime
	Mark  string // the whole entry "STAY_TREE=…" of the environment it was started with; "": none
	Out   uint64 // inode of the pipe it was given as output; 0: none
}

// A Tree is all processes of one generation.
type Tree struct {
	forest  *Forest
	name    string
	group   group           // "": none
	loose   bool            // the main process is not in the group
	roots   []Root          // the main processes, the present one last
	ended   bool            // the present one has been reaped
	known   map[id]struct{} // by descent: seen to belong here
	adopted bool            // a process before this one was its keeper
}

// A Member is one live process of a tree.
type Member struct {
	Pid   int    `json:"pid"`
	Comm  string `json:"comm"`            // made printable
	State string `json:"state"`           // "S", "D", …: proc_pid_stat(5)
	Wchan string `json:"wchan,omitempty"` // where in the kernel it waits, if that may be known
}

// CgroupFD returns a descriptor of the tree's group, to be born in (SysProcAttr.CgroupFD). The caller closes it. ok is
// false if the tree has no group, or it cannot be opened.
func (t *Tree) CgroupFD() (fd int, ok bool) {
	if t.group == "" {
		return -1, false
	}
	fd, err := unix.Open(string(t.group), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return fd, err == nil
}

// Rooted tells the tree its main process, after the spawn; again when another process has become the main one. A main
// process that is not in the tree's group (it was not born there) makes it a tree by descent.
func (t *Tree) Rooted(r Root) {
	t.leaveMain()
	t.roots = append(t.roots, r)
	t.ended = r.Pid <= 0
	if t.group != "" && len(t.roots) == 1 && t.forest.inGroup(r.Pid) != t {
		p, err := readProc(r.Pid)
		t.loose = err == nil && p.start == r.Start && p.live() // a zombie has left its group
	}
}

func (t *Tree) byDescent() bool { return t.group == "" || t.loose }

// Ended tells the tree that its main process has been reaped: the pid means nothing any more.
func (t *Tree) Ended() {
	t.ended = true
	t.leaveMain()
}

// leaveMain has the present main process count among the orphans.
func (t *Tree) leaveMain() {
	if n := len(t.roots); n > 0 && t.forest.mains[t.roots[n-1].Pid] == t {
		delete(t.forest.mains, t.roots[n-1].Pid)
	}
}

// inSession says whether p is in the session that a main process made. The number of a session is free again when its
// last process has gone: a leader that is not our main process is somebody else's.
func (t *Tree) inSession(p *proc) bool {
	for _, r := range t.roots {
		if r.Pid <= 0 || p.session != r.Pid && p.pid != r.Pid || p.start < r.Start {
			continue
		}
		leader, err := readProc(r.Pid)
		if err != nil || leader.start == r.Start {
			return p.pid != r.Pid || p.start == r.Start
		}
	}
	return false
}

// find returns the live processes of the tree, parents before their children. What it finds by descent is remembered.
func (t *Tree) find() []*proc {
	var found []*proc
	seen := map[int]bool{t.forest.self: true}
	add := func(p *proc) {
		if !seen[p.pid] && p.live() {
			seen[p.pid] = true
			found = append(found, p)
		}
	}
	if !t.byDescent() {
		for _, pid := range t.group.processes() {
			if p, err := readProc(pid); err == nil {
				add(p)
			}
		}
		return found
	}
	_ = t.tops(func(p *proc) bool { add(p); return true }) // who is not seen now is seen by the next look
	for i := 0; i < len(found); i++ {
		t.known[found[i].id] = struct{}{}
		for _, pid := range children(found[i].pid) {
			if p, err := readProc(pid); err == nil {
				add(p)
			}
		}
	}
	return found
}

// tops calls each with the live processes from which the rest descends, until it returns false: the main processes, the
// orphans, and who is remembered. It forgets who has gone. An error means that there may be more.
func (t *Tree) tops(each func(*proc) bool) error {
	var unseen error
	look := func(i id, belongs func(*proc) bool) bool {
		p, err := readProc(i.pid)
		if err != nil && !gone(err) {
			unseen = err
		}
		ok := err == nil && p.live() && belongs(p)
		if !ok && i.start != 0 && unseen == nil {
			delete(t.known, i)
		}
		return !ok || each(p)
	}
	for _, r := range t.roots {
		if !look(id{r.Pid, r.Start}, func(p *proc) bool { return p.start == r.Start }) {
			return nil
		}
	}
	// Whoever ends now hands his children to us, at the end of the list: only a list that did not grow was complete.
	seen := map[int]bool{}
	for grown := true; grown; {
		grown = false
		list, err := t.candidates()
		if err != nil {
			return err
		}
		for _, pid := range list {
			if seen[pid] {
				continue
			}
			seen[pid], grown = true, true
			if !look(id{pid: pid}, func(p *proc) bool {
				owner, sure := t.forest.claim(p)
				if !sure {
					unseen = errUnsure
				}
				return owner == t
			}) {
				return nil
			}
		}
	}
	for k := range t.known {
		if !look(k, func(p *proc) bool { return p.start == k.start }) {
			return nil
		}
	}
	return unseen
}

var errUnsure = errors.New("an orphan shows no environment")

// candidates are the processes among which those are that have lost their parents. Those of an adopted tree were given to
// whoever is above the keeper that died, and so will be those that lose theirs from now on: they can be anybody's.
func (t *Tree) candidates() ([]int, error) {
	if t.adopted {
		return numbered("/proc"), nil
	}
	return t.forest.orphans()
}

// Members lists the live processes.
func (t *Tree) Members() []Member {
	var list []Member
	for _, p := range t.find() {
		where, err := readFile(procPath(p.pid, "wchan"), maxStat)
		if err != nil || string(where) == "0" {
			where = nil
		}
		list = append(list, Member{Pid: p.pid, Comm: printable(p.comm), State: string(p.state), Wchan: strings.TrimSpace(string(where))})
	}
	return list
}

// Empty says that no process of the tree lives. Zombies do not count. When the main process has ended, nothing is added to
// the tree from outside any more: a group in which nobody is goes at once, which is the cheapest way to ask.
func (t *Tree) Empty() bool {
	if !t.byDescent() {
		return t.ended && t.group.discard() || t.group.empty()
	}
	empty := true // all others descend from these
	err := t.tops(func(*proc) bool { empty = false; return false })
	return empty && err == nil
}

// Contains says whether a process, which may be a zombie, belongs to the tree.
func (t *Tree) Contains(pid int) bool {
	for range unsureLooks {
		if owner, sure := t.forest.owner(pid); sure || owner != nil {
			return owner == t
		}
		time.Sleep(unsurePause)
	}
	return false
}

// A process that is asked for by its pid right after its execve(2) gets this long to show its environment.
const (
	unsureLooks = 20
	unsurePause = time.Millisecond
)

// Remember notes who belongs to the tree now. To be called before a stop signal: when parents end, descent is lost.
func (t *Tree) Remember() {
	if t.byDescent() {
		t.find()
	}
}

// Signal sends sig to every member. Nobody there is no error; the first error does not keep it from the others.
func (t *Tree) Signal(sig unix.Signal) error {
	var errs []error
	for _, p := range t.find() {
		if err := t.send(p, sig); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (t *Tree) send(p *proc, sig unix.Signal) error {
	check := p.id.same
	if !t.byDescent() {
		check = func() bool { return t.forest.inGroup(p.pid) == t }
	}
	if err := send(p.pid, sig, check); err != nil {
		return fmt.Errorf("signal process %d of %q: %w", p.pid, t.name, err)
	}
	return nil
}

// SignalGroup sends sig to the process group of the main process. Once that is reaped it does nothing: the number may be
// another's.
func (t *Tree) SignalGroup(sig unix.Signal) error {
	if len(t.roots) == 0 || t.ended {
		return nil
	}
	pgid, err := unix.Getpgid(t.roots[len(t.roots)-1].Pid)
	if err != nil || pgid <= 1 || pgid == unix.Getpgrp() {
		return nil
	}
	if err := unix.Kill(-pgid, sig); err != nil && err != unix.ESRCH {
		return fmt.Errorf("signal group %d of %q: %w", pgid, t.name, err)
	}
	return nil
}

// maxRounds bounds one Kill of a tree that grows as fast as it is hunted.
const maxRounds = 100

// Kill sends SIGKILL to every member. Call it again until Empty: it does not wait, and what cannot die yet dies later.
func (t *Tree) Kill() error {
	if !t.byDescent() {
		err := t.group.kill()
		if err == nil || err == unix.ENODEV || t.group.empty() {
			return nil
		}
		return t.rounds(unix.SIGKILL) // before Linux 5.14
	}
	// First all are stopped, so that descent stays as it is while the rest is found: nobody forks with a signal pending.
	return errors.Join(t.rounds(unix.SIGSTOP), t.rounds(unix.SIGKILL))
}

// rounds signals each member once, until none is found that was not.
func (t *Tree) rounds(sig unix.Signal) error {
	var errs []error
	done := map[id]bool{}
	for range maxRounds {
		found := slices.DeleteFunc(t.find(), func(p *proc) bool { return done[p.id] })
		if len(found) == 0 {
			break
		}
		for _, p := range found {
			done[p.id] = true
			if err := t.send(p, sig); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Remove forgets the tree and removes its group, which must be empty.
func (t *Tree) Remove() error {
	if t.group != "" {
		if err := t.group.remove(); err != nil {
			return fmt.Errorf("remove group of %q: %w", t.name, err)
		}
	}
	if t.forest.trees[t.name] == t {
		delete(t.forest.trees, t.name)
	}
	return nil
}
