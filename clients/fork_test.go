package clients

import (
	"fmt"
	"testing"
)

// TestFork: a child that was forked does nothing with the pulses of its parent, and starts its own.
func TestFork(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		if !l.forks {
			t.Skip("it does not fork without exec")
		}
		for _, how := range []string{"fork", "rawfork"} {
			if how == "rawfork" && l.name == "python" {
				continue // a fork behind the interpreter's back
			}
			t.Run(how, func(t *testing.T) {
				p := newPage(t, 31)
				d := drive(t, l, p.path)
				d.do("start 0 0 parent")
				d.do("start 1 0 parent too")
				d.do("note 0 of the parent")
				before := p.taken()
				for i := range 3 {
					name := fmt.Sprintf("child %d", i)
					child := d.do("%s 0 %s", how, name)
					if s := find(t, p, name); s.tid != uint32(child) || s.count != 2 || s.state != busy {
						t.Errorf("the child %d has %+v", child, s)
					}
				}
				for _, s := range before {
					if got := p.slot(s.index); got != s {
						t.Errorf("the child wrote: %+v, before %+v", got, s)
					}
				}
				d.do("beat 0")
				if s := find(t, p, "parent"); s.count != 2 {
					t.Errorf("the parent's beat after the fork: %+v", s)
				}
				d.do("start 2 0 after")
				d.end()
			})
		}
	})
}

// TestForkWithoutPage: a child of a program without a page does not crash either.
func TestForkWithoutPage(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		if !l.forks {
			t.Skip("it does not fork without exec")
		}
		d := drive(t, l, "-")
		d.ask("start 0 0 x")
		if answer := d.ask("fork 0 child"); answer[:2] != "no" {
			t.Errorf("the child's own pulse: %q", answer)
		}
		use(d, 0)
		d.end()
	})
}
