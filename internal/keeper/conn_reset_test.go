package keeper

import (
	"errors"
	"io"
	"testing"
)

// TestLastWordsOfTheOtherSide: a process that dies with messages unread resets the connection (unix(7) does not say so,
// the kernel's unix_release_sock does). What it had sent has to be read all the same.
func TestLastWordsOfTheOtherSide(t *testing.T) {
	ours, fd, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs := NewConn(fd)
	for range 3 {
		if err := ours.Send(&Message{Kind: Ping}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(3) {
		if err := theirs.Send(&Message{Kind: Note, Unit: "web", Op: n + 1}); err != nil {
			t.Fatal(err)
		}
	}
	theirs.Close()
	for n := range uint64(3) {
		m, _, err := ours.Receive()
		if err != nil || m.Op != n+1 {
			t.Fatalf("message %d of 3: %+v, %v", n+1, m, err)
		}
	}
	if m, _, err := ours.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message: %+v, %v", m, err)
	}
}
