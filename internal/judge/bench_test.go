package judge

import (
	"fmt"
	"testing"
	"time"

	"example.com/stay/internal/unit"
)

// BenchmarkRead is one reading of an instance of which all beat.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 31, 310} {
		b.Run(fmt.Sprintf("slots=%d", n), func(b *testing.B) {
			slots := make([]Slot, n)
			for i := range slots {
				slots[i] = Slot{State: Busy, Index: i, Tid: i + 1}
			}
			now := start
			j := New(now)
			w := j.Watch(Rule{Pulse: limits(time.Second)}, now)
			w.Ready(now)
			w.Read(now, slots, "")
			b.ReportAllocs()
			for b.Loop() {
				now += 1000 * ms
				for i := range slots {
					slots[i].Beat = now
					slots[i].Count++
				}
				j.Tick(now)
				if w.Read(now, slots, "").Look != nil {
					b.Fatal("late")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/slot")
		})
	}
}

// BenchmarkPulses is what the judge does in one second of 10,000 instances with one pulse each, at a limit of 1 s.
func BenchmarkPulses(b *testing.B) {
	const n = 10000
	now := start
	j := New(now)
	watches := make([]*Watch, n)
	slots := make([]Slot, n)
	for i := range watches {
		watches[i] = j.Watch(Rule{Pulse: limits(time.Second)}, now)
		watches[i].Ready(now)
		slots[i] = Slot{State: Busy, Tid: i + 1}
	}
	for b.Loop() {
		for i, w := range watches {
			now += unit.Time(time.Second) / n
			if i%20 == 0 {
				j.Tick(now)
			}
			slots[i].Beat = now
			slots[i].Count++
			if w.Read(now, slots[i:i+1], "").Look != nil {
				b.Fatal("late")
			}
		}
	}
}

func TestAReadingOfWhoBeatsAllocatesNothing(t *testing.T) {
	g := newRig(t, Rule{Pulse: limits(time.Second)}).pulses(31)
	n := testing.AllocsPerRun(100, func() {
		g.now += 1000 * ms
		for i := range g.slots {
			g.beat(i)
		}
		g.j.Tick(g.now)
		g.w.Read(g.now, g.slots, "")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
