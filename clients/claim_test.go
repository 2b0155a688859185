package clients

import (
	"fmt"
	"testing"
)

// TestThreads: threads that claim at the same time get a slot each, with their own ids.
func TestThreads(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		if !l.threads {
			t.Skip("its threads name their slots: see TestWorkers")
		}
		const n = 24
		p := newPage(t, n)
		d := drive(t, l, p.path)
		d.do("threads %d", n)
		tids, names := map[uint32]bool{}, map[string]bool{}
		for _, s := range p.taken() {
			tids[s.tid], names[s.name] = true, true
			if s.tid == 0 || s.tid == uint32(d.cmd.Process.Pid) || s.count != 2 || s.state != busy {
				t.Errorf("a thread has %+v", s)
			}
		}
		if len(names) != n {
			t.Errorf("%d threads have %d names", n, len(names))
		}
		if len(tids) != n {
			t.Errorf("%d threads have %d ids", n, len(tids))
		}
	})
}

// A member is one pulse of a program among many.
type member struct {
	d     *driver
	key   int
	name  string
	beats int
}

// together lets several processes of each language claim, beat and leave at the same time, rounds times.
func together(t *testing.T, p *page, langs []*language, processes, pulses, rounds int) {
	t.Helper()
	var all []*member
	for _, l := range langs {
		for i := range processes {
			d := drive(t, l, p.path)
			for key := range pulses {
				all = append(all, &member{d: d, key: key, name: fmt.Sprintf("%s-%d-%d", l.name[:1], i, key)})
			}
		}
	}
	for round := range rounds {
		for i, m := range all {
			m.beats = 1 + (i*7+round)%5
		}
		for _, m := range all {
			m.d.say("start %d 0 %s", m.key, m.name)
			for range m.beats {
				m.d.say("beat %d", m.key)
			}
		}
		for _, m := range all {
			for range 1 + m.beats {
				if answer := m.d.line(); answer[:2] != "ok" {
					t.Errorf("round %d, %s: %q", round, m.name, answer)
				}
			}
		}
		shared(t, p, round, all)
		for _, m := range all {
			m.d.do("close %d", m.key)
		}
		if left := p.taken(); len(left) > 0 {
			t.Fatalf("round %d: slots that nobody gave back: %+v", round, left)
		}
	}
}

// shared sees to it that each pulse has a slot, and nobody else in it.
func shared(t *testing.T, p *page, round int, all []*member) {
	t.Helper()
	taken := p.taken()
	if len(taken) != len(all) {
		t.Errorf("round %d: %d pulses have %d slots", round, len(all), len(taken))
	}
	slots := map[string]slot{}
	for _, s := range taken {
		slots[s.name] = s
	}
	for _, m := range all {
		s := slots[m.name]
		if int(s.count) != 1+m.beats || s.state != busy || int(s.tid) != m.d.cmd.Process.Pid {
			t.Errorf("round %d: %s of process %d beat %d times: %+v", round, m.name, m.d.cmd.Process.Pid, m.beats, s)
		}
	}
}

// TestTogether: several processes of each language claim at once on one page.
func TestTogether(t *testing.T) {
	p := newPage(t, 31)
	together(t, p, []*language{languages[0], languages[3], languages[4], golang}, 3, 2, 25)
}

// TestTogetherFull: writers with compare-and-swap and writers with locks, on a page with as many slots as they are.
func TestTogetherFull(t *testing.T) {
	p := newPage(t, 24)
	together(t, p, []*language{languages[0], languages[3], golang}, 4, 2, 200)
}
