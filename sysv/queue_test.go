package sysv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func queueOf(t *testing.T) (Queue, Key) {
	t.Helper()
	key := freeKey(t)
	q, err := CreateQueue(key, 0o600)
	must(t, err)
	return q, key
}

func send(t *testing.T, q Queue, messages ...string) {
	t.Helper()
	for _, m := range messages {
		must(t, q.Send(context.Background(), int64(m[0]-'0'), []byte(m)))
	}
}

// TestTypes is the table of row "msgrcv" of msgop(2).
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  int64
		how  Take
		want string
	}{
		{"the first of all", 0, 0, "5a"},
		{"the first of a type", 3, 0, "3b"},
		{"the lowest type, up to 4", -4, 0, "2d"},
		{"the lowest type, up to 2", -2, 0, "2d"},
		{"anything but 5", 5, Except, "3b"},
		{"no such type", 9, 0, ""},
		{"nothing as low as 1", -1, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, _ := queueOf(t)
			send(t, q, "5a", "3b", "3c", "2d")
			buf := make([]byte, 100)
			typ, n, err := q.TryReceive(c.typ, buf, c.how)
			must(t, err)
			if c.want == "" {
				if n != -1 {
					t.Errorf("took %q", buf[:n])
				}
				return
			}
			if string(buf[:max(n, 0)]) != c.want || typ != int64(c.want[0]-'0') {
				t.Errorf("took %q of type %d, want %q", buf[:max(n, 0)], typ, c.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	q, _ := queueOf(t)
	send(t, q, "1 is longer than the buffer")
	buf := make([]byte, 4)
	if _, _, err := q.TryReceive(0, buf, 0); !errors.Is(err, syscall.E2BIG) {
		t.Fatalf("a long message: %v", err)
	}
	if _, n, err := q.TryReceive(0, buf, Cut); err != nil || string(buf[:n]) != "1 is" {
		t.Fatalf("cut: %q %v", buf, err)
	}
	if _, n, err := q.TryReceive(0, buf, 0); n != -1 || err != nil {
		t.Errorf("the rest came: %d %v", n, err)
	}
}

func TestEmptyMessage(t *testing.T) {
	q, _ := queueOf(t)
	must(t, q.Send(context.Background(), 7, nil))
	if typ, n, err := q.Receive(context.Background(), 0, nil, 0); typ != 7 || n != 0 || err != nil {
		t.Errorf("%d %d %v", typ, n, err)
	}
}

func TestQueueStat(t *testing.T) {
	q, key := queueOf(t)
	send(t, q, "1abc", "2de")
	st, err := q.Stat()
	must(t, err)
	if st.Key != key || st.Messages != 2 || st.Bytes != 7 || st.MaxBytes <= 0 || st.LastSender != os.Getpid() || st.LastReceiver != 0 ||
		st.Send.IsZero() || !st.Receive.IsZero() || st.Mode != 0o600 {
		t.Errorf("stat %+v", st)
	}
}

func TestQueueRefuses(t *testing.T) {
	q, key := queueOf(t)
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"create again", second(CreateQueue(key, 0o600)), fs.ErrExist},
		{"open nothing", second(OpenQueue(freeKey(t))), fs.ErrNotExist},
		{"open private", second(OpenQueue(Private)), fs.ErrNotExist},
		{"type 0", q.Send(context.Background(), 0, nil), syscall.EINVAL},
		{"type -1", second(q.TrySend(-1, nil)), syscall.EINVAL},
		{"a message above the limit", q.Send(context.Background(), 1, make([]byte, 64<<20)), syscall.EINVAL},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	if same, err := MakeQueue(key, 0o600); err != nil || same != q {
		t.Errorf("make: %v %v", same, err)
	}
}

func TestQueueWaiting(t *testing.T) {
	t.Run("for a message", func(t *testing.T) {
		q, _ := queueOf(t)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, ctx := range []context.Context{context.Background(), ctx} {
			done := make(chan error)
			go func() {
				_, _, err := q.Receive(ctx, 4, make([]byte, 9), 0)
				done <- err
			}()
			send(t, q, "3 is not it")
			select {
			case err := <-done:
				t.Fatalf("it came back: %v", err)
			default:
			}
			send(t, q, "4 is it")
			must(t, <-done)
		}
	})
	t.Run("until cancelled", func(t *testing.T) {
		q, _ := queueOf(t)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		if _, _, err := q.Receive(ctx, 0, nil, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("while it is full", func(t *testing.T) {
		q, _ := queueOf(t)
		data := []byte(strings.Repeat("x", 4000))
		sent := 0
		for {
			ok, err := q.TrySend(1, data)
			must(t, err)
			if !ok {
				break
			}
			sent++
		}
		if sent == 0 {
			t.Fatal("nothing went in")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		if err := q.Send(ctx, 1, data); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send to a full queue: %v", err)
		}
		done := make(chan error)
		go func() { done <- q.Send(context.Background(), 1, data) }()
		_, _, err := q.Receive(context.Background(), 0, make([]byte, len(data)), 0)
		must(t, err)
		must(t, <-done)
	})
	t.Run("until it is removed", func(t *testing.T) {
		q, _ := queueOf(t)
		done := make(chan error)
		go func() {
			_, _, err := q.Receive(context.Background(), 0, nil, 0)
			done <- err
		}()
		must(t, q.Remove())
		if err := <-done; !gone(err) {
			t.Error(err)
		}
	})
}

// TestQueueWithC sends both ways.
func TestQueueWithC(t *testing.T) {
	q, key := queueOf(t)
	run(t, peer(t, "send", key.String()))
	buf := make([]byte, 100)
	for _, want := range []string{"type 1", "type 2", "type 3"} { // sent 3, 2, 1
		typ, n, err := q.Receive(context.Background(), -9, buf, 0)
		must(t, err)
		if string(buf[:n]) != want || typ != int64(want[5]-'0') {
			t.Errorf("got %q of type %d, want %q", buf[:n], typ, want)
		}
	}
	must(t, q.Send(context.Background(), 42, []byte("from Go")))
	if got := run(t, peer(t, "receive", key.String())); got != "42 from Go\n" {
		t.Errorf("C received %q", got)
	}
}

func BenchmarkQueue(b *testing.B) {
	q, err := CreateQueue(Private, 0o600)
	must(b, err)
	defer q.Remove()
	data, buf := make([]byte, 64), make([]byte, 64)
	for b.Loop() {
		must(b, q.Send(context.Background(), 1, data))
		_, _, err := q.Receive(context.Background(), 0, buf, 0)
		must(b, err)
	}
}
