package spec

import (
	"strings"
	"testing"
)

func TestLogFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // parts of the complaints; none: it is right
	}{
		{"one each", "[service.a]\ncommand = \"x\"\nlog.file = \"a.log\"\n[service.b]\ncommand = \"x\"\nlog.file = \"/b/a.log\"\n", nil},
		{"the same", "[service.a]\ncommand = \"x\"\nlog.file = \"l.log\"\n[service.b]\ncommand = \"x\"\nlog.file = \"/srv/x/../l.log\"\n",
			[]string{`stay.toml:6:12: key "log.file": "/srv/l.log", or that of another instance, is written by "a"`, "a file of its own"}},
		{"that of an instance", "[service.a]\ncommand = \"x\"\nlog.file = \"l.log\"\n[service.b]\ncommand = \"x\"\nlog.file = \"l.2.log\"\n",
			[]string{`"/srv/l.2.log", or that of another instance, is written by "a"`}},
		{"numbers that are no instances", "[service.a]\ncommand = \"x\"\nlog.file = \"l.log\"\n[service.b]\ncommand = \"x\"\nlog.file = \"l2.log\"\n", nil},
		{"for all", "[defaults]\nlog.file = \"l.log\"\n[service.a]\ncommand = \"x\"\n[service.b]\ncommand = \"x\"\n",
			[]string{`stay.toml:2:12: key "log.file": "/srv/l.log", or that of another instance, is written by "a"`}},
		{"for all but one", "[defaults]\nlog.file = \"l.log\"\n[service.a]\ncommand = \"x\"\n[service.b]\ncommand = \"x\"\nlog.file = \"b.log\"\n", nil},
		{"among the logs", "[stay]\nlog_dir = \"logs\"\n[service.a]\ncommand = \"x\"\nlog.file = \"logs/b.log\"\n",
			[]string{`"/srv/logs/b.log" is in the log directory`, "leave the key out"}},
		{"below the logs", "[stay]\nlog_dir = \"logs\"\n[service.a]\ncommand = \"x\"\nlog.file = \"logs/b/b.log\"\n", nil},
		{"another end", "[service.a]\ncommand = \"x\"\nlog.file = \"/dev/null\"\n", []string{`"/dev/null" does not end in .log`}},
		{"no name", "[service.a]\ncommand = \"x\"\nlog.file = \"/x/.log\"\n", []string{`".log" is no name of a log file`}},
		{"hidden", "[service.a]\ncommand = \"x\"\nlog.file = \".x.log\"\n", []string{`is no name of a log file`}},
		{"two lines", "[service.a]\ncommand = \"x\"\nlog.file = \"a\\nb.log\"\n", []string{`is no name of a log file`}},
		{"none", "[service.a]\ncommand = \"x\"\nlog.file = \"\"\n", []string{`the path is empty`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": c.text}.source())
			if len(c.want) == 0 {
				if errs != nil {
					t.Errorf("refused: %v", errs)
				}
				return
			}
			if errs == nil {
				t.Fatal("it is taken")
			}
			for _, part := range c.want {
				if !strings.Contains(errs.Error(), part) {
					t.Errorf("got %v, want %s", errs, part)
				}
			}
		})
	}
}

func TestLogFileOf(t *testing.T) {
	for _, c := range []struct {
		file     string
		instance int
		want     string
	}{
		{"", 1, ""}, {"", 2, ""}, {"/x/web.log", 1, "/x/web.log"}, {"/x/web.log", 2, "/x/web.2.log"}, {"/x/a.b.log", 10, "/x/a.b.10.log"},
	} {
		if got := (&Log{File: c.file}).FileOf(c.instance); got != c.want {
			t.Errorf("instance %d of %q has %q, want %q", c.instance, c.file, got, c.want)
		}
	}
}
