package spec

import (
	"slices"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // NAME=VALUE
	}{
		{"", nil},
		{"\n  \n# x\n  # y\n", nil},
		{"A=1\nB=2", []string{"A=1", "B=2"}},
		{"A=1\r\nB=2\r\n", []string{"A=1", "B=2"}},
		{"export A=1\nexport\t=x", []string{"A=1", "export=x"}},
		{" A = 1 \nB=\nC=  ", []string{"A=1", "B=", "C="}},
		{"A=1 # comment\nB=1#2\nC=#x\nD=a b", []string{"A=1", "B=1#2", "C=", "D=a b"}},
		{"A='x # y \\n'\nB=\"x # \\\"y\\\"\\n\\t\\$\\z\" # c", []string{`A=x # y \n`, "B=x # \"y\"\n\t$\\z"}},
		{"A='1\n2'\nB=\"3\n4\"\nC=5", []string{"A=1\n2", "B=3\n4", "C=5"}},
		{`A="\ä\q"`, []string{`A=\ä\q`}},
		{"A=$HOME/x\nB=a=b", []string{"A=$HOME/x", "B=a=b"}},
		{"A.B=1\nä=2", []string{"A.B=1", "ä=2"}},
	} {
		var errs problems
		got := parseEnvFile(&errs, &document{file: "/x", text: []byte(c.text)})
		var list []string
		for _, v := range got {
			list = append(list, v.Name+"="+v.Value)
			if v.From != FromFile {
				t.Errorf("%q: %q is from %q", c.text, v.Name, v.From)
			}
		}
		if len(errs.list) > 0 || !slices.Equal(list, c.want) {
			t.Errorf("parseEnvFile(%q) = %q, %v, want %q", c.text, list, errs.list, c.want)
		}
	}
}

func TestParseEnvFileErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		want string
	}{
		{"A=1\nsecret", "/x:2:1: the line is not an assignment\n  for example: NAME=value"},
		{"=1", "/x:1:1: the line is not an assignment\n  for example: NAME=value"},
		{"  A B=1", "/x:1:3: the line is not an assignment\n  for example: NAME=value"},
		{"\nA='x\ny", "/x:2:3: unbalanced quote\n  close it in the same file"},
		{"A=\"x\\", "/x:1:3: unbalanced quote\n  close it in the same file"},
		{"A='x'y", "/x:1:6: text after the closing quote\n  put the whole value in quotes"},
		{"A=x\x00y", `/x:1:1: the value of "A" contains a NUL byte`},
	} {
		var errs problems
		parseEnvFile(&errs, &document{file: "/x", text: []byte(c.text)})
		if len(errs.list) == 0 || errs.list[0].Error() != c.want {
			t.Errorf("parseEnvFile(%q): %v, want %q", c.text, errs.list, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	fs := files{
		"/srv/a.env":      "A=file\nB=file\nPATH=file",
		"/srv/sub/b.env":  "B=second",
		"/srv/stay.toml":  "",
		"/srv/broken.env": "A",
	}
	for _, c := range []struct {
		name, defaults, keys string
		want                 []string
	}{
		{"default", "", "", []string{"HOME=/root", "LANG=C", "PATH=/bin"}},
		{"none", "", "env_inherit = false", nil},
		{"list", "", `env_inherit = ["SECRET", "NOT_SET"]`, []string{"SECRET=x"}},
		{"all but what misleads", "", "env_inherit = true", []string{"HOME=/root", "LANG=C", "PATH=/bin", "SECRET=x"}},
		{"files in order, env wins", "", "env_inherit = [\"PATH\"]\nenv_file = [\"a.env\", \"-sub/b.env\", \"-/none\"]\nenv = { A = \"key\" }",
			[]string{"A=key", "B=second", "PATH=file"}},
		{"defaults merge", "env_inherit = false\nenv = { A = \"1\", B = \"1\" }\nenv_file = [\"a.env\"]", "env = { B = \"2\" }\nenv_file = []",
			[]string{"A=1", "B=2"}},
		{"off again", "env_inherit = true", "env_inherit = []", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs["/srv/stay.toml"] = "[defaults]\n" + c.defaults + "\n[service.x]\ncommand = \"x\"\n" + c.keys
			if got := env(fs.load(t).Service("x")); !slices.Equal(got, c.want) {
				t.Errorf("environment %q, want %q", got, c.want)
			}
		})
	}
}

func TestEnvFileErrors(t *testing.T) {
	fs := files{
		"/srv/broken.env": "A",
		"/srv/stay.toml":  "[defaults]\nenv_file = [\"broken.env\", \"gone.env\"]\n[service.x]\ncommand = \"x\"\n[service.y]\ncommand = \"y\"",
	}
	_, errs := Load("/srv/stay.toml", fs.source())
	wantErrors(t, errs,
		"/srv/broken.env:1:1: the line is not an assignment",
		`/srv/stay.toml:2:27: read env_file "/srv/gone.env": file does not exist`)
}
