package engine

import (
	"container/heap"
	"slices"
	"time"

	"example.com/stay/internal/unit"
)

// deadlines is a heap of instances by the moment at which something is due. There are two: one is kept in step with the
// units' deadlines, the other says when to read signs of life again.
type deadlines struct {
	list  []*inst
	at    func(*inst) unit.Time
	place func(*inst) *int // where an instance keeps its index; -1: it is not in the heap
}

func unitDeadlines() deadlines {
	return deadlines{at: func(in *inst) unit.Time { return in.u.Deadline }, place: func(in *inst) *int { return &in.heapIndex }}
}

func readings() deadlines {
	return deadlines{at: func(in *inst) unit.Time { return in.pulse.readAt }, place: func(in *inst) *int { return &in.pulse.heapIndex }}
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (d *deadlines) Len() int { return len(d.list) }

// Less orders by deadline, then by the graph, so that what is due together starts in order.
func (d *deadlines) Less(i, j int) bool {
	a, b := d.list[i], d.list[j]
	if x, y := d.at(a), d.at(b); x != y {
		return x < y
	}
	return a.svc.order < b.svc.order
}

// Swap swaps two entries.
func (d *deadlines) Swap(i, j int) {
	d.list[i], d.list[j] = d.list[j], d.list[i]
	*d.place(d.list[i]), *d.place(d.list[j]) = i, j
}

// Push appends an entry.
func (d *deadlines) Push(x any) {
	in := x.(*inst)
	*d.place(in) = len(d.list)
	d.list = append(d.list, in)
}

// Pop removes the last entry.
func (d *deadlines) Pop() any {
	in := d.list[len(d.list)-1]
	d.list = d.list[:len(d.list)-1]
	*d.place(in) = -1
	return in
}

// set puts the instance where its moment, which is t now, belongs; 0 takes it out.
func (d *deadlines) set(in *inst, t unit.Time) {
	i := *d.place(in)
	switch {
	case t == 0 && i >= 0:
		heap.Remove(d, i)
	case t == 0:
	case i >= 0:
		heap.Fix(d, i)
	default:
		heap.Push(d, in)
	}
}

// next is the earliest deadline, 0 if there is none.
func (d *deadlines) next() unit.Time {
	if len(d.list) == 0 {
		return 0
	}
	return d.at(d.list[0])
}

// arm sets the timer to the earliest moment at which something is due.
func (e *Engine) arm(t *time.Timer) {
	next := e.heap.next()
	for _, other := range []unit.Time{e.queueAt, e.lostNext(), e.readings.next(), e.timetables.next(), e.judge.NextTick(), e.keeperWatch.next()} {
		if other != 0 && (next == 0 || other < next) {
			next = other
		}
	}
	if next == 0 {
		t.Reset(time.Hour)
		return
	}
	now, _ := e.o.Now()
	t.Reset(max(0, next.Sub(now)))
}

// dueNow steps every unit whose deadline has come, and says whether any was. Crash restarts go through the bucket.
func (e *Engine) dueNow() bool {
	any := false
	for next := e.heap.next(); next != 0 && next <= e.now; next = e.heap.next() {
		any = true
		in := e.heap.list[0]
		heap.Pop(&e.heap)
		if in.u.Phase == unit.Backoff && in.svc.spec.Job == nil {
			e.enqueue(in)
			continue
		}
		if in.u.Phase == unit.Examining && !e.stands(in) {
			continue
		}
		e.stepDeadline(in)
	}
	any = e.dueTimes() || any
	e.readDue()
	return e.serveQueue() || any
}

// stepDeadline steps a deadline; a unit that did nothing about it is not asked again for the same one.
func (e *Engine) stepDeadline(in *inst) {
	e.step(in, unit.Event{Kind: unit.Deadline})
}

// enqueue puts a crash restart into the queue in front of the bucket.
func (e *Engine) enqueue(in *inst) {
	i, _ := slices.BinarySearchFunc(e.queue, in, func(a, b *inst) int {
		if a.svc.order != b.svc.order {
			return a.svc.order - b.svc.order
		}
		return a.number - b.number
	})
	in.queued = true
	e.queue = slices.Insert(e.queue, i, in)
}

func (e *Engine) unqueue(in *inst) {
	if !in.queued {
		return
	}
	in.queued = false
	if i := slices.Index(e.queue, in); i >= 0 {
		e.queue = slices.Delete(e.queue, i, i+1)
	}
}

// serveQueue restarts as many as the bucket has tokens for.
func (e *Engine) serveQueue() bool {
	e.queueAt = 0
	any := false
	for len(e.queue) > 0 {
		bucket, wait := e.bucket.Take(int64(e.now))
		if wait > 0 {
			e.queueAt = e.now.Add(wait)
			return any
		}
		e.bucket = bucket
		in := e.queue[0]
		e.queue = slices.Delete(e.queue, 0, 1)
		in.queued = false
		e.stepDeadline(in)
		any = true
	}
	return any
}
