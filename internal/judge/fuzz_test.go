package judge

import (
	"testing"
	"time"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// A tape gives numbers from bytes, and zeros when they are used up.
type tape struct{ data []byte }

func (t *tape) next() byte {
	if len(t.data) == 0 {
		return 0
	}
	b := t.data[0]
	t.data = t.data[1:]
	return b
}

// number is small, or of any size.
func (t *tape) number() uint64 {
	b := t.next()
	if b < 200 {
		return uint64(b)
	}
	n := uint64(b)
	for range b % 8 {
		n = n<<8 | uint64(t.next())
	}
	return n
}

// moment is about now, or anywhere.
func (t *tape) moment(now unit.Time) unit.Time {
	if b := t.next(); b < 200 {
		return now + (unit.Time(b)-100)*20*ms
	}
	return unit.Time(t.number())
}

func (t *tape) slots(now unit.Time) []Slot {
	var list []Slot
	for range t.next() % 8 {
		list = append(list, Slot{Source: Source(t.next() % 6), Index: int(t.next() % 6), State: State(t.next() % 8), Beat: t.moment(now),
			Count: t.number(), Limit: time.Duration(t.number()) * time.Millisecond, Tid: int(t.next() % 3), Progress: t.number() % 4})
	}
	return list
}

func (t *tape) rule() Rule {
	r := Rule{Silence: time.Duration(t.next()%3) * time.Second, StartTimeout: time.Duration(t.next()%3) * time.Second}
	if b := t.next(); b%4 != 0 {
		p := limits(time.Duration(t.next()%20+1) * 100 * time.Millisecond)
		p.Required, p.Progress = b&8 != 0, time.Duration(b>>6)*time.Second
		p.PauseMax = time.Duration(b>>5&1) * 5 * time.Second
		if b&16 != 0 {
			p.Lost = spec.LostRestart
		}
		r.Pulse = p
	}
	return r
}

var states = []byte{'S', 'R', 'D', 't', 'T', 'Z', 0, 'S'}

func (t *tape) looks(refs []Ref) []Look {
	var list []Look
	for _, ref := range refs {
		b := t.next()
		if b == 1 {
			continue // an answer that is missing
		}
		list = append(list, Look{Source: ref.Source, Index: ref.Index, At: unit.Time(t.next()), Gone: b&128 != 0, State: states[b&7], Traced: b&8 != 0,
			Frozen: b&16 != 0, InLog: b&32 != 0, Tight: b&64 != 0, Waited: time.Duration(t.number()), Ran: time.Duration(t.number())})
	}
	return list
}

// FuzzJudge does anything in any order, with anything in the slots.
func FuzzJudge(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08 some text, which is as good as any other for the slots of a page\xff\xfe\xfd\xfc"))
	for seed := range byte(24) {
		data := make([]byte, 600)
		x := uint32(seed) + 1
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tp := &tape{data: data}
		now := start
		j := New(now)
		if tp.next()&1 != 0 {
			j.Lived(tp.moment(now))
		}
		watches := make([]*Watch, 3)
		asked := make([][]Ref, len(watches))
		for i := range watches {
			watches[i] = j.Watch(tp.rule(), now-unit.Time(tp.next())*ms)
		}
		for range 4000 {
			if len(tp.data) == 0 {
				break
			}
			now += unit.Time(tp.next()) * 10 * ms
			j.Tick(now)
			i := int(tp.next()) % len(watches)
			w := watches[i]
			what, silent := act(tp, j, w, &asked[i], now)
			valid(t, j, w, what, now, silent)
			if tp.next() == 0 {
				w.Close()
				asked[i] = nil
				watches[i] = j.Watch(tp.rule(), now)
			}
		}
		for _, w := range watches {
			w.Close()
		}
		if c := &j.crowd; c.live != 0 || len(c.late) != 0 || len(j.brake.queue) != 0 || j.NextTick() != 0 {
			t.Fatalf("all have gone, and there are %d live, %d late, %d waiting, a tick at %v", c.live, len(c.late), len(j.brake.queue), j.NextTick())
		}
	})
}

// act does one thing. Silent says that its answer is none of a reading.
func act(tp *tape, j *Judge, w *Watch, asked *[]Ref, now unit.Time) (what What, silent bool) {
	broken := ""
	op := tp.next()
	if op > 220 {
		broken = "short"
	}
	switch op % 16 {
	case 0:
		w.Ready(now)
		return what, true
	case 1:
		w.SetRule(tp.rule())
		return what, true
	case 2:
		w.SetWatchdog(now, time.Duration(tp.number())*time.Millisecond)
		return what, true
	case 3:
		return w.Trigger(now), true
	case 4:
		return w.Failed(now, "check", 3, "refused"), true
	case 5:
		w.Passed("check")
		return what, true
	case 6:
		j.SetBrake(int(tp.next()%20)-1, int(tp.next()))
		return what, true
	case 7, 8, 9:
		var stands bool
		stands, what = w.Confirm(now, tp.slots(now), broken)
		return what, stands
	case 10, 11, 12:
		what = w.Looked(now, tp.slots(now), broken, tp.looks(*asked))
	default:
		what = w.Read(now, tp.slots(now), broken)
	}
	*asked = what.Look
	return what, false
}

// valid checks what an answer promises, and that what is remembered fits together.
func valid(t *testing.T, j *Judge, w *Watch, what What, now unit.Time, silent bool) {
	t.Helper()
	if what.At != 0 && (what.At <= now || what.At%grid != 0 && what.Look == nil) {
		t.Fatalf("at %d: read again at %d", now, what.At)
	}
	if !silent && w.pending == nil && w.ready != 0 && w.rule.Pulse != nil && what.At == 0 {
		t.Fatalf("at %d: nobody reads again: %+v", now, what)
	}
	if v := what.Verdict; v != nil && (v.Kind >= kinds || v.Silence < 0 || v.Held < 0 || v.Late < 0 || v.Fine < 0 || w.pending != v) {
		t.Fatalf("verdict %+v", *v)
	}
	for _, n := range what.News {
		if n.Kind >= newsKinds {
			t.Fatalf("news %+v", n)
		}
	}
	if len(what.News) > maxNews || len(w.pulses) > 6*6 || len(j.stalls.list) > maxStalls || len(j.brake.queue) > 3 {
		t.Fatalf("%d news, %d pulses, %d stalls, %d waiting", len(what.News), len(w.pulses), len(j.stalls.list), len(j.brake.queue))
	}
	alive, late := 0, 0
	var shortest time.Duration
	for _, w := range j.pace.watches {
		alive += w.alive
		if w.shortest > 0 && (shortest == 0 || w.shortest < shortest) {
			shortest = w.shortest
		}
		for i := range w.pulses {
			if i > 0 && w.pulses[i-1].slot.key() >= w.pulses[i].slot.key() {
				t.Fatal("what is remembered is not in order")
			}
			if e := w.pulses[i].late; e != nil && e.crowd {
				late++
			}
		}
	}
	if alive != j.crowd.live || late != len(j.crowd.late) || shortest != j.pace.shortest {
		t.Fatalf("%d alive, %d late, shortest %v; the judge says %d, %d, %v", alive, late, shortest, j.crowd.live, len(j.crowd.late), j.pace.shortest)
	}
	w.Standings(now)
}
