package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEngineKilled: the next one is there within milliseconds, and knows all.
func TestEngineKilled(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	pid, _ := e.spawn("web", 1, "exec sleep 1000")
	begin := time.Now()
	e.die()
	e = r.engine()
	took := time.Since(begin)
	row := e.list()["web"]
	if row.m.State != Alive || row.m.Pid != pid || !alive(pid) || row.m.Exit != nil {
		t.Errorf("row %s", dump(row.m))
	}
	if took > time.Second { // 7 ms on a quiet machine, half of it the test binary's start
		t.Errorf("it took %v", took)
	}
	t.Logf("the next engine after %v", took)
}

// TestEngineHangsUp: an engine that closes its connection is of no use, and is replaced.
func TestEngineHangsUp(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.conn.Hangup()
	next := r.ready()
	if alive(e.own) || next.own == e.own {
		t.Error("the old engine lives")
	}
}

// TestConnectionOutlivesEngine: the test still has the dead engine's end, which is cut off.
func TestConnectionOutlivesEngine(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	e.die()
	next := r.ready()
	if err := e.conn.Send(&Message{Kind: SpawnOrder, Unit: "ghost", Gen: 1, Op: 1, Spawn: e.shell("true")}); err == nil {
		t.Error("a dead engine can send")
	}
	next.settled()
	if len(next.list()) != 0 {
		t.Error("and is obeyed")
	}
}

func TestSilentEngineIsReplaced(t *testing.T) {
	limits := Limits{Tick: 20 * time.Millisecond, Silence: 200 * time.Millisecond, Start: 400 * time.Millisecond}
	for _, test := range []struct {
		name   string
		hush   func(e *engine)
		ready  bool
		reason string
	}{
		{"stopped", func(e *engine) { close(e.mute); _ = unix.Kill(e.own, unix.SIGSTOP) }, true, "engine is silent"},
		{"says nothing", func(e *engine) { close(e.mute) }, true, "engine is silent"},
		{"never ready", func(e *engine) { close(e.mute) }, false, "engine is silent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config{Limits: limits})
			e := r.engine()
			if test.ready {
				e.send(&Message{Kind: Ready})
			}
			begin := time.Now()
			test.hush(e)
			r.accept()
			if took, limit := time.Since(begin), limits.Silence; took < limit || !test.ready && took < limits.Start {
				t.Errorf("replaced after %v already", took)
			}
			r.logged(test.reason)
			if alive(e.own) {
				t.Error("and it lives")
			}
		})
	}
}

// TestAnsweringEngineIsLeftAlone is the other side: ten limits pass.
func TestAnsweringEngineIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := start(t, config{Limits: Limits{Tick: 50 * time.Millisecond, Silence: 500 * time.Millisecond}})
	e := r.ready()
	pings := 0
	e.conn.Hangup() // a second connection, read by hand
	e = r.accept()
	_ = e.conn.Send(&Message{Kind: Hello, Version: Version})
	_ = e.conn.Send(&Message{Kind: Ready})
	for pings < 40 {
		m, fds, err := e.conn.Receive()
		CloseAll(fds)
		if err != nil {
			t.Fatalf("after %d pings: %v\n%s", pings, err, r.log)
		}
		if m.Kind == Ping {
			pings++
			_ = e.conn.Send(&Message{Kind: Ping})
		}
	}
	if strings.Contains(r.log.String(), "silent") {
		t.Errorf("log:\n%s", r.log)
	}
}

// TestTracedEngineIsNotSilent holds it with a debugger for some limits.
func TestTracedEngineIsNotSilent(t *testing.T) {
	t.Parallel()
	r := start(t, config{Limits: Limits{Tick: 20 * time.Millisecond, Silence: 200 * time.Millisecond}})
	e := r.ready()
	release := trace(t, e.own)
	close(e.mute)
	looked := time.NewTimer(10 * 200 * time.Millisecond) // nothing tells that nothing was done
	<-looked.C
	if !alive(e.own) || strings.Contains(r.log.String(), "silent") {
		t.Errorf("a traced engine was replaced:\n%s", r.log)
	}
	release()
	r.accept()
	r.logged("engine is silent")
}

// TestEngineThatDoesNotRead fills its connection. The keeper goes on with its children, and the next engine hears all.
func TestEngineThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := start(t, config{Limits: Limits{Tick: 20 * time.Millisecond, Silence: 2 * time.Second}})
	e := r.accept()
	_ = e.conn.Send(&Message{Kind: Hello, Version: Version})
	_ = e.conn.Send(&Message{Kind: Ready})
	record, _ := json.Marshal(strings.Repeat("x", 100<<10))
	const n = 100
	for i := range n { // 10 MB of rows: more than the socket holds
		_ = e.conn.Send(&Message{Kind: Note, Unit: fmt.Sprint("big", i), Op: 1, Record: record})
	}
	_ = e.conn.Send(&Message{Kind: List})
	_ = e.conn.Send(&Message{Kind: Fetch, Name: "exe"})
	touched := filepath.Join(r.dir, "touched")
	_ = e.conn.Send(&Message{Kind: SpawnOrder, Unit: "web", Gen: 1, Op: 1, Spawn: e.shell("echo >" + touched + "; exit 5")})
	r.until("the service of an engine that does not read", func() bool { _, err := os.Stat(touched); return err == nil })
	for alive(e.own) { // it says something all the time
		if e.conn.Send(&Message{Kind: Ping}) != nil {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	r.logged("engine is silent")
	next := r.ready()
	rows := next.list()
	if len(rows) != n+1 {
		t.Errorf("%d rows of %d", len(rows), n+1)
	}
	if row := rows["web"].m; row.State != Ended || unix.WaitStatus(row.Exit.Status).ExitStatus() != 5 {
		t.Errorf("row %s", dump(row))
	}
}

// TestSlowReaderHearsAll: a full connection is nothing bad in itself, and answers come when there is room.
func TestSlowReaderHearsAll(t *testing.T) {
	r := start(t, config{})
	e := r.accept()
	_ = e.conn.Send(&Message{Kind: Hello, Version: Version})
	record, _ := json.Marshal(strings.Repeat("x", 100<<10))
	const n = 100
	for i := range n {
		_ = e.conn.Send(&Message{Kind: Note, Unit: fmt.Sprint("big", i), Op: 1, Record: record})
	}
	_ = e.conn.Send(&Message{Kind: List})
	for range 3 {
		_ = e.conn.Send(&Message{Kind: Fetch, Name: "exe"})
	}
	_ = e.conn.Send(&Message{Kind: SpawnOrder, Unit: "web", Gen: 1, Op: 1, Spawn: e.shell("exit 5")})
	_ = e.conn.Send(&Message{Kind: Note, Unit: "last", Op: 1, Record: record})
	r.until("the connection to be full", func() bool { return unread(t, e.conn) > 0 })
	e.read()
	rows, held, listed, ended := 0, 0, 0, 0
	for rows < n || held < 3 || listed < 1 || ended < 1 {
		got := e.next()
		CloseAll(got.fds)
		switch got.m.Kind {
		case Row:
			rows++
		case Held:
			held++
		case Listed:
			listed++
		case Exited:
			ended++
		}
	}
}

// unread is the size of the next message in a connection.
func unread(t *testing.T, c *Conn) int {
	t.Helper()
	n, err := unix.IoctlGetInt(c.fd, unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestThreeDeathsMakeItFresh(t *testing.T) {
	r := start(t, config{})
	var starts []time.Time
	for i := range 4 {
		e := r.accept()
		starts = append(starts, time.Now())
		if fresh := strings.Contains(e.args, "--fresh"); fresh != (i == 3) {
			t.Errorf("engine %d has %q", i+1, e.args)
		}
		if i < 3 {
			e.die()
		} else {
			e.read()
			e.send(&Message{Kind: Hello, Version: Version})
			if m := e.want(Hello, "").m; !m.About.Fresh || m.About.Engines != 4 || m.About.Pid != r.pid() || m.Version != Version {
				t.Errorf("hello: %s", dump(m))
			}
			e.send(&Message{Kind: Ready})
			e.settled()
			e.die()
		}
	}
	for i, wait := range []time.Duration{10, 20, 40} {
		if d := starts[i+1].Sub(starts[i]); d < wait*time.Millisecond {
			t.Errorf("engine %d came %v after the one before", i+2, d)
		}
	}
	if e := r.engine(); strings.Contains(e.args, "--fresh") {
		t.Error("one that was ready is followed by a fresh one")
	}
	r.logged("starts fresh")
}

// TestHistory is the arithmetic of what comes after an engine's end.
func TestHistory(t *testing.T) {
	const ms = time.Millisecond
	type end struct {
		ran   bool
		lived time.Duration // after ready; negative: it was not
	}
	never, refused := end{true, -1}, end{false, -1}
	for _, test := range []struct {
		name   string
		ends   []end
		wants  []time.Duration
		deaths int
	}{
		{"dies before it is ready", []end{never, never, never, never, never, never, never, never, never},
			[]time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}, 9},
		{"refused by the kernel", []end{refused, refused, refused}, []time.Duration{10 * ms, 20 * ms, 40 * ms}, 0},
		{"served", []end{{true, time.Hour}, {true, time.Hour}, {true, time.Second}}, []time.Duration{0, 0, 0}, 0},
		{"again and again after ready", []end{{true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}},
			[]time.Duration{0, 0, 0, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 100 * ms, 100 * ms}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h history
			const now = int64(time.Hour) * 5
			for i, e := range test.ends {
				ready := int64(0)
				if e.lived >= 0 {
					ready = now - int64(e.lived)
				}
				if got := h.next(e.ran, ready, now); got != test.wants[i] {
					t.Errorf("after end %d: %v, want %v", i+1, got, test.wants[i])
				}
			}
			if h.deaths != test.deaths {
				t.Errorf("%d deaths", h.deaths)
			}
		})
	}
}

// TestHostileEngine: whatever it says, the keeper and the services live on.
func TestHostileEngine(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	pid, _ := e.spawn("web", 1, "exec sleep 1000")
	base := openFiles(t, r.pid())
	raw := func(data string, fds ...int) {
		t.Helper()
		if err := unix.Sendmsg(e.conn.fd, []byte(data), unix.UnixRights(fds...), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	many := make([]int, 200)
	for i := range many {
		many[i] = int(null.Fd())
	}
	raw(`{"k":"hold","n":"many"}`, many...)
	raw(`{"k":"ping"}`, many[:60]...)
	raw(`{"k":"no such kind"}`, many[:3]...)
	raw(`{"k":"hold"}`)
	raw(`{"k":"note","u":"`+strings.Repeat("u", 100<<10)+`","o":1}`, many[0])
	raw(`{"k":"kill","u":"web","g":18446744073709551615,"o":2}`)
	raw(`{"k":"spawn","u":"../../etc","g":1,"o":1,"sp":{}}`)
	raw(`{"k":"spawn","u":"bad","g":1,"o":1,"sp":{"exec":{"path":"/bin/true"},"uid":0,"gid":0,"ready":1000000000}}`)
	raw(`{"k":"spawn","u":"nul","g":1,"o":1,"sp":{"exec":{"path":"/bin/\u0000true","argv":[],"env":["a\u0000b"]},"uid":0,"gid":0}}`)
	raw(`{"k":"signal","u":"web","g":1,"o":3,"sg":-5,"to":"nobody"}`)
	raw(`{"k":"signal","u":"web","g":1,"o":4,"sg":999}`)
	raw(`{"k":"main","u":"web","g":1,"o":5,"p":-1}`)
	raw(`{"k":"main","u":"web","g":1,"o":6,"p":1}`)
	for range maxFetches + 5 {
		raw(`{"k":"acted"}`)
	}
	e.settled()
	if n := openFiles(t, r.pid()); n != base {
		t.Errorf("%d descriptors, then %d", base, n)
	}
	if row := e.list()["web"].m; row.State != Alive || row.Pid != pid || !alive(pid) {
		t.Errorf("row %s", dump(row))
	}
	for _, garbage := range []string{"garbage", `{"k":"memfd"}`, "[]", `{"k":5}`, ""} {
		raw(garbage, many[:5]...)
		e = r.ready()
		if row := e.list()["web"].m; row.State != Alive || row.Pid != pid || !alive(pid) {
			t.Errorf("after %q: row %s", garbage, dump(row))
		}
	}
}

func TestOrdersBeforeHelloAreRefused(t *testing.T) {
	r := start(t, config{})
	e := r.accept()
	e.read()
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 1, Spawn: e.shell("true")})
	e.send(&Message{Kind: Hello, Version: Version + 1})
	if m := e.want(Hello, "").m; m.Version != Version {
		t.Errorf("hello: %s", dump(m))
	}
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 2, Spawn: e.shell("true")})
	e.send(&Message{Kind: Hello, Version: Version})
	e.want(Hello, "")
	if rows := e.list(); len(rows) != 0 {
		t.Errorf("%d rows of an engine of another version", len(rows))
	}
	r.logged("speaks another version")
}
