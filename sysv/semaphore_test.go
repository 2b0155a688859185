package sysv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func made(t *testing.T, value int) (Semaphore, Key) {
	t.Helper()
	key := freeKey(t)
	s, err := MakeSemaphore(key, value, 0o600)
	must(t, err)
	return s, key
}

func TestSemaphoreCounts(t *testing.T) {
	s, _ := made(t, 3)
	value := func(want int) {
		t.Helper()
		if got, err := s.Value(); err != nil || got != want {
			t.Errorf("value %d (%v), want %d", got, err, want)
		}
	}
	value(3)
	must(t, s.P(context.Background(), 2))
	value(1)
	if ok, err := s.TryP(2); ok || err != nil {
		t.Errorf("2 of 1 were taken: %v, %v", ok, err)
	}
	if ok, err := s.TryP(1); !ok || err != nil {
		t.Errorf("1 of 1 was not taken: %v, %v", ok, err)
	}
	must(t, s.V(3))
	value(3)
	must(t, s.SetValue(7))
	value(7)
	st, err := s.Stat()
	must(t, err)
	if st.Value != 7 || st.Count != 1 || st.Mode != 0o600 || st.Op.IsZero() || st.Change.IsZero() || st.Last == 0 {
		t.Errorf("stat %+v", st)
	}
}

func TestSemaphoreRefuses(t *testing.T) {
	s, key := made(t, 1)
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"P 0", s.P(context.Background(), 0), syscall.EINVAL},
		{"P -1", s.P(context.Background(), -1), syscall.EINVAL},
		{"P too much", s.P(context.Background(), Most+1), syscall.EINVAL},
		{"V 0", s.V(0), syscall.EINVAL},
		{"V too much", s.V(Most), syscall.ERANGE},
		{"set -1", s.SetValue(-1), syscall.ERANGE},
		{"create again", second(CreateSemaphore(key, 1, 0o600)), fs.ErrExist},
		{"make with too much", second(MakeSemaphore(key, Most+1, 0o600)), syscall.ERANGE},
		{"open nothing", second(OpenSemaphore(freeKey(t))), fs.ErrNotExist},
		{"open private", second(OpenSemaphore(Private)), fs.ErrNotExist},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	if v, _ := s.Value(); v != 1 {
		t.Errorf("value %d after refusals", v)
	}
	if got := second(OpenSemaphore(0x7fffff01)).Error(); got != "open semaphore 0x7fffff01: no such file or directory" {
		t.Errorf("message %q", got)
	}
}

func second[T any](_ T, err error) error { return err }

// waits says that n processes or threads wait in P.
func waits(t *testing.T, s Semaphore, n int) {
	t.Helper()
	until(t, "somebody to wait", func() bool {
		st, err := s.Stat()
		must(t, err)
		return st.Waiting == n
	})
}

func TestWaitingEnds(t *testing.T) {
	t.Run("by V", func(t *testing.T) {
		s, _ := made(t, 0)
		done := make(chan error)
		go func() { done <- s.P(context.Background(), 1) }()
		waits(t, s, 1)
		must(t, s.V(1))
		must(t, <-done)
	})
	t.Run("by cancelling", func(t *testing.T) {
		s, _ := made(t, 0)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.P(ctx, 1) }()
		waits(t, s, 1)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("by a deadline", func(t *testing.T) {
		s, _ := made(t, 0)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
		defer cancel()
		if err := s.P(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("before it began", func(t *testing.T) {
		s, _ := made(t, 1)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.P(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if v, _ := s.Value(); v != 1 {
			t.Error("it was taken all the same")
		}
	})
	t.Run("by removal", func(t *testing.T) {
		s, _ := made(t, 0)
		done := make(chan error)
		go func() { done <- s.P(context.Background(), 1) }()
		waits(t, s, 1)
		must(t, s.Remove())
		if err := <-done; !errors.Is(err, syscall.EIDRM) {
			t.Error(err)
		}
	})
}

// TestSignalsDoNotShow has a waiting thread interrupted: it goes on waiting.
func TestSignalsDoNotShow(t *testing.T) {
	s, _ := made(t, 0)
	done := make(chan error)
	tid := make(chan int)
	go func() {
		tid <- syscall.Gettid()
		done <- s.P(context.Background(), 1)
	}()
	thread := <-tid
	waits(t, s, 1)
	for range 20 {
		_, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(thread), uintptr(syscall.SIGURG))
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	waits(t, s, 1)
	select {
	case err := <-done:
		t.Fatalf("P came back: %v", err)
	default:
	}
	must(t, s.V(1))
	must(t, <-done)
}

// TestKilledHolder: whoever has the lock is killed, and the lock is free, whatever it is written in; the same the other way.
func TestKilledHolder(t *testing.T) {
	for _, holder := range []string{"C", "Go"} {
		t.Run(holder, func(t *testing.T) {
			s, key := made(t, 1)
			var cmd *exec.Cmd
			if holder == "C" {
				cmd = begin(t, peer(t, "hold", key.String()), "held")
			} else {
				cmd = begin(t, goRole(t, "hold", key), "held")
			}
			if ok, err := s.TryP(1); ok || err != nil {
				t.Fatalf("the lock is free while it is held: %v", err)
			}
			done := make(chan error)
			go func() { done <- s.P(context.Background(), 1) }()
			waits(t, s, 1)
			kill(cmd)
			must(t, <-done)
			must(t, s.V(1))
			if out := run(t, peer(t, "once", key.String())); out != "had\n" {
				t.Errorf("C wrote %q", out)
			}
		})
	}
}

// TestUndo: what a process did to a semaphore is taken back at its end, unless it was told otherwise.
func TestUndo(t *testing.T) {
	for role, want := range map[string]int{"produce": 8, "produce and take back": 3} {
		s, key := made(t, 3)
		run(t, goRole(t, role, key))
		if v, err := s.Value(); err != nil || v != want {
			t.Errorf("%s: value %d (%v), want %d", role, v, err, want)
		}
	}
}

const increments = 10000

// countRole adds to a number in shared memory, under the lock.
func countRole(key Key, rounds int) error {
	s, err := OpenSemaphore(key)
	if err != nil {
		return err
	}
	m, err := OpenMemory(key)
	if err != nil {
		return err
	}
	x, err := m.Attach()
	if err != nil {
		return err
	}
	defer x.Detach()
	for range rounds {
		if err := s.P(context.Background(), 1); err != nil {
			return err
		}
		binary.NativeEndian.PutUint64(x.Bytes(), binary.NativeEndian.Uint64(x.Bytes())+1)
		if err := s.V(1); err != nil {
			return err
		}
	}
	return nil
}

// TestExclusion has two C programs, two Go programs and this one add to one number.
func TestExclusion(t *testing.T) {
	s, key := made(t, 1)
	m, err := CreateMemory(key, 4096, 0o600)
	must(t, err)
	x, err := m.Attach()
	must(t, err)
	defer x.Detach()
	rounds := fmt.Sprint(increments)
	cmds := []*exec.Cmd{peer(t, "count", key.String(), rounds), peer(t, "count", key.String(), rounds),
		goRole(t, "count", key, rounds), goRole(t, "count", key, rounds)}
	for _, cmd := range cmds {
		must(t, cmd.Start())
	}
	must(t, countRole(key, increments))
	for _, cmd := range cmds {
		must(t, cmd.Wait())
	}
	if got, want := binary.NativeEndian.Uint64(x.Bytes()), uint64((1+len(cmds))*increments); got != want {
		t.Errorf("%d were counted, not %d: somebody was not excluded", got, want)
	}
	if v, err := s.Value(); err != nil || v != 1 {
		t.Errorf("value %d (%v) when all have ended", v, err)
	}
}

// TestMakersRace has many make the same semaphore at once, in Go and in C: one value, for all.
func TestMakersRace(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		key := freeKey(t)
		var inside, worst atomic.Int32
		var all sync.WaitGroup
		gate := make(chan struct{})
		for range 6 {
			all.Go(func() {
				<-gate
				s, err := MakeSemaphore(key, 1, 0o600)
				if err == nil {
					err = s.P(context.Background(), 1)
				}
				if err != nil {
					t.Error(err)
					return
				}
				worst.Store(max(worst.Load(), inside.Add(1)))
				inside.Add(-1)
				if err := s.V(1); err != nil {
					t.Error(err)
				}
			})
		}
		close(gate)
		all.Wait()
		s, err := OpenSemaphore(key)
		must(t, err)
		if v, err := s.Value(); v != 1 || err != nil || worst.Load() != 1 {
			t.Fatalf("value %d (%v), %d inside at once", v, err, worst.Load())
		}
		must(t, s.Remove())
	}
}

// TestMakersOfBothKinds is the same with processes. A C program that comes first sets the value, so it must come first or
// find it made: old programs race among themselves as they always did.
func TestMakersOfBothKinds(t *testing.T) {
	for range 10 {
		key := freeKey(t)
		cmds := []*exec.Cmd{peer(t, "init", key.String()), goRole(t, "init", key), goRole(t, "init", key), goRole(t, "init", key)}
		for _, cmd := range cmds {
			must(t, cmd.Start())
		}
		for _, cmd := range cmds {
			must(t, cmd.Wait())
		}
		s, err := OpenSemaphore(key)
		must(t, err)
		if v, err := s.Value(); v != 1 || err != nil {
			t.Fatalf("value %d (%v)", v, err)
		}
	}
}

// TestMakerDied: one that was made and never set is made again; one that a C program set is taken as it is.
func TestMakerDied(t *testing.T) {
	key := freeKey(t)
	run(t, peer(t, "abandon", key.String()))
	was, err := OpenSemaphore(key)
	must(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if s, err := MakeSemaphore(key, 1, 0o600); err != nil {
				t.Error(err)
			} else if s.ID == was.ID {
				t.Error("one that nobody ever set was handed out")
			}
		})
	}
	all.Wait()
	s, err := OpenSemaphore(key)
	must(t, err)
	if v, err := s.Value(); v != 1 || err != nil {
		t.Errorf("value %d (%v)", v, err)
	}
}

func TestSetByC(t *testing.T) {
	key := freeKey(t)
	run(t, peer(t, "setval", key.String()))
	was, err := OpenSemaphore(key)
	must(t, err)
	if s, err := MakeSemaphore(key, 5, 0o600); err != nil || s.ID != was.ID {
		t.Errorf("%v %v: it was made again", s, err)
	}
	if v, _ := was.Value(); v != 1 {
		t.Errorf("value %d: what C had set is lost", v)
	}
}

// TestSetToZero: a start value of 0 cannot be told by the value.
func TestSetToZero(t *testing.T) {
	s, key := made(t, 0)
	if again, err := MakeSemaphore(key, 0, 0o600); err != nil || again.ID != s.ID {
		t.Errorf("%v %v, want %v", again, err, s)
	}
}

func BenchmarkSemaphore(b *testing.B) {
	s, err := CreateSemaphore(Private, 1, 0o600)
	must(b, err)
	defer s.Remove()
	for b.Loop() {
		must(b, s.P(context.Background(), 1))
		must(b, s.V(1))
	}
}
