package spec

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewTransient(t *testing.T) {
	s, errs := NewTransient(Transient{
		Directory: "/srv", User: "www-data", Restart: "on-failure", Ready: "fd:3", StartTimeout: "5s", StopTimeout: "1m",
		Command: []string{"/usr/bin/My Prog", "a b", "'"}, Env: []string{"A=1", "B=x=y", "A=2"}, Environ: []string{"PATH=/bin", "SECRET=x"},
	})
	if errs != nil {
		t.Fatal(errs)
	}
	want := newService()
	want.Name, want.Transient, want.Directory, want.User = "my-prog", true, "/srv", "www-data"
	want.Command = []string{"/usr/bin/My Prog", "a b", "'"}
	want.Restart.When, want.Ready = RestartOnFailure, Ready{When: ReadyFD, FD: 3}
	want.StartTimeout, want.Stop.Timeout = 5*time.Second, time.Minute
	want.Env = []Var{{"A", "2", FromKey}, {"B", "x=y", FromKey}, {"PATH", "/bin", Inherited}}
	equal(t, "transient", s, want)
}

func TestTransientDefaults(t *testing.T) {
	s, errs := NewTransient(Transient{Command: []string{"sleep", "1"}})
	if errs != nil {
		t.Fatal(errs)
	}
	if s.Name != "sleep" || s.Directory != "/" || s.Restart.When != RestartAlways || !s.Enabled || s.Env != nil {
		t.Errorf("%+v", s)
	}
	for command, name := range map[string]string{"/bin/all": "run", "./a.out": "a-out", "/": "run"} {
		s, errs := NewTransient(Transient{Command: []string{command}})
		if errs != nil || s.Name != name {
			t.Errorf("%q is named %+v, %v, want %q", command, s, errs, name)
		}
	}
	s, errs = NewTransient(Transient{Name: "x", Command: []string{"&&"}})
	if errs != nil || !slices.Equal(s.Command, []string{"&&"}) {
		t.Errorf("arguments that are split already are split again: %+v, %v", s, errs)
	}
}

func TestTransientErrors(t *testing.T) {
	for _, c := range []struct {
		t    Transient
		want []string
	}{
		{Transient{}, []string{`service "": a name is missing`, `key "command": the command is empty`}},
		{Transient{Name: "A", Command: []string{"x"}}, []string{`service "A": names consist`}},
		{Transient{Command: []string{""}}, []string{`the name of the program is empty`}},
		{Transient{Command: []string{"x", "a\x00b"}}, []string{`NUL`}},
		{Transient{Command: []string{"x"}, Directory: "rel"}, []string{`key "directory": "rel" is not an absolute path`}},
		{Transient{Command: []string{"x"}, Restart: "no", Ready: "fd:1", StartTimeout: "x", StopTimeout: "5"},
			[]string{`key "restart.when": expected`, `key "ready": descriptor`, `key "start_timeout": "x"`, `key "stop.timeout": "5" has no unit`}},
		{Transient{Command: []string{"x"}, Env: []string{"secret", "=1"}}, []string{`without "="`, `cannot be the name`}},
		{Transient{Command: []string{"x"}, Ready: "tcp://:80"}, []string{`not in this version`}},
	} {
		s, errs := NewTransient(c.t)
		if s != nil {
			t.Errorf("%+v is accepted", c.t)
		}
		wantErrors(t, errs, c.want...)
		for _, e := range errs {
			if e.File != "" || e.Line != 0 || strings.HasPrefix(e.Error(), ":") || strings.Contains(e.Message, "secret") {
				t.Errorf("error %#v", e)
			}
		}
	}
}
