package proctree

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// both runs a test in each way of keeping trees.
func both(t *testing.T, test func(t *testing.T, f *Forest)) {
	t.Run("descent", func(t *testing.T) { test(t, openForest(t, false)) })
	t.Run("cgroup", func(t *testing.T) { test(t, openForest(t, true)) })
}

// leave wraps a node so that its parent ends at once: it becomes an orphan.
func leave(n node) node { return node{Leave: true, Nodes: []node{n}} }

// hidden does all it can.
var hidden = node{Setsid: true, Deaf: true, Mute: true, Erase: true}

// twice forks and makes a session two times, as a thorough daemon does.
func twice(n node) node {
	n.Setsid = true
	return node{Setsid: true, Deaf: true, Leave: true, Nodes: []node{n}}
}

func pidsOf(members []Member) []int {
	var list []int
	for _, m := range members {
		list = append(list, m.Pid)
	}
	slices.Sort(list)
	return list
}

func live(list []int) []int {
	var now []int
	for _, pid := range list {
		if alive(pid) {
			now = append(now, pid)
		}
	}
	slices.Sort(now)
	return now
}

// end kills a tree and waits until it is empty, as the keeper does.
func end(t *testing.T, p *planted, others ...*planted) {
	t.Helper()
	all := append([]*planted{p}, others...)
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	eventually(t, "the tree is empty", func() bool {
		reap(all...)
		if p.Empty() {
			return true
		}
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		return false
	})
	if left := live(p.pids); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	if m := p.Members(); len(m) > 0 {
		t.Errorf("an empty tree has members: %v", m)
	}
}

func TestKillWhole(t *testing.T) {
	tests := []struct {
		name   string
		main   node
		groups bool // only a group can find it
	}{
		{"alone", node{}, false},
		{"deaf", node{Deaf: true}, false},
		{"family", node{Nodes: []node{{Nodes: []node{{}, {}}}, {}}}, false},
		{"sessions", node{Nodes: []node{{Setsid: true, Nodes: []node{{Setsid: true}}}}}, false},
		{"hidden child", node{Nodes: []node{hidden}}, false},
		{"main gone", node{Leave: true, Nodes: []node{{}, {Deaf: true}}}, false},
		{"orphan of the session", node{Nodes: []node{leave(node{Mute: true, Erase: true})}}, false},
		{"orphan with the mark", node{Nodes: []node{leave(node{Setsid: true, Mute: true})}}, false},
		{"orphan with the pipe", node{Nodes: []node{leave(node{Setsid: true, Erase: true})}}, false},
		{"twice", node{Nodes: []node{twice(node{Deaf: true, Mute: true})}}, false},
		{"twice, erased", node{Nodes: []node{twice(node{Deaf: true, Erase: true})}}, false},
		{"orphan with hidden children", node{Nodes: []node{leave(node{Setsid: true, Mute: true, Nodes: []node{hidden}})}}, false},
		{"orphan that left nothing", node{Nodes: []node{twice(hidden)}}, true},
		{"main gone, twice", node{Leave: true, Nodes: []node{twice(node{Deaf: true})}}, false},
	}
	both(t, func(t *testing.T, f *Forest) {
		other := plant(t, f, node{Nodes: []node{{}, leave(node{Setsid: true})}})
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				if test.groups && f.base == "" {
					t.Skip("needs a cgroup2: nothing in /proc tells whose process it is")
				}
				p := plant(t, f, test.main)
				if test.main.Leave {
					eventually(t, "the main process has ended", func() bool { return slices.Contains(reap(p, other), p.root.Pid) })
				}
				if p.Empty() {
					t.Error("a tree with live processes is called empty")
				}
				want := live(p.pids)
				if got := pidsOf(p.Members()); !slices.Equal(got, want) {
					t.Errorf("members %v, want %v", got, want)
				}
				for _, pid := range want {
					if f.Owner(pid) != p.Tree || !p.Contains(pid) || other.Contains(pid) {
						t.Errorf("process %d has owner %v", pid, f.Owner(pid))
					}
				}
				end(t, p, other)
				if got := live(other.pids); len(got) != 3 {
					t.Fatalf("of another tree only %v are left", got)
				}
			})
		}
		end(t, other)
	})
}

// Descent is lost when parents end; what Remember saw is not.
func TestRemember(t *testing.T) {
	f := openForest(t, false)
	p := plant(t, f, node{Nodes: []node{{Nodes: []node{hidden}}}})
	p.Remember()
	if err := p.SignalGroup(unix.SIGTERM); err != nil { // main and its child obey
		t.Fatal(err)
	}
	eventually(t, "main and its child have ended and are reaped", func() bool {
		reap(p)
		return p.ended && len(live(p.pids)) == 1 && len(f.Orphans()) == 1
	})
	if p.Empty() {
		t.Error("the hidden process is forgotten")
	}
	if want := live(p.pids); !slices.Equal(pidsOf(p.Members()), want) || !slices.Equal(f.Orphans(), want) {
		t.Errorf("members %v, orphans %v, want %v", pidsOf(p.Members()), f.Orphans(), want)
	}
	if f.Owner(f.Orphans()[0]) != p.Tree {
		t.Error("the hidden process has another owner")
	}
	end(t, p)
	if len(p.known) != 0 {
		t.Errorf("an empty tree remembers %v", p.known)
	}
}

// A pid that was used again is neither a member nor killed.
func TestReusedPid(t *testing.T) {
	f := openForest(t, false)
	victim := plant(t, f, node{Setsid: true})
	tree, err := f.Plant("reused-g1")
	if err != nil {
		t.Fatal(err)
	}
	tree.Rooted(Root{Pid: victim.root.Pid, Start: victim.root.Start - 1})
	tree.known[id{victim.root.Pid, victim.root.Start - 2}] = struct{}{}
	if m := tree.Members(); len(m) > 0 || !tree.Empty() {
		t.Errorf("members %v", m)
	}
	for _, kill := range []func() error{tree.Kill, func() error { return tree.Signal(unix.SIGKILL) }} {
		if err := kill(); err != nil {
			t.Error(err)
		}
	}
	if err := send(victim.root.Pid, unix.SIGKILL, id{victim.root.Pid, 1}.same); err != nil {
		t.Error(err)
	}
	if !alive(victim.root.Pid) || f.Owner(victim.root.Pid) != victim.Tree {
		t.Error("somebody else's process was hit")
	}
	if err := tree.Remove(); err != nil {
		t.Error(err)
	}
	end(t, victim)
}

func TestSendSparesItself(t *testing.T) {
	for _, pid := range []int{os.Getpid(), 1, 0, -1} {
		asked := false
		if err := send(pid, unix.SIGKILL, func() bool { asked = true; return true }); err != nil || asked {
			t.Errorf("send to %d: %v, asked %v", pid, err, asked)
		}
	}
	if err := send(1<<22+1, unix.SIGKILL, func() bool { return true }); err != nil { // above any pid_max
		t.Errorf("nobody there: %v", err)
	}
}

func TestSignal(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		p := plant(t, f, node{Nodes: []node{{}, {Setsid: true}, {Setsid: true, Deaf: true}}})
		deaf := p.pids[2]
		if err := p.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all but the deaf have ended", func() bool { reap(p); return slices.Equal(live(p.pids), []int{deaf}) })
		if p.Empty() && f.base != "" {
			t.Error("the deaf one is not in the group")
		}
		end(t, p)
		if err := p.Signal(unix.SIGTERM); err != nil {
			t.Errorf("nobody there: %v", err)
		}
	})
}

func TestSignalGroup(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		p := plant(t, f, node{Nodes: []node{{}, {Setsid: true}}})
		outside := p.pids[1]
		p.Remember()
		if err := p.SignalGroup(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the group has ended", func() bool { reap(p); return p.ended && slices.Equal(live(p.pids), []int{outside}) })
		if err := p.SignalGroup(unix.SIGKILL); err != nil || !p.ended {
			t.Errorf("after the end of the main process: %v, ended %v", err, p.ended)
		}
		end(t, p)
	})
}

// Zombies do not count, reaped or not.
func TestEmptyBeforeReaping(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		p := plant(t, f, node{Leave: true})
		eventually(t, "the tree is empty", p.Empty)
		if m := p.Members(); len(m) > 0 {
			t.Errorf("members %v", m)
		}
		if _, err := StartTime(p.root.Pid); err != nil {
			t.Errorf("the zombie has gone: %v", err)
		}
		end(t, p)
	})
}

func TestMembers(t *testing.T) {
	f := openForest(t, false)
	p := plant(t, f, node{Comm: "a) R 1\n(\x1b[2J"})
	m := p.Members()
	if len(m) != 1 || m[0].Pid != p.root.Pid || m[0].State == "" {
		t.Fatalf("members %+v", m)
	}
	for _, r := range m[0].Comm {
		if r < ' ' {
			t.Errorf("name %q is not fit for a terminal", m[0].Comm)
		}
	}
	if start, err := StartTime(p.root.Pid); err != nil || start != p.root.Start {
		t.Errorf("start time %d, %v; want %d", start, err, p.root.Start)
	}
	end(t, p)
}

// Bounded: 2^7 processes, each in the moment of forking.
const bomb = `b() { if [ $1 -gt 0 ]; then b $(($1-1)) & b $(($1-1)) & fi; echo $1 >&3; exec 3>&-; exec sleep 1000; }; b 6`

func TestForkBomb(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		counter++
		tree, err := f.Plant("bomb-g" + strconv.Itoa(counter))
		if err != nil {
			t.Fatal(err)
		}
		p := &planted{Tree: tree}
		r := p.start(t, []string{"/bin/sh", "-c", bomb})
		defer r.Close()
		lines := bufio.NewScanner(r)
		for range 5 { // in the middle of it
			if !lines.Scan() {
				t.Fatal("the bomb does not go off")
			}
		}
		end(t, p)
		for lines.Scan() { // ends when nobody has the descriptor any more
		}
		reap(p)
		if left := children(os.Getpid()); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestAdopt(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		p := plant(t, f, node{Nodes: []node{{}, leave(node{Setsid: true})}})
		again, err := Open(Options{ID: testID(), NoCgroup: f.base == ""})
		if err != nil {
			t.Fatal(err)
		}
		if left := again.Leftovers(); f.base != "" && !slices.Equal(left, []string{p.name}) || f.base == "" && left != nil {
			t.Errorf("leftovers %v", left)
		}
		tree := again.Adopt(p.name, p.root)
		if got, want := pidsOf(tree.Members()), live(p.pids); !slices.Equal(got, want) {
			t.Errorf("members %v, want %v", got, want)
		}
		if left := again.Leftovers(); left != nil {
			t.Errorf("leftovers after adoption %v", left)
		}
		if err := again.Close(); err != nil {
			t.Errorf("close with processes in it: %v", err)
		}
		end(t, p)
		dead := again.Adopt(p.name, p.root)
		for end := time.Now().Add(10 * time.Second); !dead.Empty() && time.Now().Before(end); { // the last to die may still be in the group
			<-time.After(time.Millisecond)
		}
		if !dead.ended || !dead.Empty() {
			t.Error("a tree of a process that has gone is not empty")
		}
	})
}

func TestRemoveWaitsForEmpty(t *testing.T) {
	f := openForest(t, true)
	p := plant(t, f, node{})
	if err := p.Remove(); err == nil {
		t.Error("a group with a process in it was removed")
	}
	if err := os.MkdirAll(string(p.group)+"/made/by/service", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(string(p.group)+"/made/by/service/cgroup.procs", fmt.Appendln(nil, p.root.Pid), 0); err != nil {
		t.Fatal(err)
	}
	if !p.Contains(p.root.Pid) || !slices.Equal(pidsOf(p.Members()), []int{p.root.Pid}) || p.Empty() {
		t.Errorf("a process in a group of its own is lost: members %v", p.Members())
	}
	end(t, p)
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := f.Plant(p.name); err != nil {
		t.Errorf("the name is not free again: %v", err)
	}
}

// Before Linux 5.14 there is no cgroup.kill.
func TestKillGroupByPid(t *testing.T) {
	f := openForest(t, true)
	p := plant(t, f, node{Nodes: []node{twice(hidden), {}}})
	if err := p.rounds(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tree is empty", func() bool { reap(p); return p.Empty() })
	end(t, p)
}

// A main process that was not born in its group is found by descent.
func TestBornOutside(t *testing.T) {
	f := openForest(t, true)
	counter++
	tree, err := f.Plant("outside-g" + strconv.Itoa(counter))
	if err != nil {
		t.Fatal(err)
	}
	p := &planted{Tree: tree}
	tree.group, p.group = "", ""
	r := p.start(t, []string{"/bin/sleep", "1000"})
	r.Close()
	tree.roots = nil
	tree.group = group(string(f.base) + "/" + tree.name)
	tree.Rooted(p.root)
	if p.Empty() || !p.Contains(p.root.Pid) || !tree.loose {
		t.Error("the main process is lost")
	}
	end(t, p)
}
