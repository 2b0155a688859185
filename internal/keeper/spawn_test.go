package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// TestSpawnFailures: each stage is named, nothing is left of the attempt, and other units are unaffected.
func TestSpawnFailures(t *testing.T) {
	r := start(t, config{Stubs: true})
	e := r.ready()
	other, _ := e.spawn("other", 1, "exec sleep 1000")
	write(t, filepath.Join(r.dir, "closed"), "", 0o600)
	write(t, filepath.Join(r.dir, "binary"), "\x00\x01\x02", 0o755)
	write(t, filepath.Join(r.dir, "lost"), "#!/no/such/interpreter\n", 0o755)
	for _, test := range []struct {
		unit  string
		path  string
		dir   string
		spawn func(*Spawn)
		stage string
		errno error
	}{
		{unit: "chdir", path: "/bin/true", dir: "/no/such/dir", stage: "chdir", errno: unix.ENOENT},
		{unit: "nodir", path: "/bin/true", dir: "/etc/passwd", stage: "chdir", errno: unix.ENOTDIR},
		{unit: "absent", path: "/no/such/program", stage: "exec", errno: unix.ENOENT},
		{unit: "closed", path: "closed", stage: "exec", errno: unix.EACCES},
		{unit: "binary", path: "binary", stage: "exec", errno: unix.ENOEXEC},
		{unit: "lost", path: "lost", stage: "exec", errno: unix.ENOENT},
		{unit: "big", path: "/bin/true", spawn: func(s *Spawn) { s.Exec.Env = []string{strings.Repeat("x", 4<<20)} }, stage: "exec", errno: unix.E2BIG},
		{unit: "nothing", spawn: func(s *Spawn) { s.Exec = nil }, stage: "order", errno: unix.EINVAL},
		{unit: "ready", path: "/bin/true", spawn: func(s *Spawn) { s.Ready = 2 }, stage: "readiness pipe", errno: unix.EBADF},
		{unit: "far", path: "/bin/true", spawn: func(s *Spawn) { s.Ready = 1 << 30 }, stage: "readiness pipe", errno: unix.EBADF},
		{unit: "stub", path: "/bin/true", stage: "tree", errno: unix.EDQUOT},
	} {
		t.Run(test.unit, func(t *testing.T) {
			base := openFiles(t, r.pid())
			s := e.shell("")
			if test.path != "" && !filepath.IsAbs(test.path) {
				test.path = filepath.Join(r.dir, test.path)
			}
			s.Exec.Path = test.path
			if test.dir != "" {
				s.Exec.Dir = test.dir
			}
			if test.spawn != nil {
				test.spawn(s)
			}
			e.order(&Message{Kind: SpawnOrder, Unit: test.unit, Gen: 1, Spawn: s})
			m := e.want(SpawnFailed, test.unit).m
			if m.Gen != 1 || m.Failure.Stage != test.stage || unix.Errno(m.Failure.Errno) != test.errno {
				t.Errorf("failed: %s, want %s: %v", dump(m), test.stage, test.errno)
			}
			if row := e.list()[test.unit].m; row.State != NotBorn || !row.Empty || row.Pid != 0 || *row.Failure != *m.Failure {
				t.Errorf("row %s", dump(row))
			}
			r.until(fmt.Sprintf("%d open descriptors again", base), func() bool { return openFiles(t, r.pid()) <= base })
		})
	}
	if row := e.list()["other"].m; row.State != Alive || !alive(other) {
		t.Errorf("other: %s", dump(row))
	}
	e.order(&Message{Kind: SpawnOrder, Unit: "absent", Gen: 2, Spawn: e.shell("exit 0")}) // and it can be put right
	e.want(Spawned, "absent")
	e.want(Exited, "absent")
}

// stage is a Spawn through the exec stage.
func (e *engine) stage(p stagePlan) *Spawn {
	p.Exec = *e.shell("exit 6").Exec
	data, _ := json.Marshal(p)
	return &Spawn{UID: os.Geteuid(), GID: os.Getegid(), Stage: data}
}

func TestStage(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	base := openFiles(t, r.pid())
	run := func(gen uint64, p stagePlan) {
		e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: gen, Spawn: e.stage(p)})
	}
	failed := func(stage string, errno unix.Errno) {
		t.Helper()
		m := e.want(SpawnFailed, "web").m
		if m.Failure.Stage != stage || unix.Errno(m.Failure.Errno) != errno {
			t.Errorf("failed: %s", dump(m))
		}
	}
	run(1, stagePlan{Fail: &Failure{Stage: "chroot", Errno: int(unix.EPERM), Detail: "/jail"}})
	failed("chroot", unix.EPERM)
	run(2, stagePlan{Junk: "what is this"})
	failed("exec stage", unix.EPROTO)
	e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: 3, Spawn: &Spawn{UID: os.Geteuid(), GID: os.Getegid(), Stage: json.RawMessage(`[]`)}})
	e.want(Spawned, "web") // it said nothing, as one that has become the program
	if x := e.want(Exited, "web").m; unix.WaitStatus(x.Exit.Status).ExitStatus() != 3 {
		t.Errorf("exited: %s", dump(x))
	}
	run(4, stagePlan{Die: true})
	e.want(Spawned, "web")
	if x := e.want(Exited, "web").m; unix.WaitStatus(x.Exit.Status).Signal() != unix.SIGKILL {
		t.Errorf("exited: %s", dump(x))
	}
	run(5, stagePlan{})
	got := e.want(Spawned, "web")
	CloseAll(got.fds)
	if x := e.want(Exited, "web").m; unix.WaitStatus(x.Exit.Status).ExitStatus() != 6 {
		t.Errorf("exited: %s", dump(x))
	}
	e.send(&Message{Kind: Drop, Unit: "web", Name: LogPipe})
	e.settled()
	if n := openFiles(t, r.pid()); n > base+2 { // the poller of the runtime has come
		t.Errorf("%d descriptors, then %d", base, n)
	}
}

// TestManySlowStages: stages that cannot get on cost no thread, and nobody else waits for them.
func TestManySlowStages(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	const n = 30
	for i := range n {
		e.order(&Message{Kind: SpawnOrder, Unit: fmt.Sprint("slow", i), Gen: 1, Spawn: e.stage(stagePlan{Gate: filepath.Join(r.dir, "gate")})})
	}
	e.spawn("web", 1, "exec sleep 1000")
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.pid()))
	if err != nil || len(entries) > threads+10 {
		t.Errorf("%d threads, %v", len(entries), err)
	}
	if row := e.list()["slow3"].m; row.State != InSpawn {
		t.Errorf("row %s", dump(row))
	}
	e.order(&Message{Kind: KillTree, Unit: "slow3", Gen: 1}) // in the exec stage
	e.want(Spawned, "slow3")
	if x := e.want(Exited, "slow3").m; unix.WaitStatus(x.Exit.Status).Signal() != unix.SIGKILL || !x.Empty {
		t.Errorf("exited: %s", dump(x))
	}
	for i := 1; i < n; i++ { // all have it open, or will have
		if _, err := gate.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	e.order(&Message{Kind: SignalTo, Unit: "slow4", Gen: 1, Signal: int(unix.SIGTERM), To: "main"})
	for i := range n {
		if i != 3 {
			e.order(&Message{Kind: KillTree, Unit: fmt.Sprint("slow", i), Gen: 1})
		}
	}
	ended := map[string]bool{}
	for len(ended) < n-1 {
		switch m := e.next().m; m.Kind {
		case Exited:
			ended[m.Unit] = true
		case Spawned, TreeEmpty: // slow4 may have ended of its SIGTERM before its KillTree came, which is then told again
		default:
			t.Fatalf("got %s", dump(m))
		}
	}
}

func TestKillTree(t *testing.T) {
	r := start(t, config{})
	e := r.ready()

	// Of a generation that was never spawned: it shall not be any more.
	e.order(&Message{Kind: KillTree, Unit: "never", Gen: 4})
	if m := e.want(TreeEmpty, "never").m; m.Gen != 4 {
		t.Errorf("empty: %s", dump(m))
	}
	e.order(&Message{Kind: SpawnOrder, Unit: "never", Gen: 4, Spawn: e.shell("true")})
	e.settled()
	if row := e.list()["never"].m; row.Gen != 4 || row.State != NoProcess || !row.Empty {
		t.Errorf("row %s", dump(row))
	}

	// Right after its Spawn, in one go.
	const n = 20
	for i := range n {
		unit := fmt.Sprint("q", i)
		e.send(&Message{Kind: SpawnOrder, Unit: unit, Gen: 1, Op: 1, Spawn: e.shell("exec sleep 1000")})
		e.send(&Message{Kind: KillTree, Unit: unit, Gen: 1, Op: 2})
	}
	for done := 0; done < n; {
		switch m := e.next().m; m.Kind {
		case SpawnFailed:
			if unix.Errno(m.Failure.Errno) != unix.ECANCELED {
				t.Errorf("failed: %s", dump(m))
			}
			done++
		case Exited:
			if !m.Empty {
				t.Errorf("exited: %s", dump(m))
			}
			done++
		case Spawned:
		default:
			t.Fatalf("got %s", dump(m))
		}
	}

	// Already ended: it is said again.
	e.spawn("web", 1, "exit 1")
	e.want(Exited, "web")
	for range 2 {
		e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
		e.want(Exited, "web")
		e.want(TreeEmpty, "web")
	}

	// An older one than the highest: nothing.
	pid, _ := e.spawn("web", 2, "exec sleep 1000")
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
	e.settled()
	if !alive(pid) {
		t.Error("a kill of generation 1 has hit generation 2")
	}

	// All of a tree that ignores everything else.
	e.spawn("tree", 1, "trap '' TERM; sleep 1000 & sleep 1000 & echo; wait; wait; sleep 1000")
	e.order(&Message{Kind: KillTree, Unit: "tree", Gen: 1})
	if x := e.want(Exited, "tree").m; !x.Empty {
		e.want(TreeEmpty, "tree")
	}
}

// TestKillInTheQueue: of a generation that waits for its turn to be made, nothing is made.
func TestKillInTheQueue(t *testing.T) {
	k := testKeeper(t)
	k.fork = func(string, []string, *syscall.ProcAttr) (int, error) { t.Error("it is made"); return 0, unix.EAGAIN }
	r := k.row("web")
	k.spawn(r, &Message{Gen: 1, Spawn: &Spawn{Exec: &Exec{Path: "/bin/true"}}}, nil)
	k.killTree(r, &Message{Gen: 1})
	if r.state != InSpawn || !r.live() {
		t.Errorf("before its turn: %+v", r)
	}
	if k.makeOne() {
		t.Error("there is more, it says")
	}
	if r.state != NotBorn || unix.Errno(r.fail.Errno) != unix.ECANCELED || !r.owed.failed || r.live() || len(k.trees.pending) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRefusing has a tree that is never said to be empty.
func TestRefusing(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	r := start(t, config{EmptyAt: gate})
	e := r.ready()
	pid, _ := e.spawn("web", 1, "exec sleep 1000")
	e.order(&Message{Kind: KillTree, Unit: "web", Gen: 1})
	e.want(Exited, "web")
	if m := e.want(Refusing, "web").m; len(m.Members) != 1 || m.Members[0].Pid != pid {
		t.Errorf("refusing: %s", dump(m))
	}
	write(t, gate, "", 0o600)
	e.want(TreeEmpty, "web")
}

// TestFloodDoesNotHideTrees: messages without end do not keep the keeper from looking at a tree that is to be empty.
func TestFloodDoesNotHideTrees(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	gate := fifo(t, r, "gate")
	e.spawn("web", 1, "exec 3<gate; (sh -c 'exec cat <&3' >/dev/null; exit) & exit 0")
	e.want(Exited, "web")
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for op := uint64(1); ; op++ {
			select {
			case <-stop:
				return
			default:
				_ = e.conn.Send(&Message{Kind: Note, Unit: "flood", Op: op})
			}
		}
	}()
	gate.Close()
	e.want(TreeEmpty, "web")
	close(stop)
	<-flooded
}

func TestSignals(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	_, log := e.spawn("web", 1, `trap 'echo usr1' USR1; trap 'echo usr2; exit 9' USR2; echo up; while :; do sleep 0.01; done`)
	readUntil(t, log, "up\n")
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 2, Signal: int(unix.SIGKILL), To: "main"}) // no such generation
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGUSR1), To: "main"})
	readUntil(t, log, "usr1\n")
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGSTOP), To: "tree"})
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGUSR2), To: "tree", Cont: true})
	if x := e.want(Exited, "web").m; unix.WaitStatus(x.Exit.Status).ExitStatus() != 9 {
		t.Errorf("exited: %s", dump(x))
	}
	e.order(&Message{Kind: SignalTo, Unit: "web", Gen: 1, Signal: int(unix.SIGTERM), To: "main"}) // nobody there
	e.settled()
}

func TestReadyPipe(t *testing.T) {
	r := start(t, config{})
	e := r.ready()
	for gen := uint64(1); gen <= 2; gen++ {
		for _, direct := range []bool{true, false} {
			unit := fmt.Sprint("web", direct)
			s := e.shell("echo yes >&7; sleep 1000 7>&-; exit")
			if !direct {
				data, _ := json.Marshal(stagePlan{Exec: *s.Exec})
				s.Exec, s.Stage = nil, data
			}
			if gen == 2 {
				e.order(&Message{Kind: KillTree, Unit: unit, Gen: 1})
				if x := e.want(Exited, unit).m; !x.Empty {
					e.want(TreeEmpty, unit)
				}
			}
			if s.Ready = 7; s.Exec == nil {
				s.Stage, _ = json.Marshal(stagePlan{Exec: *e.shell("echo yes >&7; sleep 1000 7>&-; exit").Exec})
			}
			e.order(&Message{Kind: SpawnOrder, Unit: unit, Gen: gen, Spawn: s})
			got := e.want(Spawned, unit)
			if len(got.fds) != 2 || got.m.Names[1] != fmt.Sprintf("ready/%d", gen) {
				t.Fatalf("spawned: %s", dump(got.m))
			}
			f := os.NewFile(uintptr(got.fds[1]), "ready")
			readUntil(t, f, "yes\n")
			f.Close()
			unix.Close(got.fds[0])
		}
	}
}
