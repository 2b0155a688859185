package clients

import (
	"strings"
	"testing"
)

// TestSlot goes through everything a pulse can say.
func TestSlot(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		d := drive(t, l, p.path)
		begin := now()
		tid := d.do("start 1 250000000 the loop")
		s := p.only()
		want := slot{index: l.first, beat: s.beat, count: 1, limit: 250e6, state: busy, tid: uint32(tid), name: "the loop"}
		if s != want {
			t.Errorf("started: %+v, want %+v", s, want)
		}
		if tid != d.cmd.Process.Pid {
			t.Errorf("the main thread has tid %d, its process id is %d", tid, d.cmd.Process.Pid)
		}
		inTime(t, "start", s.beat, begin)

		begin = now()
		d.do("beat 1")
		s = p.only()
		inTime(t, "beat", s.beat, begin)
		for range 4 {
			d.do("beat 1")
		}
		if s = p.only(); s.count != 6 {
			t.Errorf("the start and five beats are counted as %d", s.count)
		}

		for _, step := range []struct {
			order string
			say   func(*slot)
			beats bool
		}{
			{"progress 1 18446744073709551615", func(s *slot) { s.progress = 1<<64 - 1 }, false},
			{"note 1 merging segment 41", func(s *slot) { s.note = "merging segment 41" }, false},
			{"note 1 ok", func(s *slot) { s.note = "ok" }, false},
			{"idle 1", func(s *slot) { s.state = idle }, true},
			{"progress 1 3", func(s *slot) { s.progress, s.state = 3, busy }, true},
			{"idle 1", func(s *slot) { s.state = idle }, true},
			{"busy 1", func(s *slot) { s.state = busy }, true},
			{"pause 1", func(s *slot) { s.state = paused }, false},
			{"progress 1 4", func(s *slot) { s.progress, s.state = 4, busy }, true},
			{"pause 1", func(s *slot) { s.state = paused }, false},
			{"resume 1", func(s *slot) { s.state = busy }, true},
		} {
			want, begin := s, now()
			d.do("%s", step.order)
			s = p.only()
			step.say(&want)
			if step.beats {
				inTime(t, step.order, s.beat, begin)
				want.beat, want.count = s.beat, want.count+1
			}
			if s != want {
				t.Errorf("%s: %+v, want %+v", step.order, s, want)
			}
		}
		d.do("close 1")
		if all := p.taken(); len(all) > 0 {
			t.Errorf("closed: %+v", all)
		}
		before := p.bytes()
		use(d, 1)
		if string(p.bytes()) != string(before) {
			t.Error("a closed pulse wrote into the page")
		}
		d.end()
	})
}

// use does everything with a pulse, and closes it.
func use(d *driver, key int) {
	d.t.Helper()
	for _, order := range []string{"beat", "progress", "note", "idle", "busy", "pause", "resume", "extend", "close", "close"} {
		d.do("%s %d 1000", order, key)
	}
}

// inTime holds a beat against the moments before and after it.
func inTime(t *testing.T, what string, beat uint64, begin int64) {
	t.Helper()
	if end := now(); int64(beat) < begin-coarse || int64(beat) > end {
		t.Errorf("%s: beat at %d, but it was between %d and %d", what, beat, begin, end)
	}
}

// TestExtend: the beat lies ahead, the next one does not.
func TestExtend(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		d := drive(t, l, p.path)
		d.do("start 0 0 x")
		begin := now()
		d.do("extend 0 20000000000")
		s := p.only()
		inTime(t, "extend", s.beat-20e9, begin)
		if s.count != 2 {
			t.Errorf("an extension is a beat: count is %d", s.count)
		}
		begin = now()
		d.do("beat 0")
		inTime(t, "beat after extend", p.only().beat, begin)
		d.do("extend 0 9000000000000000000")
		if beat := p.only().beat; int64(beat) <= now() {
			t.Errorf("an extension for ever leads to %d", int64(beat))
		}
	})
}

// TestText: names and notes are cut at a character.
func TestText(t *testing.T) {
	tests := []struct{ text, name, note string }{
		{"", "", ""},
		{"acceptor", "acceptor", "acceptor"},
		{"exactly-24-bytes-of-name", "exactly-24-bytes-of-name", "exactly-24-bytes-of-name"},
		{"exactly-24-bytes-of-name!", "exactly-24-bytes-of-name", "exactly-24-bytes-of-name!"},
		{"a" + strings.Repeat("ä", 40), "a" + strings.Repeat("ä", 11), "a" + strings.Repeat("ä", 31)},
		{strings.Repeat("€", 30), strings.Repeat("€", 8), strings.Repeat("€", 21)},
		{"xy" + strings.Repeat("😀", 30), "xy" + strings.Repeat("😀", 5), "xy" + strings.Repeat("😀", 15)},
		{strings.Repeat("x", 64), strings.Repeat("x", 24), strings.Repeat("x", 64)},
		{strings.Repeat("x", 200), strings.Repeat("x", 24), strings.Repeat("x", 64)},
	}
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		d := drive(t, l, p.path)
		for i, test := range tests {
			d.do("start 0 0 %s", test.text)
			if i == 0 {
				d.do("note 0 %s", strings.Repeat("old", 20))
			}
			d.do("note 0 %s", test.text)
			if s := p.only(); s.name != test.name || s.note != test.note {
				t.Errorf("%q: name %q, note %q", test.text, s.name, s.note)
			}
			d.do("close 0")
		}
	})
}

// TestFull: all slots can be had, each once; then there is none, until one is given back, which is as new.
func TestFull(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		d := drive(t, l, p.path)
		for i := range 31 {
			d.do("start %d 0 pulse-%d", i, i)
			d.do("note %d note-%d", i, i)
			d.do("progress %d %d", i, 100+i)
		}
		names := map[string]bool{}
		for _, s := range p.taken() {
			names[s.name] = true
		}
		if len(names) != 31 {
			t.Errorf("31 pulses have %d names in the page", len(names))
		}
		if answer := d.ask("start 31 0 too-many"); answer != "no every slot of the pulse page is taken: pulse.slots in the service's file gives more" {
			t.Errorf("a pulse too many: %q", answer)
		}
		use(d, 31)
		index := find(t, p, "pulse-13").index
		d.do("close 13")
		d.do("start 31 5 late")
		if s := p.slot(index); s.name != "late" || s.note != "" || s.progress != 0 || s.count != 1 || s.limit != 5 {
			t.Errorf("a slot that was used before: %+v", s)
		}
		if len(p.taken()) != 31 {
			t.Errorf("%d slots are taken", len(p.taken()))
		}
	})
}

// find looks for the slot of a name.
func find(t *testing.T, p *page, name string) slot {
	t.Helper()
	for _, s := range p.taken() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no slot has the name %q: %+v", name, p.taken())
	return slot{}
}

// TestOthersSlots: what is not free is not touched, whatever stands in it.
func TestOthersSlots(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		data := p.bytes()
		for i := range 31 {
			for k := range 128 {
				data[128*(1+i)+k] = byte(i*7 + k)
			}
			copy(data[128*(1+i)+24:], []byte{0, 0, 0, 0})
			if i%3 != 0 {
				data[128*(1+i)+24] = byte(i) // 1, 2, 4 and states that there are not
			}
		}
		write(t, p.path, data)
		d := drive(t, l, p.path)
		for i := range 11 {
			d.do("start %d 0 mine", i)
			d.do("beat %d", i)
		}
		d.ask("start 11 0 mine")
		after := p.bytes()
		for i := range 31 {
			if i%3 == 0 {
				if s := p.slot(i); s.name != "mine" || s.count != 2 || s.note != "" || s.progress != 0 || s.limit != 0 {
					t.Errorf("slot %d was free: %+v", i, s)
				}
			} else if string(after[128*(1+i):128*(2+i)]) != string(data[128*(1+i):128*(2+i)]) {
				t.Errorf("slot %d was not free, and was written", i)
			}
		}
		if string(after[:128]) != string(data[:128]) {
			t.Error("the header was written")
		}
	})
}

// TestManySlots: slots go on behind the first 4096 bytes, and one is enough.
func TestManySlots(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		for _, slots := range []int{1, 2, 60} {
			p := newPage(t, slots)
			d := drive(t, l, p.path)
			for i := range slots {
				d.do("start %d 0 pulse-%d", i, i)
			}
			if answer := d.ask("start 63 0 x"); !strings.HasPrefix(answer, "no every slot") {
				t.Errorf("%d slots, and one more: %q", slots, answer)
			}
			if got := len(p.taken()); got != slots {
				t.Errorf("%d slots of %d are taken", got, slots)
			}
		}
	})
}

// TestTask: a pulse that no thread stands for.
func TestTask(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		if !l.threads {
			t.Skip("its only pulses without a thread are those of worker threads")
		}
		p := newPage(t, 31)
		d := drive(t, l, p.path)
		d.do("task 0 one of many")
		if s := p.only(); s.tid != 0 || s.state != busy || s.name != "one of many" {
			t.Errorf("a task: %+v", s)
		}
	})
}
