package spec

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"web": true, "0": true, "a_b-c": true, "a-": true, strings.Repeat("x", 63): true,
		"": false, "all": false, "Web": false, "-x": false, "_x": false, "a.b": false, "a b": false, "é": false, "a/b": false,
		strings.Repeat("x", 64): false,
	} {
		problem, hint := checkName(name)
		if (problem == "") != ok || (hint == "") != ok {
			t.Errorf("checkName(%q) = %q, %q, want ok %v", name, problem, hint, ok)
		}
	}
}

func TestMakeName(t *testing.T) {
	for text, want := range map[string]string{
		"sleep": "sleep", "My App.sh": "my-app-sh", "_x-": "x", "": "run", "all": "run", "...": "run", "Ünder": "nder",
		strings.Repeat("x", 100): strings.Repeat("x", 63),
	} {
		got := makeName(text)
		if got != want {
			t.Errorf("makeName(%q) = %q, want %q", text, got, want)
		}
		if problem, _ := checkName(got); problem != "" {
			t.Errorf("makeName(%q) = %q: %s", text, got, problem)
		}
	}
}

func TestInstances(t *testing.T) {
	for _, c := range []struct {
		service string
		n       int
		name    string
	}{{"web", 1, "web"}, {"web", 2, "web.2"}, {"a-b_c", 10000, "a-b_c.10000"}} {
		if got := InstanceName(c.service, c.n); got != c.name {
			t.Errorf("InstanceName(%q, %d) = %q, want %q", c.service, c.n, got, c.name)
		}
		if s, n, ok := ParseInstance(c.name); s != c.service || n != c.n || !ok {
			t.Errorf("ParseInstance(%q) = %q, %d, %v", c.name, s, n, ok)
		}
	}
	if s, n, ok := ParseInstance("web.1"); s != "web" || n != 1 || !ok {
		t.Errorf("ParseInstance(web.1) = %q, %d, %v", s, n, ok)
	}
	for _, name := range []string{"", "all", "web.", ".2", "web.0", "web.-1", "web.+2", "web.02", "web.x", "web.2.3", "Web", "web.99999999999999999999"} {
		if s, n, ok := ParseInstance(name); ok {
			t.Errorf("ParseInstance(%q) = %q, %d, want none", name, s, n)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"command", "user", "env", "env_file", "stop", "restart", "timeout"}
	for name, want := range map[string]string{
		"comand": "command", "commnad": "command", "COMMAND": "command", "usr": "user", "emv": "env", "env_files": "env_file",
		"restrat": "restart", "time": "timeout", "foo": "", "x": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(name, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
