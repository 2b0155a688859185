package clients

import (
	"slices"
	"strings"
	"testing"
)

// TestWorkers: worker threads of Node.js name their slots.
func TestWorkers(t *testing.T) {
	argv := need(t, func() ([]string, error) { return interpreted("node", "testdata/workers.js") })
	p := newPage(t, 31)
	d := run(t, argv, p.path)
	var said []string
	for range 5 {
		said = append(said, d.line())
	}
	want := []string{"a null", "b null", "none a worker thread has to say which slot is its own: { slot: 1 }", "taken slot 5 of the pulse page is taken", "main null"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
	for _, want := range []slot{
		{index: 0, name: "main", state: busy, count: 1, tid: uint32(d.cmd.Process.Pid)},
		{index: 5, name: "a", state: busy, count: 2},
		{index: 6, name: "b", state: busy, count: 2},
	} {
		got := p.slot(want.index)
		got.beat = 0
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if len(p.taken()) != 3 {
		t.Errorf("taken: %+v", p.taken())
	}
	d.end()
}

// TestRaces: another writer in the middle of a claim without compare-and-swap, at every step of it.
func TestRaces(t *testing.T) {
	argv := need(t, func() ([]string, error) { return interpreted("node", "testdata/races.js") })
	p := newPage(t, 31)
	d := run(t, argv, p.path)
	cases := 0
	for {
		line := d.line()
		if strings.HasPrefix(line, "end ") {
			break
		}
		cases++
		if !strings.HasPrefix(line, "ok ") {
			t.Error(line)
		}
	}
	if cases < 8 {
		t.Errorf("only %d cases", cases)
	}
	d.end()
}

// TestNodeSlots: the numbers of slots that there are.
func TestNodeSlots(t *testing.T) {
	p := newPage(t, 31)
	d := drive(t, languages[4], p.path)
	for _, test := range []struct{ order, want string }{
		{"slot 0 31 x", "no the pulse page has no slot 31, only 0 to 30"},
		{"slot 0 30 x", "ok"},
		{"slot 1 30 x", "no slot 30 of the pulse page is taken"},
		{"slot 1 0 y", "ok"},
		{"start 2 0 z", "ok"},
	} {
		if answer := d.ask("%s", test.order); !strings.HasPrefix(answer, test.want) {
			t.Errorf("%s: %q, want %q", test.order, answer, test.want)
		}
	}
	if s := find(t, p, "z"); s.index != 15 {
		t.Errorf("a process that comes after the one with slot 0 has slot %d", s.index)
	}
	d.end()
}
