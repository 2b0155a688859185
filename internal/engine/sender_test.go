package engine

import (
	"os"
	"testing"

	"example.com/stay/internal/proctree"
)

func TestTreeIn(t *testing.T) {
	for _, c := range []struct {
		group, mark, instance string
		gen                   uint64
	}{
		{"web-g7", "", "web", 7},
		{"web.2-g17", "", "web.2", 17},
		{"a-good-g1", "", "a-good", 1},
		{"", "web/7", "web", 7},
		{"", "web.2/17", "web.2", 17},
		{"", "", "", 0},
		{"", "web", "", 0},
		{"", "/7", "", 0},
		{"", "web/", "", 0},
		{"", "web/-1", "", 0},
		{"", "web/x", "", 0},
		{"-g7", "", "", 0},
		{"web-gx", "", "", 0},
	} {
		instance, gen, found := treeIn(proctree.Trace{Live: true, Group: c.group, Mark: c.mark})
		if instance != c.instance || gen != c.gen || found != (c.instance != "") {
			t.Errorf("group %q, mark %q: %q, %d, %v", c.group, c.mark, instance, gen, found)
		}
	}
}

func TestTreeOfStranger(t *testing.T) {
	e := &Engine{o: Options{ID: "nobody-has-this-id"}}
	if instance, gen, found := e.treeOf(os.Getpid()); found {
		t.Errorf("this process is of %q, generation %d", instance, gen)
	}
	if e.treeMark("web.2", 7) != e.markPrefix()+"web.2/7" {
		t.Errorf("the mark is %q", e.treeMark("web.2", 7))
	}
}

func TestTracer(t *testing.T) {
	who := tracer{e: &Engine{o: Options{ID: "nobody-has-this-id"}}}
	me := who.trace(os.Getpid())
	if !me.Live || known(me) || len(me.Line) == 0 {
		t.Fatalf("of this process: %+v", me)
	}
	who.last.Mark = "web/7" // as if it had been found
	if again := who.trace(os.Getpid()); again.Mark != "web/7" {
		t.Errorf("looked at again: %+v", again)
	}
	if other := who.trace(os.Getppid()); other.Mark == "web/7" {
		t.Errorf("taken for another: %+v", other)
	}
	for _, pid := range []int{0, -1, 1 << 30} {
		if gone := who.trace(pid); gone.Live || !known(gone) {
			t.Errorf("%d: %+v", pid, gone)
		}
	}
}
