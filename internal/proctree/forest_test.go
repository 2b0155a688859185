package proctree

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFindGroup(t *testing.T) {
	const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw
`
	const pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	tests := []struct {
		name, mounts, cgroup string
		want, fails          string
	}{
		{"hybrid", hybrid, "9:name=systemd:/\n4:memory:/m\n0::/\n", "/sys/fs/cgroup/unified", ""},
		{"hybrid, below", hybrid, "1:cpu:/x\n0::/a/b\n", "/sys/fs/cgroup/unified/a/b", ""},
		{"pure", pure, "0::/system.slice/stay.service\n", "/sys/fs/cgroup/system.slice/stay.service", ""},
		{"part of it mounted", strings.Replace(pure, "0:26 / ", "0:26 /box ", 1), "0::/box/in\n", "/sys/fs/cgroup/in", ""},
		{"other part mounted", strings.Replace(pure, "0:26 / ", "0:26 /box ", 1), "0::/boxer\n", "", "no cgroup2 mounted that shows the own group"},
		{"outside of the namespace", pure, "0::/../x\n", "", "no cgroup2 mounted that shows the own group"},
		{"blank in the path", strings.Replace(pure, "/sys/fs/cgroup ", `/my\040group\134 `, 1), "0::/a b\n", `/my group\/a b`, ""},
		{"version 1 only", hybrid[:strings.Index(hybrid, "41 ")], "4:memory:/m\n0::/\n", "", "no cgroup2 mounted that shows the own group"},
		{"none", "", "4:memory:/m\n", "", "no cgroup2 on this machine"},
		{"nonsense", "- cgroup2 \n1 2 - cgroup2 x\n\n", "0::/\n", "", "no cgroup2 mounted that shows the own group"},
		{"empty", "", "", "", "no cgroup2 on this machine"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := findGroup([]byte(test.mounts), []byte(test.cgroup))
			if test.fails != "" {
				if err == nil || err.Error() != test.fails {
					t.Errorf("got %q, %v; want %s", got, err, test.fails)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../x", "a b", "-x", "a\n", strings.Repeat("x", 300)} {
		if _, err := Open(Options{ID: name, NoCgroup: true}); err == nil {
			t.Errorf("forest %q was opened", name)
		}
	}
	if _, err := Open(Options{ID: "x", Leader: 1 << 23, NoCgroup: true}); err == nil {
		t.Error("a leader that is no thread of ours was taken")
	}
}

func TestPlantRefuses(t *testing.T) {
	f := openForest(t, false)
	for _, name := range []string{"", ".", "..", "a/b", "/a", "web 2", "web.2-g17\n"} {
		if _, err := f.Plant(name); err == nil {
			t.Errorf("tree %q was planted", name)
		}
	}
	for _, name := range []string{"web.2-g17", "web.2:check1-g17"} {
		if _, err := f.Plant(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Plant("web.2-g17"); err == nil || err.Error() != `plant "web.2-g17": there is such a tree` {
		t.Errorf("the same name again: %v", err)
	}
}

func TestWithoutGroups(t *testing.T) {
	f := openForest(t, false)
	if f.Kind() != "subreaper (cgroups are not wanted)" {
		t.Errorf("kind is %q", f.Kind())
	}
	tree, err := f.Plant("web-g1")
	if err != nil {
		t.Fatal(err)
	}
	if fd, ok := tree.CgroupFD(); ok || fd != -1 {
		t.Errorf("descriptor %d of no group", fd)
	}
	if !tree.Empty() || tree.Members() != nil || tree.Contains(os.Getpid()) || tree.Contains(1) {
		t.Error("a tree that was just planted has members")
	}
	if err := tree.SignalGroup(unix.SIGKILL); err != nil {
		t.Errorf("group of nobody: %v", err)
	}
	if err := tree.Kill(); err != nil {
		t.Errorf("kill of nobody: %v", err)
	}
	if f.Leftovers() != nil {
		t.Errorf("leftovers %v", f.Leftovers())
	}
	if f.Owner(os.Getpid()) != nil || f.Owner(1) != nil || f.Owner(0) != nil || f.Owner(1<<22+1) != nil {
		t.Error("a process of nobody has an owner")
	}
}

func TestGroups(t *testing.T) {
	f := openForest(t, true)
	if f.Kind() != "cgroup2 ("+string(f.base)+")" || !strings.HasSuffix(string(f.base), "/stay-"+testID()) {
		t.Errorf("kind is %q", f.Kind())
	}
	if err := os.Mkdir(string(f.base)+"/old-g3", 0o755); err != nil { // of an earlier daemon
		t.Fatal(err)
	}
	again, err := Open(Options{ID: testID()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(f.base) + "/old-g3"); !os.IsNotExist(err) || again.Leftovers() != nil {
		t.Errorf("an empty leftover stays: %v, %v", err, again.Leftovers())
	}
	if err := os.Remove(string(f.base)); err != nil { // somebody tidies up
		t.Fatal(err)
	}
	tree, err := f.Plant("web-g1")
	if err != nil {
		t.Fatal(err)
	}
	fd, ok := tree.CgroupFD()
	if !ok {
		t.Error("no descriptor of the group")
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %x, %v; want close-on-exec", flags, err)
	}
	unix.Close(fd)
	if !tree.Empty() {
		t.Error("a new group is not empty")
	}
	if err := tree.group.remove(); err != nil {
		t.Fatal(err)
	}
	if !tree.Empty() || tree.Kill() != nil || tree.Members() != nil {
		t.Error("a group that has gone has members")
	}
	if err := tree.Remove(); err != nil {
		t.Errorf("remove what has gone: %v", err)
	}
}

// What lived in the groups of an earlier daemon when the forest was opened may have ended by the time it is closed.
func TestCloseTakesOldGroups(t *testing.T) {
	f := openForest(t, true)
	if err := os.Mkdir(string(f.base)+"/old-g3", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(f.base)); !os.IsNotExist(err) {
		t.Errorf("the forest's group after Close: %v", err)
	}
}

// Who belongs to nobody is an orphan without an owner, and nobody touches it.
func TestStranger(t *testing.T) {
	f := openForest(t, false)
	p := plant(t, f, node{Nodes: []node{twice(hidden)}})
	orphans := f.Orphans()
	var stranger int
	for _, pid := range orphans {
		if alive(pid) {
			stranger = pid
		}
	}
	if stranger == 0 || f.Owner(stranger) != nil {
		t.Fatalf("orphans %v, of which %d is alive and has owner %v", orphans, stranger, f.Owner(stranger))
	}
	if slices.Contains(orphans, p.root.Pid) {
		t.Errorf("the main process %d is called an orphan", p.root.Pid)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tree is empty", func() bool { reap(p); return p.Empty() })
	if !alive(stranger) {
		t.Error("the stranger was killed")
	}
}

func BenchmarkEmpty(b *testing.B) {
	for _, cgroup := range []bool{false, true} {
		f, err := Open(Options{ID: testID(), NoCgroup: !cgroup})
		if err != nil {
			b.Fatal(err)
		}
		tree, err := f.Plant("bench-g1")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.Fields(f.Kind())[0], func(b *testing.B) {
			for b.Loop() {
				if !tree.Empty() {
					b.Fatal("not empty")
				}
			}
		})
		if err := tree.Remove(); err != nil {
			b.Error(err)
		}
		if err := f.Close(); err != nil {
			b.Error(err)
		}
	}
}
