package notify

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// drained waits until a Drained tells.
func drained(r *Receiver) <-chan struct{} {
	told := make(chan struct{})
	r.Drained(func() { close(told) })
	return told
}

func TestDrainedTellsWhenAllWasHeard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web")
	f, to := listenAt(t, path), address(t, path)
	for i := range 5 {
		send(t, to, "STATUS="+strconv.Itoa(i), nil)
	}
	r := NewReceiver(f)
	early := drained(r) // asked before Run reads
	heard := 0
	inside := make(chan (<-chan struct{}), 1)
	ended := make(chan error, 1)
	go func() {
		ended <- r.Run(func(Message, []int) {
			if heard++; heard == 3 {
				inside <- drained(r) // asked while a message is on its way
			}
		})
	}()
	<-early
	<-<-inside
	<-drained(r) // asked while it waits
	send(t, to, "STATUS=5", nil)
	<-drained(r)
	f.Close()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if heard != 6 {
		t.Errorf("%d messages were heard before the last answer, want 6", heard)
	}
}

// TestDrainedIsNotPutOffByAFlood: who sends faster than it is read has his turn too.
func TestDrainedIsNotPutOffByAFlood(t *testing.T) {
	d := drain{left: maxQueued}
	told := 0
	d.then = append(d.then, func() { told++ })
	for range maxQueued {
		if told != 0 {
			t.Fatal("told before all that may have been there was read")
		}
		d.passed()
	}
	if d.passed(); told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestDrainedTellsWhenNothingWillBeHeard(t *testing.T) {
	for name, spoil := range map[string]func(f *os.File, r *Receiver){
		"closed before Run": func(f *os.File, r *Receiver) { f.Close() },
		"closed meanwhile":  func(f *os.File, r *Receiver) { <-drained(r); f.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := listenAt(t, filepath.Join(t.TempDir(), "web"))
			r := NewReceiver(f)
			ended := make(chan error, 1)
			go func() { ended <- r.Run(func(Message, []int) {}) }()
			spoil(f, r)
			<-drained(r)
			<-ended
			<-drained(r)
		})
	}
}
