package engine

import (
	"testing"

	"example.com/stay/internal/keeper"
)

// TestCutOff: an engine that was sent descriptors and got none leaves once, when there is room for them.
func TestCutOff(t *testing.T) {
	e := engineOf(t, aService("web", nil))
	e.requests, e.loop = make(chan func(), 2), make(chan struct{})
	defer close(e.loop)
	in := e.insts["web"]
	e.adoptFiles(in, nil, nil)
	if e.short {
		t.Fatal("nothing was cut off")
	}
	for range 2 {
		e.adoptFiles(in, []string{keeper.FileName(keeper.LogPipe, 1)}, nil)
	}
	(<-e.requests)()
	if e.makeWay != errNoRoom {
		t.Errorf("it leaves for %v", e.makeWay)
	}
	select {
	case <-e.requests:
		t.Error("it leaves twice")
	default:
	}
	if err := e.run(); err != errNoRoom {
		t.Errorf("the loop ended with %v", err)
	}
}
