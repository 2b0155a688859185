package proctree

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestTrace: what a process shows, by what it did to hide it.
func TestTrace(t *testing.T) {
	both(t, func(t *testing.T, f *Forest) {
		grouped := f.base != ""
		for _, c := range []struct {
			name  string
			n     node
			shown bool // also without a group
		}{
			{"main process", node{}, true},
			{"child", node{Nodes: []node{{}}}, true},
			{"child without environment", node{Nodes: []node{{Bare: true}}}, true},
			{"main process that erased it", node{Erase: true}, false},
			{"orphan", leave(node{}), true},
			{"orphan that erased it", leave(node{Erase: true}), false},
			{"orphan that hides all", twice(hidden), false},
		} {
			p := plant(t, f, c.n)
			got := TraceOf(p.pids[0], testID(), "STAY_TREE=")
			_, mark, _ := strings.Cut(p.root.Mark, "=")
			switch {
			case !got.Live || got.Line[0] != p.pids[0]:
				t.Errorf("%s: %+v, want a live one of %d", c.name, got, p.pids[0])
			case grouped && (got.Group != p.name || got.Mark != ""):
				t.Errorf("%s: group %q, mark %q, want group %q", c.name, got.Group, got.Mark, p.name)
			case !grouped && (got.Group != "" || (got.Mark == mark) != c.shown || got.Mark != "" && got.Mark != mark):
				t.Errorf("%s: group %q, mark %q, want %q shown: %v", c.name, got.Group, got.Mark, mark, c.shown)
			}
			if visible := got.Out[0] == p.root.Out; visible != !strings.Contains(c.name, "hides") {
				t.Errorf("%s: stdout %v, the log pipe is %d", c.name, got.Out, p.root.Out)
			}
			if !strings.Contains(c.name, "hides") && !slices.Contains(got.Line, p.root.Pid) { // by descent, or as leader of the session
				t.Errorf("%s: line %v lacks the main process %d", c.name, got.Line, p.root.Pid)
			}
			if grouped || !strings.Contains(c.name, "hides") { // that one no tree knows, and only the end of the test ends it
				end(t, p)
			}
		}
	})
}

func TestTraceOfNobody(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", nodeArg, `{"Leave":true}`)
	told, err := os.CreateTemp(t.TempDir(), "told")
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	cmd.ExtraFiles = []*os.File{told}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	eventually(t, "it is a zombie", func() bool { return !alive(pid) })
	zombie := TraceOf(pid, "x", "STAY_TREE=")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for what, got := range map[string]Trace{"a zombie": zombie, "gone": TraceOf(pid, "x", "STAY_TREE="), "0": TraceOf(0, "x", "STAY_TREE="),
		"-1": TraceOf(-1, "x", "STAY_TREE=")} {
		if got.Live || got.Line != nil || got.Group != "" || got.Mark != "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	me := TraceOf(os.Getpid(), "nobody-has-this-id", "STAY_TREE=nobody-has-this-id/")
	if !me.Live || me.Group != "" || me.Mark != "" || me.Line[0] != os.Getpid() || !slices.Contains(me.Line, os.Getppid()) {
		t.Errorf("of nobody's tree: %+v", me)
	}
}

func BenchmarkTrace(b *testing.B) {
	for b.Loop() {
		TraceOf(os.Getpid(), "nobody", "STAY_TREE=nobody/")
	}
}
