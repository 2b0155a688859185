package client

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFind(t *testing.T) {
	me, other := os.Geteuid(), os.Geteuid()+1
	good := stat{uid: me, mode: fs.ModeDir | 0o755}
	for _, c := range []struct {
		name          string
		explicit, env string
		dirs          map[string]stat // what there is
		want          string
		skipped       string // a part of the reason
	}{
		{"named", "/x/s", "/env/s", map[string]stat{"/a/.stay": good}, "/x/s", ""},
		{"by environment", "", "/env/s", map[string]stat{"/a/.stay": good}, "/env/s", ""},
		{"here", "", "", map[string]stat{"/a/b/c/.stay": good, "/a/.stay": good}, "/a/b/c/.stay/stay.sock", ""},
		{"above", "", "", map[string]stat{"/a/.stay": good}, "/a/.stay/stay.sock", ""},
		{"at the root", "", "", map[string]stat{"/.stay": good}, "/.stay/stay.sock", ""},
		{"root's", "", "", map[string]stat{"/a/.stay": {uid: 0, mode: fs.ModeDir | 0o700}}, "/a/.stay/stay.sock", ""},
		{"somebody's", "", "", map[string]stat{"/a/b/.stay": {uid: other, mode: fs.ModeDir | 0o755}, "/a/.stay": good}, "/a/.stay/stay.sock", "belongs to uid"},
		{"group can write", "", "", map[string]stat{"/a/b/.stay": {uid: me, mode: fs.ModeDir | 0o775}, "/a/.stay": good}, "/a/.stay/stay.sock", "others can write"},
		{"all can write", "", "", map[string]stat{"/a/b/.stay": {uid: me, mode: fs.ModeDir | 0o757}}, "/sys", "others can write"},
		{"a file", "", "", map[string]stat{"/a/.stay": {uid: me, mode: 0o644}}, "/sys", "no directory"},
		{"a link", "", "", map[string]stat{"/a/.stay": {uid: me, mode: fs.ModeSymlink | 0o755}}, "/sys", "no directory"},
		{"none", "", "", nil, "/sys", ""},
	} {
		system := filepath.Join(t.TempDir(), "sys")
		if err := os.WriteFile(system, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		why := ""
		f := Finder{Explicit: c.explicit, Env: c.env, Dir: "/a/b/c", System: system, Skipped: func(dir, s string) { why += dir + ": " + s }}
		f.lstat = func(path string) (stat, error) {
			if st, ok := c.dirs[path]; ok {
				return st, nil
			}
			return stat{}, fs.ErrNotExist
		}
		if c.want == "/sys" {
			c.want = system
		}
		got, err := f.Find()
		if err != nil || got != c.want || c.skipped == "" && why != "" || !strings.Contains(why, c.skipped) {
			t.Errorf("%s: %q, %v, skipped %q; want %q, %q", c.name, got, err, why, c.want, c.skipped)
		}
	}
}

func TestFindNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		lstat func(string) (stat, error)
		want  string
	}{
		{"nothing there", func(string) (stat, error) { return stat{}, fs.ErrNotExist }, "there is no .stay here or above"},
		{"not to be seen", func(string) (stat, error) { return stat{}, syscall.EACCES }, "passed over: permission denied"},
	} {
		_, err := Finder{Dir: "/a", System: "/does/not/exist", lstat: c.lstat}.Find()
		var gone *NotReachable
		if !errors.As(err, &gone) || gone.Socket != "" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/does/not/exist") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestFindHere looks at real directories.
func TestFindHere(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	own := filepath.Join(dir, ".stay")
	for _, d := range []string{deep, own} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(own, 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	t.Chdir(deep)
	t.Setenv("STAY_SOCKET", "")
	if got, err := Find(""); err != nil || got != filepath.Join(own, "stay.sock") {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("STAY_SOCKET", "/env")
	if got, err := Find(""); err != nil || got != "/env" {
		t.Errorf("with STAY_SOCKET: %q, %v", got, err)
	}
	if got, err := Find("/named"); err != nil || got != "/named" {
		t.Errorf("named: %q, %v", got, err)
	}
}
