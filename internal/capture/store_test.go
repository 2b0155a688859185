package capture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	root := os.Geteuid() == 0
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		skip    bool
		want    string
	}{
		{"absent", func(string) error { return nil }, false, ""},
		{"there", func(dir string) error { return os.MkdirAll(dir, 0o700) }, false, ""},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, false, "set log_dir"},
		{"not writable", func(dir string) error { return os.Mkdir(dir, 0o500) }, root, "set log_dir"},
		{"writable for all", func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chmod(dir, 0o777)
		}, !root, "chmod o-w"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.skip {
				t.Skipf("depends on the user: root is %v", root)
			}
			dir := filepath.Join(t.TempDir(), "log")
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{Dir: dir})
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want the directory and %q", err, c.want)
			}
		})
	}
}

func TestDirectoryIsMadeForOwnerAndGroup(t *testing.T) {
	s, _ := newStore(t)
	fi, err := os.Stat(s.dir.path)
	if err != nil || fi.Mode().Perm()&^0o750 != 0 {
		t.Errorf("mode %v (%v), want at most 0750", fi.Mode(), err)
	}
	src := stream(t, s, "web", 1, raw)
	src.say("a\n")
	src.end()
	if fi, err = os.Stat(s.file("web.log")); err != nil || fi.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v (%v), want at most 0640", fi.Mode(), err)
	}
}

func TestStreamsOutliveClose(t *testing.T) {
	s, r := newStore(t)
	src := stream(t, s, "web", 1, raw)
	s.Close()
	s.Close()
	src.say("after\n")
	src.end()
	if got := content(t, s, "web.log"); got != "after\n" {
		t.Errorf("got %q", got)
	}
	late := stream(t, s, "web", 2, raw)
	late.wait()
	if got := r.all(); len(got) != 1 || !strings.Contains(got[0], "closed") {
		t.Errorf("reported %q, want one refusal", got)
	}
}

func TestNothingIsKeptOfNamesThatEnded(t *testing.T) {
	s, _ := newStore(t)
	for _, name := range []string{"a", "b", "c"} {
		src := stream(t, s, name, 1, raw)
		src.say("x")
		src.end()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sinks) != 0 || s.users != 0 {
		t.Errorf("%d sinks and %d users are left", len(s.sinks), s.users)
	}
}

func TestIdleStreamHoldsNoBuffer(t *testing.T) {
	s, _ := newStore(t)
	s.look = 1
	src := stream(t, s, "web", 1, stamped)
	src.say("a\n")
	eventually(t, "the file is written and closed", func() bool {
		return content(t, s, "web.log") != "" && openFiles(t, s) == 0
	})
	src.end()
	if src.s.chunk != nil {
		t.Error("a buffer is held")
	}
}

func TestWhatIsNoPipeIsReportedAndEnds(t *testing.T) {
	s, r := newStore(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("a\nb\n"); err != nil {
		t.Fatal(err)
	}
	<-s.Stream("web", 1, f, raw).Done()
	if got := r.all(); len(got) != 1 || got[0] != "web: read output of \"web\": invalid argument" {
		t.Errorf("reported %q", got)
	}
}
