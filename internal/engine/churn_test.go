package engine

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// simulated is how long TestSimulatedChurn lets go by; STAY_TEST_HOURS says another number of hours.
const simulated = 4 * time.Hour

// A churn is an engine whose loop does not run, with clocks that the test moves, and services that start, end, hang and are
// stopped at random. The keeper reads what it is sent, and the test says what becomes of it.
type churn struct {
	*Engine
	t    *testing.T
	mono unit.Time
	dice *rand.Rand
}

func newChurn(t *testing.T, services int) *churn {
	t.Helper()
	conn, other, err := keeper.Pair()
	if err != nil {
		t.Fatal(err)
	}
	c := &churn{t: t, mono: 1e12, dice: rand.New(rand.NewPCG(1, 2))}
	c.Engine = newEngine(Options{Conn: conn, Log: slog.New(slog.DiscardHandler), MemoryDir: t.TempDir(),
		Now: func() (unit.Time, time.Time) { return c.mono, time.Unix(1e9, int64(c.mono)) }})
	close(c.loop) // what the edge posts is dropped: the test acts for it
	read, clerk := make(chan struct{}), make(chan struct{})
	go drainOrders(keeper.NewConn(other), read)
	go func() {
		defer close(clerk)
		for range c.clerk.queue {
		}
	}()
	t.Cleanup(func() {
		close(c.clerk.queue)
		conn.Close()
		<-read
		<-clerk
		unix.Close(other)
	})
	cfg := &spec.Config{}
	for i := range services {
		cfg.Services = append(cfg.Services, aService(fmt.Sprintf("s%03d", i), func(s *spec.Service) {
			s.Hang.Dump, s.Hang.DumpWait = 3, time.Second
			if i%3 == 0 && i > 0 {
				s.Needs, s.LostAfter = []string{"s000"}, 5*time.Second
			}
		}))
	}
	c.cfg, c.daemon = cfg, daemonRecord{Mode: running}
	c.events.start(0, 0)
	c.build(cfg)
	c.initGraph()
	for _, in := range c.insts {
		c.step(in, unit.Event{Kind: unit.Start})
	}
	c.batch()
	return c
}

// drainOrders reads what the engine sends, to the end of the connection.
func drainOrders(conn *keeper.Conn, done chan<- struct{}) {
	defer close(done)
	for {
		_, fds, err := conn.Receive()
		keeper.CloseAll(fds)
		if err != nil {
			return
		}
	}
}

// pass lets time go by in steps, at each of which something happens to some of the services.
func (c *churn) pass(d time.Duration) {
	const step = 50 * time.Millisecond
	for end := c.mono.Add(d); c.mono < end; {
		c.mono = c.mono.Add(step)
		c.tick()
		c.dueNow()
		for _, s := range c.services {
			for _, in := range s.insts {
				if c.dice.IntN(20) == 0 {
					c.happen(in)
				}
			}
		}
		c.batch()
	}
}

// happen does to one unit what may happen to it now.
func (c *churn) happen(in *inst) {
	gen, pid := in.u.Gen, int(in.u.Gen%30000)+100
	switch {
	case in.u.Phase == unit.Spawning:
		in.making = false
		c.step(in, unit.Event{Kind: unit.Spawned, Gen: gen, Pid: pid, At: c.mono})
	case in.u.Pid != 0 && c.dice.IntN(4) == 0:
		end := unit.End{Reason: unit.ExitCode, Code: c.dice.IntN(2), At: c.mono}
		c.step(in, unit.Event{Kind: unit.Exited, Gen: gen, Pid: in.u.Pid, Empty: c.dice.IntN(3) > 0, End: end})
	case in.u.HasProcess() && in.u.Pid == 0:
		c.step(in, unit.Event{Kind: unit.TreeEmpty, Gen: gen})
	case in.u.Phase == unit.Examining:
		c.step(in, unit.Event{Kind: unit.EvidenceTaken, Gen: gen})
	case c.dice.IntN(30) == 0:
		c.step(in, unit.Event{Kind: unit.Hung, Gen: gen})
	case c.dice.IntN(30) == 0:
		c.step(in, unit.Event{Kind: unit.Stop, Reason: unit.ByOperator})
	case in.u.Want == unit.Down:
		c.step(in, unit.Event{Kind: unit.Start})
	}
}

// inUse is what is in use after a collection, in bytes.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSimulatedChurn: an engine that has lived through much is no larger than one that has lived through a little.
func TestSimulatedChurn(t *testing.T) {
	long := simulated
	if text := os.Getenv("STAY_TEST_HOURS"); text != "" {
		hours, err := strconv.ParseFloat(text, 64)
		if err != nil || hours <= 0 {
			t.Fatalf("STAY_TEST_HOURS=%q is no number of hours", text)
		}
		long = time.Duration(hours * float64(time.Hour))
	}
	c := newChurn(t, 30)
	c.pass(long / 2) // all that is bounded is at its bound by then
	first, routines, events := inUse(), runtime.NumGoroutine(), c.events.next
	c.pass(long / 2)
	eventually(t, "the edge to be done", func() bool { return runtime.NumGoroutine() <= routines+30 })
	last := inUse()
	starts := uint64(0)
	for _, in := range c.insts {
		starts += in.u.Gen
	}
	t.Logf("%v: %d starts, %d events; heap %d KiB, then %d", long, starts, c.events.next, first>>10, last>>10)
	if starts < uint64(long/time.Minute)*30 || c.events.next < events+1000 {
		t.Fatalf("too little happens: %d starts, %d events", starts, c.events.next)
	}
	if last > first+first*3/10+512<<10 {
		t.Errorf("the heap grows: %d KiB, then %d", first>>10, last>>10)
	}
}
