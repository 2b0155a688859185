package capture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newHome makes an empty directory for logs, below one that belongs to the tests.
func newHome(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if dir = filepath.Join(dir, "home"); os.Mkdir(dir, 0o750) != nil {
		t.Fatal("no directory")
	}
	return dir
}

// in is what the files of a directory hold, uncompressed.
func in(t testing.TB, path string) string {
	t.Helper()
	return fmt.Sprintf("%q", all(t, &Store{dir: &dir{path: path}}))
}

func TestFileOfItsOwn(t *testing.T) {
	s, r := newStore(t)
	dir := newHome(t)
	how := Policy{MaxSize: 4, Keep: 3, Compress: true, File: filepath.Join(dir, "App 1.log")}
	src := stream(t, s, "web", 1, how)
	src.lines(4, "l")
	src.wait()
	waitTidy(t, s)
	if got := in(t, dir); got != `map["App 1.log":"l 3\n" "App 1.log.1":"l 2\n" "App 1.log.2.zst":"l 1\n" "App 1.log.3.zst":"l 0\n"]` {
		t.Errorf("got %s", got)
	}
	if got := files(t, s); !slices.Equal(got, []string{".web.home"}) {
		t.Errorf("the log directory has %q", got)
	}
	if names, err := Names(s.dir.path); err != nil || !slices.Equal(names, []string{"web"}) {
		t.Errorf("names are %q (%v)", names, err)
	}
	again, _ := Open(Options{Dir: s.dir.path}) // knows no policy
	defer again.Close()
	for what, tail := range map[string]func(string, int) ([]Line, error){
		"store": s.Tail, "next store": again.Tail,
		"files": func(name string, n int) ([]Line, error) { return Tail(s.dir.path, name, n) },
	} {
		if got, err := tail("web", -1); err != nil || texts(got) != "l 0|l 1|l 2|l 3|" {
			t.Errorf("%s: read %q (%v)", what, texts(got), err)
		}
	}
	if done, err := again.Rotate("web", how); !done || err != nil || !strings.Contains(in(t, dir), `"App 1.log.1":"l 3\n"`) {
		t.Errorf("rotated %v (%v): %s", done, err, in(t, dir))
	}
	if got := r.all(); len(got) > 0 {
		t.Errorf("reported %q", got)
	}
}

// TestAnotherFile: a stream goes on where its policy says from now on, and so do those who follow it.
func TestAnotherFile(t *testing.T) {
	s, r := newStore(t)
	one, two := newHome(t), newHome(t)
	var got []string
	told := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.Follow(ctx, func() []string { return []string{"web"} }, Query{N: -1}, func(l Line) error {
		told <- l.Text
		return nil
	})
	src := stream(t, s, "web", 1, raw)
	for i, file := range []string{"", filepath.Join(one, "x.log"), filepath.Join(two, "x.log"), ""} {
		p := raw
		p.File = file
		src.s.SetPolicy(p)
		src.say(fmt.Sprintf("%d\n", i))
		got = append(got, <-told)
	}
	src.end()
	if want := []string{"0", "1", "2", "3"}; !slices.Equal(got, want) || len(r.all()) > 0 {
		t.Errorf("followed %q, want %q; reported %q", got, want, r.all())
	}
	if got := content(t, s, "web.log") + in(t, one) + in(t, two); got != "0\n3\nmap[\"x.log\":\"1\\n\"]map[\"x.log\":\"2\\n\"]" {
		t.Errorf("got %s", got)
	}
	if got := files(t, s); !slices.Equal(got, []string{"web.log"}) {
		t.Errorf("the log directory has %q", got)
	}
}

func TestAFileOfItsOwnGoesOn(t *testing.T) {
	s, _ := newStore(t)
	dir := newHome(t)
	p := raw
	p.File = filepath.Join(dir, "x.log")
	if err := os.WriteFile(p.File, []byte("half"), 0o640); err != nil {
		t.Fatal(err)
	}
	src := stream(t, s, "web", 1, p)
	src.say("a\n")
	src.end()
	if got := in(t, dir); got != `map["x.log":"half\na\n"]` {
		t.Errorf("got %s", got)
	}
}

func TestHomesThatAreRefused(t *testing.T) {
	chmod := func(mode os.FileMode) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name, want   string
		root         bool
		break_, mend func(t *testing.T, dir string)
	}{
		{"not there", "no such file", false, func(t *testing.T, dir string) { os.Remove(dir) }, func(t *testing.T, dir string) { os.Mkdir(dir, 0o750) }},
		{"a link", "without links", false, func(t *testing.T, dir string) {
			os.Remove(dir)
			os.Symlink(filepath.Dir(dir), dir)
		}, func(t *testing.T, dir string) {
			os.Remove(dir)
			os.Mkdir(dir, 0o750)
		}},
		{"open to everybody", "everybody can write", true, chmod(0o777), chmod(0o750)},
		{"open to everybody, and sticky", "everybody can write", true, chmod(0o777 | os.ModeSticky), chmod(0o750)},
		{"of another user", "belongs to user 65534", true, func(t *testing.T, dir string) { os.Chown(dir, 65534, 0) },
			func(t *testing.T, dir string) { os.Chown(dir, 0, 0) }},
		{"of another group", "group 65534 can write", true, func(t *testing.T, dir string) {
			os.Chown(dir, 0, 65534)
			os.Chmod(dir, 0o775)
		}, chmod(0o755)},
		{"below one of another user", "belongs to user 65534", true, func(t *testing.T, dir string) { os.Chown(filepath.Dir(dir), 65534, 0) },
			func(t *testing.T, dir string) { os.Chown(filepath.Dir(dir), 0, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("only root's logs need directories of root's")
			}
			s, r := newStore(t)
			dir := newHome(t)
			c.break_(t, dir)
			p := raw
			p.File = filepath.Join(dir, "x.log")
			src := stream(t, s, "web", 1, p)
			src.say("a\n")
			eventually(t, "it is reported", func() bool { return len(r.all()) > 0 })
			if got := r.all()[0]; !strings.Contains(got, c.want) || !strings.Contains(got, dir) {
				t.Errorf("reported %q, want %q", got, c.want)
			}
			c.mend(t, dir)
			src.end()
			if got := in(t, dir); got != `map["x.log":"a\n"]` {
				t.Errorf("got %s", got)
			}
			if got := r.all(); len(got) != 2 || got[1] != "web: <nil>" {
				t.Errorf("reported %q", got)
			}
		})
	}
}

// TestHomeFilesAreChecked: what is written in one is not believed, and not followed anywhere but to a log.
func TestHomeFilesAreChecked(t *testing.T) {
	for _, text := range []string{"", "\n", "x.log\n", "/etc/passwd\n", "/x/../etc/x.log\n", "/x/.log\n", "/x/a.log\n/y/b.log\n", "/" + strings.Repeat("x", 5000) + ".log", "/a\x00b.log"} {
		s, _ := newStore(t)
		put(t, s, ".web.home", text)
		if got, err := s.Tail("web", -1); err == nil || !strings.Contains(err.Error(), ".web.home") {
			t.Errorf("%.20q: read %q (%v)", text, texts(got), err)
		}
		src := stream(t, s, "web", 1, raw) // which needs none
		src.say("a\n")
		src.end()
		if got := content(t, s, "web.log"); got != "a\n" {
			t.Errorf("%.20q: wrote %q", text, got)
		}
	}
}
