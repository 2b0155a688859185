package incident

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state", "incidents")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// put stores one incident of an instance, so many seconds after noon.
func put(t *testing.T, s *Store, name string, cause api.Cause, second int) *api.Incident {
	t.Helper()
	a := &api.Incident{Name: name, Generation: uint64(second + 1), Cause: cause, Time: noon.Add(time.Duration(second) * time.Second), Log: []string{"line\n\x1b[31m"}}
	if err := s.Write(a); err != nil {
		t.Fatal(err)
	}
	return a
}

func ids(list []api.Incident) string {
	var all []string
	for _, a := range list {
		all = append(all, fmt.Sprintf("%s/%d", a.Name, a.Generation))
	}
	return strings.Join(all, " ")
}

func TestWriteListGet(t *testing.T) {
	s, dir := open(t)
	first := put(t, s, "web", api.CauseHang, 0)
	put(t, s, "web.2", api.CauseExit, 1)
	put(t, s, "web", api.CauseExit, 2)
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "web/3 web.2/2 web/1"},
		{Filter{Limit: 2}, "web/3 web.2/2"},
		{Filter{Names: map[string]bool{"web": true}}, "web/3 web/1"},
		{Filter{Names: map[string]bool{"web": true}, Limit: 1}, "web/3"},
		{Filter{Names: map[string]bool{}}, ""},
		{Filter{Since: noon.Add(time.Second)}, "web/3 web.2/2"},
		{Filter{Since: noon.Add(time.Hour)}, ""},
	} {
		if list, err := s.List(c.f); err != nil || ids(list) != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.f, ids(list), err, c.want)
		}
	}
	a, err := Get(dir, first.ID)
	if err != nil || a.Cause != api.CauseHang || a.ID != first.ID || a.Log[0] != first.Log[0] || !a.Time.Equal(noon) {
		t.Errorf("got %+v, %v", a, err)
	}
	for path, mode := range map[string]os.FileMode{dir: os.ModeDir | 0o750, filepath.Join(dir, first.ID+".json"): 0o640} {
		if info, err := os.Stat(path); err != nil || info.Mode()&^0o027 != mode&^0o027 || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, mode)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestHostileIDs(t *testing.T) {
	s, dir := open(t)
	put(t, s, "web", api.CauseExit, 0)
	secret := filepath.Join(filepath.Dir(dir), "20260504T120000.000000Z_x_1.json")
	if err := os.WriteFile(secret, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "_", "__", "..", "../20260504T120000.000000Z_x_1", "20260504T120000.000000Z_../x_1", "20260504T120000.000000Z_.._1",
		"20260504T120000.000000Z_a/../x_1", "20260504T120000.000000Z__1", "20260504T120000.000000Z_x_-1", "20260504T120000.000000Z_x_1\x00",
		"2026_x_1", strings.Repeat("a", 1000), "20260504T120000.000000Z_" + strings.Repeat("a", 300) + "_1", "20260504T120000.000000Z_gone_1"} {
		if a, err := s.Get(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %+v, %v", id, a, err)
		}
	}
}

// TestForeignFiles: whatever lies in the directory, what can be read is shown.
func TestForeignFiles(t *testing.T) {
	s, dir := open(t)
	put(t, s, "web", api.CauseExit, 0)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("20260504T130000.000000Z_web_7.json", `{"id":`)
	write("20260504T130001.000000Z_web_8.json", "")
	write("notes.txt", "mine")
	write("x.json", "{}")
	write("20260504T130002.000000Z_web_9.json", `{"id":"../../etc/passwd","name":"web","generation":9}`)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "20260504T130003.000000Z_web_10.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "20260504T130004.000000Z_web_11.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := List(dir, Filter{})
	if err != nil || ids(list) != "web/9 web/1" || list[0].ID != "20260504T130002.000000Z_web_9" {
		t.Errorf("%s, %v", ids(list), err)
	}
	if list, err := List(filepath.Join(dir, "none"), Filter{}); err != nil || len(list) != 0 {
		t.Errorf("no directory: %v, %v", list, err)
	}
}

// TestBounded: the oldest go first, but the last few of each instance stay.
func TestBounded(t *testing.T) {
	s, dir := open(t)
	for i := range 5 {
		put(t, s, "quiet", api.CauseExit, i)
	}
	for i := range keepFiles + 2*pruneEvery {
		put(t, s, "loud", api.CauseExit, 100+i)
	}
	all, err := entries(dir)
	if err != nil || len(all) < keepFiles || len(all) > keepFiles+pruneEvery+5 {
		t.Errorf("%d are kept, %v", len(all), err)
	}
	if list, _ := s.List(Filter{Names: map[string]bool{"quiet": true}}); len(list) != 5 {
		t.Errorf("%d are kept of who seldom dies", len(list))
	}
	if newest := all[len(all)-1]; newest.gen != uint64(100+keepFiles+2*pruneEvery) {
		t.Errorf("the newest is %+v", newest)
	}
	if err := s.prune(noon.Add(10 * keepFor)); err != nil {
		t.Fatal(err)
	}
	if all, _ := entries(dir); len(all) != keepEach+5 {
		t.Errorf("after a long time %d are kept", len(all))
	}
}

func TestCount(t *testing.T) {
	s, dir := open(t)
	put(t, s, "web", api.CauseHang, 0)
	put(t, s, "web", api.CauseExit, 1)
	for range 2 { // a new daemon finds the same
		if n := s.Count("web", api.CauseHang, noon.Add(time.Hour)); n != 1 {
			t.Errorf("%d hangs", n)
		}
		put(t, s, "other", api.CauseHang, 3)
		if n := s.Count("web", api.CauseHang, noon.Add(25*time.Hour)); n != 0 {
			t.Errorf("%d hangs a day later", n)
		}
		s, _ = Open(dir)
	}
	s.Count("web", api.CauseHang, noon)
	put(t, s, "web", api.CauseHang, 4)
	if n := s.Count("web", api.CauseHang, noon.Add(time.Hour)); n != 2 {
		t.Errorf("%d hangs after one more", n)
	}
}

// TestCannotWrite: a directory that was removed comes back; other errors name what.
func TestCannotWrite(t *testing.T) {
	s, dir := open(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	put(t, s, "web", api.CauseExit, 0)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := s.Write(&api.Incident{Name: "web", Time: noon})
	if err == nil || !strings.Contains(err.Error(), "write incident") {
		t.Errorf("error %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "incidents")); err == nil {
		t.Error("a store below a file")
	}
}

func FuzzID(f *testing.F) {
	f.Add("20260504T120000.000000Z_web.2_17")
	f.Add("20260504T120000.000000Z_../../x_17")
	f.Fuzz(func(t *testing.T, id string) {
		e, ok := parseID(id)
		if ok && (strings.ContainsAny(id, "/\x00") || filepath.Base(id) != id || e.name == "" || id == "." || id == "..") {
			t.Errorf("%q is taken for %+v", id, e)
		}
	})
}

// TestHalfWritten: what a daemon that was killed has left half written is no incident, and does not pile up.
func TestHalfWritten(t *testing.T) {
	s, dir := open(t)
	if err := os.WriteFile(filepath.Join(dir, temporary), []byte(`{"na`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := put(t, s, "web", api.CauseExit, 0)
	list, err := s.List(Filter{})
	if err != nil || len(list) != 1 || list[0].ID != a.ID {
		t.Errorf("%s, %v", ids(list), err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}
