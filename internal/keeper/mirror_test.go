package keeper

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// aMirror is a mirror in a directory of the test's own, with an entry of the daemon, and a way to write rows.
type aMirror struct {
	t    testing.TB
	m    Mirror
	file *mirrorFile
	at   map[string]extent
}

func newMirror(t testing.TB) *aMirror {
	t.Helper()
	a := &aMirror{t: t, m: Mirror{Dir: t.TempDir(), ID: "abc"}, at: map[string]extent{}}
	var err error
	if a.file, err = openMirror(a.m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.file.close)
	a.put("", daemonEntry{&Image{Version: Version, Engines: 3, Started: 5, Daemon: json.RawMessage(`{"mode":"running"}`)}})
	return a
}

func (a *aMirror) put(name string, v any) {
	a.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.at[name], err = a.file.put(a.at[name], data); err != nil {
		a.t.Fatal(err)
	}
}

func (a *aMirror) row(r RowImage) { a.t.Helper(); a.put(r.Unit, r) }

func (a *aMirror) path() string { return filepath.Join(a.m.Dir, mirrorName) }

func (a *aMirror) publish() {
	a.t.Helper()
	if err := a.file.publish(); err != nil {
		a.t.Fatal(err)
	}
}

// read returns the rows by their names.
func (a *aMirror) read() map[string]RowImage {
	a.t.Helper()
	img, err := ReadMirror(a.m)
	if err != nil {
		a.t.Fatal(err)
	}
	rows := map[string]RowImage{}
	for _, r := range img.Rows {
		if _, twice := rows[r.Unit]; twice {
			a.t.Errorf("%q is there twice", r.Unit)
		}
		rows[r.Unit] = r
	}
	return rows
}

func sampleRow(unit string, gen uint64, size int) RowImage {
	return RowImage{Unit: unit, Op: gen * 2, Gen: gen, State: Alive, Main: 100 + int(gen), Start: 7, Mark: "STAY_TREE=abc/" + unit,
		Record: json.RawMessage(`"` + strings.Repeat("x", size) + `"`), Files: []string{"log/1"}, Inodes: []uint64{12}}
}

// TestMirror writes rows that grow and shrink, and reads what was written last.
func TestMirror(t *testing.T) {
	a := newMirror(t)
	want := map[string]RowImage{}
	r := rand.New(rand.NewPCG(1, 2))
	for gen := range uint64(500) {
		unit := fmt.Sprint("web.", r.IntN(20))
		row := sampleRow(unit, gen, r.IntN(5000))
		a.row(row)
		want[unit] = row
	}
	if err := a.file.erase(a.at["web.3"]); err != nil {
		t.Fatal(err)
	}
	delete(want, "web.3")
	a.publish()
	if got := a.read(); !reflect.DeepEqual(got, want) {
		t.Errorf("read %d rows, want %d: %v", len(got), len(want), got)
	}
	img, err := ReadMirror(a.m)
	if err != nil || img.Engines != 3 || img.Started != 5 || string(img.Daemon) != `{"mode":"running"}` {
		t.Errorf("the daemon: %+v, %v", img, err)
	}
	st, err := os.Stat(a.path())
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if limit := int64(20*3*6+10) * slotSize; st.Size() > limit { // a few free places of each size, no more
		t.Errorf("%d bytes for 20 rows", st.Size())
	}
}

// TestMirrorTorn cuts the last write of a row at every place: either the row before or the new one is read, and all others.
func TestMirrorTorn(t *testing.T) {
	a := newMirror(t)
	a.row(sampleRow("other", 1, 10))
	a.row(sampleRow("web", 1, 1500))
	a.publish()
	before, err := os.ReadFile(a.path())
	if err != nil {
		t.Fatal(err)
	}
	a.row(sampleRow("web", 2, 1400))
	after, err := os.ReadFile(a.path())
	if err != nil {
		t.Fatal(err)
	}
	whole := append(bytes.Clone(before), make([]byte, len(after)-len(before))...)
	at := int(a.at["web"].at) * slotSize
	for cut := at; cut <= len(after); cut += 13 {
		data := bytes.Clone(whole)
		copy(data[at:cut], after[at:cut])
		img, err := parseMirror(data, a.m.head())
		if err != nil {
			t.Fatal(err)
		}
		gens := map[string]uint64{}
		for _, r := range img.Rows {
			gens[r.Unit] = r.Gen
		}
		if len(gens) != 2 || gens["other"] != 1 || gens["web"] < 1 || gens["web"] > 2 {
			t.Fatalf("cut at %d: %v", cut, gens)
		}
	}
	both := bytes.Clone(after) // the new one is whole, and the old one not yet taken away
	copy(both[:len(before)], before)
	if img, err := parseMirror(both, a.m.head()); err != nil || len(img.Rows) != 2 || img.Rows[0].Gen+img.Rows[1].Gen != 3 {
		t.Errorf("both there: %+v %v", img, err)
	}
}

// TestMirrorOfOthers: what is not this daemon's, of this boot and this version, is refused.
func TestMirrorOfOthers(t *testing.T) {
	a := newMirror(t)
	a.row(sampleRow("web", 1, 10))
	data := func() []byte { a.publish(); d, _ := os.ReadFile(a.path()); return d }()
	for name, change := range map[string]func(*mirrorHead){
		"boot":      func(h *mirrorHead) { h.Boot = "other" },
		"container": func(h *mirrorHead) { h.PidNS = "pid:[1]" },
		"daemon":    func(h *mirrorHead) { h.ID = "xyz" },
		"format":    func(h *mirrorHead) { h.Format++ },
		"wire":      func(h *mirrorHead) { h.Version++ },
	} {
		head := a.m.head()
		change(&head)
		if img, err := parseMirror(data, head); err == nil {
			t.Errorf("%s: %+v", name, img)
		}
	}
	for _, bad := range [][]byte{nil, data[:10], data[:slotSize], bytes.Repeat([]byte{0xff}, 5000)} {
		if img, err := parseMirror(bad, a.m.head()); err == nil {
			t.Errorf("%d bytes: %+v", len(bad), img)
		}
	}
	if _, err := ReadMirror(Mirror{Dir: t.TempDir(), ID: "abc"}); !os.IsNotExist(err) {
		t.Errorf("no mirror: %v", err)
	}
	for name, spoil := range map[string]func(path string) error{
		"others can read": func(path string) error { return os.Chmod(path, 0o644) },
		"a link":          func(path string) error { _ = os.Rename(path, path+"x"); return os.Symlink(path+"x", path) },
		"a pipe":          func(path string) error { _ = os.Remove(path); return unix.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
	} {
		if err := spoil(a.path()); err != nil {
			t.Fatal(err)
		}
		if img, err := ReadMirror(a.m); err == nil {
			t.Errorf("%s: %+v", name, img)
		}
	}
}

// TestMirrorRowsRefused: rows that no keeper writes are none.
func TestMirrorRowsRefused(t *testing.T) {
	for name, change := range map[string]func(*RowImage){
		"no name":      func(r *RowImage) { r.Unit = "" },
		"path":         func(r *RowImage) { r.Unit = "../../x" },
		"long name":    func(r *RowImage) { r.Unit = strings.Repeat("x", maxName+1) },
		"state":        func(r *RowImage) { r.State = "flying" },
		"negative pid": func(r *RowImage) { r.Main = -1 },
		"high pid":     func(r *RowImage) { r.Main = maxPid + 1 },
		"no exit":      func(r *RowImage) { r.State = Ended },
		"exit":         func(r *RowImage) { r.Exit = &Exit{} },
		"no failure":   func(r *RowImage) { r.State = NotBorn },
		"inodes":       func(r *RowImage) { r.Inodes = make([]uint64, 5) },
		"files":        func(r *RowImage) { r.Files = make([]string, maxFiles+1) },
	} {
		row := sampleRow("web", 1, 1)
		change(&row)
		data, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := rowOf(data); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestMirrorTooLong: a row that is too long leaves the last one that was not.
func TestMirrorTooLong(t *testing.T) {
	a := newMirror(t)
	a.row(sampleRow("web", 1, 1))
	data, _ := json.Marshal(sampleRow("web", 2, maxSlots*slotSize))
	if at, err := a.file.put(a.at["web"], data); err == nil || at != a.at["web"] {
		t.Errorf("it is at %v, %v", at, err)
	}
	a.publish()
	if got := a.read()["web"].Gen; got != 1 {
		t.Errorf("generation %d", got)
	}
}

// FuzzMirror: whatever is in the file, what is read of it keeps within bounds.
func FuzzMirror(f *testing.F) {
	a := newMirror(f)
	a.row(sampleRow("web", 1, 1500))
	a.row(sampleRow("db", 1, 1))
	a.publish()
	good, err := os.ReadFile(a.path())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint32(0), uint32(0))
	f.Add(good, uint32(slotSize+lengthAt), uint32(1<<31))
	f.Add(good, uint32(slotSize+slotsAt), uint32(1<<30))
	f.Add([]byte("garbage"), uint32(3), uint32(9))
	head := a.m.head()
	f.Fuzz(func(t *testing.T, data []byte, at, value uint32) {
		data = bytes.Clone(data)
		if int64(at)+4 <= int64(len(data)) {
			binary.NativeEndian.PutUint32(data[at:], value)
		}
		img, err := parseMirror(data, head)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range img.Rows {
			if r.Unit == "" || len(r.Unit) > maxName || seen[r.Unit] || r.Main < 0 || r.Main > maxPid {
				t.Errorf("row %+v", r)
			}
			seen[r.Unit] = true
		}
	})
}

// TestKeptFile: a file that the keeper holds gets a name, its successor the same, and both are read again.
func TestKeptFile(t *testing.T) {
	dir := t.TempDir()
	fd, err := KeptFile(dir, []byte("first"))
	if err != nil {
		t.Skipf("the file system of %s has no O_TMPFILE: %v", dir, err)
	}
	defer unix.Close(fd)
	file, err := openMirror(Mirror{Dir: dir, ID: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	k := &Keeper{mirror: mirroring{file: file}}
	read := func() string {
		var text string
		files := KeptFiles(dir)
		for name, f := range files {
			data, err := ReadMemfd(int(f.Fd()))
			if err != nil {
				t.Error(err)
			}
			text += name + "=" + string(data)
			f.Close()
		}
		return text
	}
	k.keep("config", fd)
	if got := read(); got != "config=first" {
		t.Errorf("kept %q", got)
	}
	k.keep("config", fd) // the same once more: as after the death of a keeper
	next, err := KeptFile(dir, []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(next)
	k.keep("config", next)
	k.keep("../escaped", next)
	if got := read(); got != "config=second" {
		t.Errorf("kept %q", got)
	}
	memory, err := Memfd("x", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memory)
	k.keep("alive", memory) // has no name, and is left alone
	k.unkeep("config")
	if got := read(); got != "" {
		t.Errorf("kept %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}

func BenchmarkMirror(b *testing.B) {
	a := newMirror(b)
	row := sampleRow("web", 1, 700)
	at := extent{}
	for b.Loop() {
		data, err := json.Marshal(row)
		if err == nil {
			at, err = a.file.put(at, data)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
