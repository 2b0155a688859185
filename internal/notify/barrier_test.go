package notify

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReceiveBarrier: the barrier goes down when what came before it is through, whatever is wrong with it, and nothing
// that stands in the same message is heard.
func TestReceiveBarrier(t *testing.T) {
	for _, c := range []struct {
		name, text string
		files      int
	}{
		{"one descriptor", "BARRIER=1", 1},
		{"two descriptors", "BARRIER=1", 2},
		{"with a newline", "BARRIER=1\n", 1},
		{"not alone", "STATUS=no\nBARRIER=1\nSTOPPING=1", 1},
		{"with a store", "FDSTORE=1\nBARRIER=1", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "web")
			f, to := listenAt(t, path), address(t, path)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			send(t, to, "READY=1", nil)
			send(t, to, c.text, []int{int(w.Fd()), int(w.Fd())}[:c.files])
			w.Close()
			released := make(chan struct{})
			go func() {
				r.Read(make([]byte, 1))
				close(released)
			}()
			ended := make(chan error, 1)
			calls := 0
			go func() {
				ended <- receive(f, func(Message) {
					calls++
					select {
					case <-released:
						t.Error("the barrier went down before the message in front of it was through")
					default:
					}
				})
			}()
			<-released
			f.Close()
			if err := <-ended; err != nil || calls != 1 {
				t.Errorf("%d messages, %v; want the one before the barrier", calls, err)
			}
		})
	}
}

func TestReceiveBarrierWithoutDescriptor(t *testing.T) {
	got, to := socket(t)
	send(t, to, "BARRIER=1", nil)
	send(t, to, "READY=1", nil)
	if m := next(t, got); !m.Ready {
		t.Errorf("the message behind it: %+v", m)
	}
}
