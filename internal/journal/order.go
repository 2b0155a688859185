package journal

import (
	"fmt"

	"example.com/stay/api"
)

// leap is by how much numbers may grow from one event to the next: a line with a higher one is somebody else's, and would
// hide all that comes.
const leap = 1 << 40

// An Order puts events into order that come from several places, or more than once. The zero value begins with whatever
// comes first.
type Order struct {
	Last  uint64 // number of the last event that passed
	Again int    // events that were left out because they, or later ones, had passed
}

// Next says whether a is to be passed on, and which event, if any, before it.
func (o *Order) Next(a api.Event) (gap *api.Event, pass bool) {
	if a.Seq <= o.Last {
		o.Again++
		return nil, false
	}
	last := o.Last
	o.Last = a.Seq
	switch {
	case last == 0 || a.Seq == last+1 || a.Kind == api.KindGap:
		return nil, true
	case a.Kind == api.KindEngine && a.After != 0 && a.After <= last:
		return nil, true
	}
	n := a.Seq - last - 1
	return &api.Event{Seq: a.Seq - 1, Time: a.Time, MonoNS: a.MonoNS, Kind: api.KindGap, Missing: n, Message: GapText(n)}, true
}

// GapText says that n events are missing.
func GapText(n uint64) string {
	if n == 1 {
		return "1 event is missing here"
	}
	return fmt.Sprintf("%d events are missing here", n)
}

// A Reader makes events of lines.
type Reader struct {
	Order
	Bad int // lines that are no events
}

// Line takes the next line and calls emit with each event that comes of it.
func (r *Reader) Line(line []byte, emit func(api.Event) error) error {
	a, err := Decode(line)
	if err != nil || r.Last != 0 && a.Seq > r.Last+leap || r.Last == 0 && a.Seq > leap {
		if len(line) > 0 {
			r.Bad++
		}
		return nil
	}
	gap, pass := r.Next(a)
	if gap != nil {
		if err := emit(*gap); err != nil {
			return err
		}
	}
	if !pass {
		return nil
	}
	return emit(a)
}
