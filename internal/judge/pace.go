package judge

import "time"

// A pace knows the shortest limit of all watches, on which the ticks of the engine depend.
type pace struct {
	watches  []*Watch
	shortest time.Duration // 0: nothing is timed
	holders  int           // how many watches have it
}

func (p *pace) enter(w *Watch) {
	w.index = len(p.watches)
	p.watches = append(p.watches, w)
}

func (p *pace) leave(w *Watch) {
	p.set(w, 0)
	last := len(p.watches) - 1
	p.watches[w.index] = p.watches[last]
	p.watches[w.index].index = w.index
	p.watches[last] = nil
	p.watches = p.watches[:last]
}

// set notes the shortest limit of w; 0: nothing of it is timed.
func (p *pace) set(w *Watch, d time.Duration) {
	old := w.shortest
	if old == d {
		return
	}
	w.shortest = d
	if old > 0 && old == p.shortest {
		p.holders--
	}
	switch {
	case d > 0 && (p.shortest == 0 || d < p.shortest):
		p.shortest, p.holders = d, 1
	case d > 0 && d == p.shortest:
		p.holders++
	}
	if p.holders == 0 {
		p.again()
	}
}

// again finds the shortest among all. It is needed when nobody has the one that was.
func (p *pace) again() {
	p.shortest, p.holders = 0, 0
	for _, w := range p.watches {
		switch {
		case w.shortest == 0:
		case p.shortest == 0 || w.shortest < p.shortest:
			p.shortest, p.holders = w.shortest, 1
		case w.shortest == p.shortest:
			p.holders++
		}
	}
}
