package judge

import (
	"slices"
	"time"

	"example.com/stay/internal/unit"
)

// A brake is a bucket of tokens, one for each verdict, and the queue of those who wait for one. As many tokens as come back
// in a minute are saved at most. Who is k-th in the queue may take one as soon as there are more than k: so a watch that
// does not take its token keeps nobody but itself waiting.
type brake struct {
	off    bool
	size   int
	period unit.Time // until one token comes back
	empty  unit.Time // when there was none, if tokens had only come back since
	queue  []*Watch  // by ticket
	ticket uint64    // the last one given
}

// set changes the rate. What had been saved up stays, as far as it fits.
func (b *brake) set(perMinute, instances int, now unit.Time) {
	size := perMinute
	if size == 0 {
		size = max(5, instances/10)
	}
	b.off = size < 0
	size = max(1, size)
	saved := size
	if b.size > 0 {
		saved = min(size, b.tokens(now)+max(0, size-b.size))
	}
	b.size, b.period = size, max(1, unit.Time(time.Minute)/unit.Time(size))
	b.empty = now - unit.Time(saved)*b.period
}

// tokens is how many there are at now.
func (b *brake) tokens(now unit.Time) int {
	return int(min(max(0, now-b.empty)/b.period, unit.Time(b.size)))
}

// place is the place of w in the queue, or the one that it would get.
func (b *brake) place(w *Watch) int {
	if w.ticket == 0 {
		return len(b.queue)
	}
	i, _ := slices.BinarySearchFunc(b.queue, w.ticket, func(q *Watch, t uint64) int {
		switch {
		case q.ticket < t:
			return -1
		case q.ticket > t:
			return 1
		}
		return 0
	})
	return i
}

// turn says whether w may take a token at now.
func (b *brake) turn(w *Watch, now unit.Time) bool {
	return b.off || b.place(w) < b.tokens(now)
}

// turnAt is when it will be the turn of w, if all before it take theirs.
func (b *brake) turnAt(w *Watch) unit.Time {
	return b.empty + unit.Time(b.place(w)+1)*b.period
}

// take takes a token for w, whose turn it is.
func (b *brake) take(w *Watch, now unit.Time) {
	b.leave(w)
	b.empty = max(b.empty, now-unit.Time(b.size)*b.period) + b.period
}

// back gives a token back that was taken for nothing.
func (b *brake) back() { b.empty -= b.period }

// enter puts w at the end of the queue, if it does not wait already, and says whether it did so.
func (b *brake) enter(w *Watch) bool {
	if w.ticket != 0 {
		return false
	}
	b.ticket++
	w.ticket = b.ticket
	b.queue = append(b.queue, w)
	return true
}

// leave takes w out of the queue.
func (b *brake) leave(w *Watch) {
	if w.ticket == 0 {
		return
	}
	i := b.place(w)
	b.queue = slices.Delete(b.queue, i, i+1)
	w.ticket = 0
}
