package keeper

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An adopted is a Tree that was there before; it is empty when its test says so.
type adopted struct {
	name    string
	empty   bool
	members []Member
}

func (t *adopted) CgroupFD() (int, bool)                    { return -1, false }
func (t *adopted) Rooted(pid int, mark string, out uint64)  {}
func (t *adopted) Ended()                                   {}
func (t *adopted) Remember()                                {}
func (t *adopted) Contains(pid int) bool                    { return false }
func (t *adopted) Empty() bool                              { return t.empty }
func (t *adopted) Kill() error                              { return nil }
func (t *adopted) Signal(sig unix.Signal, group bool) error { return nil }
func (t *adopted) Members() []Member                        { return t.members }
func (t *adopted) Remove() error                            { return nil }

// oldForest has trees that were there before: those of the units in left are not empty.
type oldForest struct {
	left    map[string][]Member
	adopted []string
}

func (f *oldForest) Plant(name string) (Tree, error) { return &adopted{name: name, empty: true}, nil }
func (f *oldForest) Kind() string                    { return "test" }

func (f *oldForest) Adopt(name string, pid int, start uint64, mark string, out uint64) Tree {
	f.adopted = append(f.adopted, name)
	members, left := f.left[name]
	return &adopted{name: name, empty: !left, members: members}
}

// startTimeOf reads field 22 of proc_pid_stat(5).
func startTimeOf(pid int) uint64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndex(string(data), ") ")+2:]))
	start, _ := strconv.ParseUint(fields[19], 10, 64)
	return start
}

// aService is a process that has the write end of a pipe as its output, and that nobody reads.
func aService(t *testing.T) (pid int, out uint64) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	out = inode(int(r.Fd()))
	own, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(w.Fd())), os.O_RDWR, 0) // as stay does: never broken
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	cmd := exec.Command("sh", "-c", "echo here; exec sleep 300")
	cmd.Stdout = own
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("here\n"))
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "here\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid, out
}

// rescued is a keeper that begins with the rows.
func rescued(t *testing.T, f *oldForest, rows ...RowImage) *Keeper {
	t.Helper()
	k, err := newKeeper(Options{Forest: f, Log: slog.New(slog.DiscardHandler), StartTime: startTimeOf})
	if err != nil {
		t.Fatal(err)
	}
	k.rescue(&Image{Engines: 4, Daemon: json.RawMessage(`{"mode":"running"}`), Rows: rows})
	t.Cleanup(func() {
		for _, r := range k.rows {
			r.unfollow()
			for _, f := range r.files {
				unix.Close(f.fd)
			}
		}
		k.null.Close()
	})
	return k
}

// TestRescue: a process that is what its row says is followed, and its log pipe read again.
func TestRescue(t *testing.T) {
	pid, out := aService(t)
	f := &oldForest{left: map[string][]Member{"web-g3": nil}}
	k := rescued(t, f, RowImage{Unit: "web", Record: json.RawMessage(`{"a":1}`), Op: 9, Gen: 3, State: Alive, Main: pid, Start: startTimeOf(pid),
		Born: 5, Seen: 2, Mark: "STAY_TREE=x/web/3", Out: out, Killing: true, Files: []string{"log/3", "notify/0", "ready/3"}, Inodes: []uint64{out, 0, 12}})
	r := k.rows["web"]
	if r.state != Alive || r.empty || r.alien == nil || k.byPid[pid] != r || !r.live() || !r.killing || !k.trees.pending[r] {
		t.Errorf("row %+v", r)
	}
	if r.gen != 3 || r.op != 9 || r.seen != 2 || r.born != 5 || string(r.record) != `{"a":1}` || k.about.Engines != 4 || string(k.daemon) == "" {
		t.Errorf("row %+v", r)
	}
	if len(r.files) != 1 || r.files[0].name != LogPipe || r.files[0].gen != 3 || inode(r.files[0].fd) != out {
		t.Errorf("files %+v", r.files)
	}
	if got := f.adopted; !reflect.DeepEqual(got, []string{"web-g3"}) {
		t.Errorf("trees %v", got)
	}
}

// TestRescueOfOthers: where a row's process has closed its output, the pipe is found at another of its tree.
func TestRescueOfOthers(t *testing.T) {
	pid, out := aService(t)
	f := &oldForest{left: map[string][]Member{"web-g3": {{Pid: os.Getpid()}, {Pid: pid}}}}
	k := rescued(t, f, RowImage{Unit: "web", Gen: 3, State: Ended, Exit: &Exit{Status: 256, At: 1}, Main: 4_000_000, Files: []string{"log/3"}, Inodes: []uint64{out}})
	if r := k.rows["web"]; r.state != Ended || r.empty || len(r.files) != 1 || inode(r.files[0].fd) != out || r.exit.Status != 256 {
		t.Errorf("row %+v", r)
	}
}

// TestRescueRefused: a row whose process has gone, or is another by now, ends; no process is followed, and none is touched.
func TestRescueRefused(t *testing.T) {
	pid, out := aService(t)
	start := startTimeOf(pid)
	for name, row := range map[string]RowImage{
		"another start time": {State: Alive, Main: pid, Start: start + 1},
		"no start time":      {State: Alive, Main: pid},
		"no such process":    {State: Alive, Main: maxPid, Start: start},
		"init":               {State: Alive, Main: 1, Start: startTimeOf(1)},
		"this process":       {State: Alive, Main: os.Getpid(), Start: startTimeOf(os.Getpid())},
		"no pid":             {State: Alive},
		"taken":              {State: Alive, Main: pid, Start: start}, // by the row before
	} {
		row.Unit, row.Gen, row.Out, row.Files, row.Inodes = "web", 3, out, []string{"log/3"}, []uint64{out}
		rows := []RowImage{row}
		if name == "taken" {
			rows = append([]RowImage{{Unit: "first", Gen: 1, State: Alive, Main: pid, Start: start}}, row)
		}
		k := rescued(t, &oldForest{left: map[string][]Member{"first-g1": nil}}, rows...)
		if r := k.rows["web"]; r.state != Ended || !r.lost || !r.empty || r.alien != nil || r.live() || k.byPid[pid] == r {
			t.Errorf("%s: row %+v", name, r)
		}
	}
	if unix.Kill(pid, 0) != nil {
		t.Error("the process was touched")
	}
}

// TestRescueWithoutProcess: rows that have no process stay what they are; one that was being made was not.
func TestRescueWithoutProcess(t *testing.T) {
	k := rescued(t, &oldForest{},
		RowImage{Unit: "making", Gen: 2, State: InSpawn},
		RowImage{Unit: "ended", Gen: 2, State: Ended, Empty: true, Exit: &Exit{Status: 9, At: 1}, Main: 77},
		RowImage{Unit: "emptied", Gen: 2, State: Ended, Exit: &Exit{Status: 9, At: 1}, Main: 77},
		RowImage{Unit: "failed", Gen: 2, State: NotBorn, Empty: true, Failure: &Failure{Stage: "exec", Errno: 2}},
		RowImage{Unit: "noted", Gen: 0, State: NoProcess, Empty: true})
	for unit, want := range map[string]State{"making": NotBorn, "ended": Ended, "emptied": Ended, "failed": NotBorn, "noted": NoProcess} {
		if r := k.rows[unit]; r.state != want || r.live() || !r.empty || r.lost {
			t.Errorf("%s: %+v", unit, r)
		}
	}
	if f := k.rows["making"].fail; f == nil || f.Stage != "fork" {
		t.Errorf("making failed at %+v", f)
	}
	if f := k.rows["failed"].fail; f == nil || f.Errno != 2 {
		t.Errorf("failed failed at %+v", f)
	}
}
