package cli

import (
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

func TestShort(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"}, {0, "0s"}, {900 * time.Millisecond, "0s"}, {3 * time.Second, "3s"}, {time.Minute - 1, "59s"},
		{4*time.Minute + 12*time.Second, "4m12s"}, {time.Hour, "1h00m"}, {2*time.Hour + 5*time.Minute + 9*time.Second, "2h05m"},
		{24 * time.Hour, "1d00h"}, {76 * time.Hour, "3d04h"}, {1000 * 24 * time.Hour, "1000d00h"},
	} {
		if got := short(c.d); got != c.want {
			t.Errorf("%v is %q, want %q", c.d, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ text, plain, colored string }{
		{"hello", "hello", "hello"},
		{"a\tb", "a\tb", "a\tb"},
		{"é … ☃", "é … ☃", "é … ☃"},
		{"\x1b[31mred\x1b[0m", "·[31mred·[0m", "\x1b[31mred\x1b[0m\x1b[0m"},
		{"\x1b[1;38:5:9mx", "·[1;38:5:9mx", "\x1b[1;38:5:9mx\x1b[0m"},
		{"\x1b]0;title\a", "·]0;title·", "·]0;title·\x1b[0m"},
		{"\x1b[2J", "·[2J", "·[2J\x1b[0m"},
		{"\x1b[", "·[", "·[\x1b[0m"},
		{"\x1b", "·", "·\x1b[0m"},
		{"a\rb\n\u009bc\u202ed", "a·b··c·d", "a·b··c·d"},
	} {
		if got := clean(c.text); got != c.plain {
			t.Errorf("clean(%q) is %q, want %q", c.text, got, c.plain)
		}
		u := &ui{colors: true}
		if got := u.cleanLine(c.text); got != c.colored {
			t.Errorf("cleanLine(%q) is %q, want %q", c.text, got, c.colored)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"hello", 0, "hello"}, {"hello", 5, "hello"}, {"hello", 4, "hel…"}, {"ééééé", 3, "éé…"}, {"hello", 1, "…"},
	} {
		if got := cut(c.text, c.width); got != c.want {
			t.Errorf("cut(%q, %d) is %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestStatusTable(t *testing.T) {
	web := instance("web", api.Running, 812)
	web.UptimeMS, web.Restarts, web.Status = 252_000, 3, "42 clients"
	second := instance("web.2", api.Waiting, 0)
	second.Why = "exit code 1, retry in \x1b3s"
	stuck := instance("a-long-name", api.Stopping, 77)
	stuck.Refusing = []api.Process{{Pid: 78, Comm: "dd", State: "D", Where: "nfs_wait"}, {Pid: 79, Comm: "x", State: "S", Where: "0"}}
	list := []api.Instance{stuck, web, second}

	plain := &app{ui: newUI(newScreen(), newScreen())}
	want := "" +
		"SERVICE      STATE     PID  UPTIME  RESTARTS  WHY\n" +
		"a-long-name  stopping  77   0s      0\n" +
		"web          running   812  4m12s   3         42 clients\n" +
		"web.2        waiting   -    -       0         exit code 1, retry in ·3s\n" +
		"a-long-name: dd (pid 78, state D, in nfs_wait) refuses to die\n" +
		"a-long-name: x (pid 79, state S) refuses to die\n"
	if got := plain.statusText(list, false, 0); got != want {
		t.Errorf("the table is\n%swant\n%s", got, want)
	}
	for line := range strings.Lines(plain.statusText(list, false, 20)) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 20 {
			t.Errorf("%q is %d characters wide", line, n)
		}
	}
	if got := plain.statusText(nil, false, 0); got != "no services\n" {
		t.Errorf("nothing is shown as %q", got)
	}
	if got := plain.statusText(nil, true, 0); got != "[]\n" {
		t.Errorf("nothing is shown in JSON as %q", got)
	}

	colored := &app{ui: &ui{colors: true}}
	lines := strings.Split(colored.statusText(list, false, 0), "\n")
	for i, begins := range []string{"\x1b[1mSERVICE", "a-long-name", "web ", "\x1b[33mweb.2", "\x1b[31ma-long-name"} {
		if !strings.HasPrefix(lines[i], begins) {
			t.Errorf("line %d is %q", i, lines[i])
		}
	}
}

func TestPrinter(t *testing.T) {
	out := newScreen()
	p := newPrinter(newUI(out, newScreen()), []api.Instance{instance("db", api.Running, 1), instance("web.2", api.Running, 2)})
	for _, err := range []error{
		p.line("web.2", "hello \x1b[2J"),
		p.line("db", "world"),
		p.event(api.Event{Name: "db", To: api.Waiting, Message: "exit code 1"}),
		p.event(api.Event{Name: "db", To: api.Running, Pid: 7}),
		p.line("a-new-one", "later"),
		p.line(strings.Repeat("x", maxName+5), "long"),
		p.line("db", "again"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := "web.2 │ hello ·[2J\n" +
		"db    │ world\n" +
		"db    • waiting, exit code 1\n" +
		"db    • running, pid 7\n" +
		"a-new-one │ later\n" +
		strings.Repeat("x", maxName+5) + " │ long\n" +
		"db                       │ again\n"
	if got := out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	out.broken = true
	if err := p.line("db", "x"); err == nil || !p.lost() || !isClosed(err) {
		t.Errorf("a lost terminal is %v, lost %t", err, p.lost())
	}
}

func TestPrinterColors(t *testing.T) {
	out := newScreen()
	p := newPrinter(&ui{out: out, colors: true}, nil)
	_ = p.line("a", "x")
	_ = p.line("b", "y")
	_ = p.line("a", "z")
	lines := strings.Split(out.String(), "\n")
	prefix := func(s string) string { before, _, _ := strings.Cut(s, " │"); return before }
	if prefix(lines[0]) == strings.ReplaceAll(prefix(lines[1]), "b", "a") || prefix(lines[0]) != prefix(lines[2]) {
		t.Errorf("the colours are %q", lines)
	}
}

func TestWaitLine(t *testing.T) {
	out := newScreen()
	w := &waitLine{ui: &ui{err: out}}
	for _, s := range []string{"a", "a", "b\x1b", ""} {
		w.show(s)
	}
	if got := out.String(); got != "stay: a\nstay: b·\n" {
		t.Errorf("not over: %q", got)
	}
	out = newScreen()
	w = &waitLine{ui: &ui{err: out}, over: true}
	for _, s := range []string{"a", "a", ""} {
		w.show(s)
	}
	if got := out.String(); got != "\r\x1b[Kstay: a\r\x1b[K" {
		t.Errorf("over: %q", got)
	}
}

func TestUnsettled(t *testing.T) {
	stuck := instance("db", api.Stopping, 3)
	stuck.Why, stuck.Refusing = "as asked", []api.Process{{Pid: 4, Comm: "dd", State: "D"}}
	list := []api.Instance{instance("a", api.Running, 1), stuck, instance("off", api.Stopped, 0)}
	if got := unsettled(list); got != "db (stopping: as asked: dd (pid 4, state D) refuses to die)" {
		t.Errorf("unsettled: %s", got)
	}
	if got := alive(list); !strings.HasPrefix(got, "a (running), db (stopping") {
		t.Errorf("alive: %s", got)
	}
	var many []api.Instance
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		many = append(many, instance(name, api.Starting, 0))
	}
	if got := unsettled(many); !strings.HasSuffix(got, "e (starting), …") {
		t.Errorf("many: %s", got)
	}
}

func TestInPlace(t *testing.T) {
	if got := inPlace("a\nb\n", 0); got != "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J" {
		t.Errorf("%q", got)
	}
	if got := inPlace("a\nb\nc\n", 3); strings.Contains(got, "c") {
		t.Errorf("too high: %q", got)
	}
}
