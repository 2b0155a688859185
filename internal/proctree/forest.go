package proctree

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Options say whose forest it is.
type Options struct {
	ID       string // short name of this daemon among others: its group is "stay-ID"
	Leader   int    // thread id of the first thread of this process, which must never fork; 0: this process's pid
	NoCgroup bool   // keep trees by descent also where there are groups
}

// A Forest is all trees of one daemon.
type Forest struct {
	base   group  // "": trees are kept by descent
	why    string // no base
	leader int
	self   int
	trees  map[string]*Tree
	mains  map[int]*Tree // main processes that are children of the first thread: of trees that Regrow returned

	puzzles map[id]time.Time // processes that show no environment, since when
}

// names are fit for a directory: "web.2-g17", "web.2:check1-g18".
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$`)

// Open finds out how trees can be kept. Groups of an earlier daemon of the same ID are removed if they are empty; see
// Leftovers. That no group can be made is no error: Kind tells why.
func Open(o Options) (*Forest, error) {
	if !names.MatchString(o.ID) {
		return nil, fmt.Errorf("open forest %q: want letters, digits, dot, dash and underscore", o.ID)
	}
	f := &Forest{leader: o.Leader, self: os.Getpid(), trees: map[string]*Tree{}, puzzles: map[id]time.Time{}}
	if f.leader == 0 {
		f.leader = f.self
	}
	if _, err := f.orphans(); err != nil {
		return nil, fmt.Errorf("open forest %q: children of thread %d: %w", o.ID, f.leader, err)
	}
	if o.NoCgroup {
		f.why = "cgroups are not wanted"
		return f, nil
	}
	base, err := makeBase(o.ID)
	if err != nil {
		f.why = err.Error()
		return f, nil
	}
	f.base = base
	f.Leftovers()
	return f, nil
}

// Kind says how trees are kept: "cgroup2 (DIRECTORY)", or "subreaper (why there is no group)".
func (f *Forest) Kind() string {
	if f.base != "" {
		return "cgroup2 (" + string(f.base) + ")"
	}
	return "subreaper (" + f.why + ")"
}

// Orphans lists the processes that lost their parent and were given to this process, zombies included, in the order in
// which they came.
func (f *Forest) Orphans() []int {
	list, _ := f.orphans() // the file of a thread that lives can be read
	return list
}

func (f *Forest) orphans() ([]int, error) {
	data, err := readFile(fmt.Sprintf("/proc/self/task/%d/children", f.leader), maxList)
	list := pids(data)
	if len(f.mains) > 0 {
		list = slices.DeleteFunc(list, func(pid int) bool { return f.mains[pid] != nil })
	}
	return list, err
}

// Plant prepares the tree of a new generation.
func (f *Forest) Plant(name string) (*Tree, error) {
	if !names.MatchString(name) {
		return nil, fmt.Errorf("plant %q: not a name for a tree", name)
	}
	if f.trees[name] != nil {
		return nil, fmt.Errorf("plant %q: there is such a tree", name)
	}
	t := &Tree{forest: f, name: name, known: map[id]struct{}{}}
	if f.base != "" {
		t.group = group(filepath.Join(string(f.base), name))
		err := os.Mkdir(string(t.group), 0o755)
		if os.IsNotExist(err) { // somebody has tidied up
			_ = os.Mkdir(string(f.base), 0o755)
			err = os.Mkdir(string(t.group), 0o755)
		}
		if os.IsExist(err) && t.group.empty() {
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("plant %q: %w", name, err)
		}
	}
	f.trees[name] = t
	return t, nil
}

// Adopt returns a tree that exists already, of an earlier process. A Root whose
// Pid is 0, or is another process by now, is only remembered by its mark and pipe.
func (f *Forest) Adopt(name string, r Root) *Tree {
	t := &Tree{forest: f, name: name, known: map[id]struct{}{}, adopted: true, group: f.existing(name)}
	f.trees[name] = t
	t.Rooted(r)
	if !(id{r.Pid, r.Start}).same() {
		t.Ended()
	}
	return t
}

// existing is the group of a tree that exists already, "" if there is none.
func (f *Forest) existing(name string) group {
	if f.base == "" || !names.MatchString(name) {
		return ""
	}
	g := group(filepath.Join(string(f.base), name))
	if _, err := os.Stat(string(g)); err != nil {
		return ""
	}
	return g
}

// Leftovers names the groups of this daemon's ID that belong to no tree and still have processes: generations that an
// earlier daemon left behind. Empty ones are removed on the way. By descent there are none.
func (f *Forest) Leftovers() []string {
	var left []string
	entries, _ := os.ReadDir(string(f.base)) // "" has none
	for _, e := range entries {
		if !e.IsDir() || f.trees[e.Name()] != nil {
			continue
		}
		g := group(filepath.Join(string(f.base), e.Name()))
		if !g.empty() || g.remove() != nil {
			left = append(left, e.Name())
		}
	}
	return left
}

// Close removes the daemon's group, unless there is still something in it. It touches no process.
func (f *Forest) Close() error {
	if f.base == "" {
		return nil
	}
	f.Leftovers() // the groups of an earlier daemon's generations, which have ended since
	err := unix.Rmdir(string(f.base))
	if err != nil && err != unix.ENOENT && err != unix.EBUSY && err != unix.ENOTEMPTY {
		return fmt.Errorf("remove group %q: %w", f.base, err)
	}
	return nil
}
