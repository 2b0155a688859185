package arch

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRules holds the module against the rules.
func TestRules(t *testing.T) {
	code, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if code.packages["internal/arch"] == nil || code.packages["api"] == nil {
		t.Fatalf("read %d packages and not those that are surely there: %v", len(code.packages), code.folders())
	}
	for _, line := range check(code) {
		t.Error(line)
	}
}

// TestRulesAreWellFormed finds rules that name nothing, which would hold for ever.
func TestRulesAreWellFormed(t *testing.T) {
	known := map[string]bool{}
	for _, l := range layers {
		if known[l.name] {
			t.Errorf("layer %q is there twice", l.name)
		}
		known[l.name] = true
		if l.why == "" {
			t.Errorf("layer %q has no reason", l.name)
		}
		for _, p := range l.packages {
			if got := layerOf(strings.ReplaceAll(p, "*", "x")); got == nil || got.name != l.name {
				t.Errorf("folder %q is in two layers", p)
			}
			known[p] = true
		}
	}
	need := func(rule string, names []string, more ...string) {
		for _, n := range names {
			if !known[n] && !slices.Contains(more, n) {
				t.Errorf("%s names %q, which is nothing", rule, n)
			}
		}
	}
	var paths []string
	for _, lib := range libraries {
		need("library "+lib.path, lib.by)
		paths = append(paths, lib.path)
		if lib.why == "" {
			t.Errorf("library %q has no reason", lib.path)
		}
	}
	for _, l := range layers {
		need("layer "+l.name, l.may)
	}
	for _, c := range closures {
		need("closure of "+c.root, c.never, paths...)
		if layerOf(c.root) == nil || c.why == "" {
			t.Errorf("closure of %q: no such layer, or no reason", c.root)
		}
	}
}

// good is a small module that keeps every rule, in the folders of the real one.
func good() map[string]string {
	return map[string]string{
		"go.mod":                     "module example.com/stay\n\ngo 1.26\n",
		"api/api.go":                 "// Package api has types.\npackage api\n\nimport \"time\"\n\ntype T time.Time\n",
		"client/client.go":           "// Package client asks.\npackage client\n\nimport (\n\t_ \"net/http\"\n\n\t_ \"example.com/stay/api\"\n)\n",
		"internal/spec/spec.go":      "// Package spec reads.\npackage spec\n\nimport _ \"github.com/pelletier/go-toml/v2/unstable\"\n",
		"internal/graph/graph.go":    "// Package graph orders.\npackage graph\n",
		"internal/unit/unit.go":      "// Package unit steps.\npackage unit\n\nimport (\n\t\"time\"\n\n\t_ \"example.com/stay/internal/spec\"\n)\n\nvar D time.Duration = time.Second\n",
		"internal/notify/notify.go":  "// Package notify hears.\npackage notify\n\nimport (\n\t\"os\"\n\t\"time\"\n\n\t_ \"golang.org/x/sys/unix\"\n)\n\nvar T, F = time.Now(), os.Stdin\n",
		"internal/notify/x_test.go":  "package notify\n\nimport (\n\t_ \"testing\"\n\n\t_ \"example.com/stay/internal/engine\"\n)\n",
		"internal/engine/engine.go":  "// Package engine decides.\npackage engine\n\nimport (\n\t_ \"example.com/stay/api\"\n\t_ \"example.com/stay/internal/notify\"\n\t_ \"example.com/stay/internal/unit\"\n)\n",
		"internal/control/routes.go": "// Package control answers.\npackage control\n\nimport (\n\t_ \"net/http\"\n\n\t_ \"example.com/stay/api\"\n)\n",
		"internal/cli/cli.go":        "// Package cli talks.\npackage cli\n\nimport (\n\t_ \"github.com/spf13/cobra\"\n\n\t_ \"example.com/stay/client\"\n)\n",
		"cmd/stayd/main.go":          "// Command stayd serves.\npackage main\n\nimport (\n\t_ \"example.com/stay/internal/control\"\n\t_ \"example.com/stay/internal/engine\"\n)\n",
		"cmd/stay/main.go":           "// Command stay asks.\npackage main\n\nimport _ \"example.com/stay/internal/cli\"\n",
		"testdata/bad.go":            "package ;",
		"other/go.mod":               "module other\n",
		"other/other.go":             "package other\n\nimport _ \"unknown.org/x\"\n",
		"_old/old.go":                "package ;",
	}
}

// checkFiles is check for sources in memory.
func checkFiles(t *testing.T, files map[string]string) []string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	code, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return check(code)
}

func TestCheckerAcceptsGoodSources(t *testing.T) {
	if bad := checkFiles(t, good()); len(bad) > 0 {
		t.Errorf("complaints:\n%s", strings.Join(bad, "\n"))
	}
}

func TestCheckerFindsForbiddenImports(t *testing.T) {
	tests := []struct{ folder, imports, want string }{
		{"internal/spec", "os", "policy imports os: a policy does no input"},
		{"internal/spec", "os/exec", "policy imports os/exec: a policy "},
		{"internal/graph", "net/netip", "policy imports net/netip: a policy does no input"},
		{"internal/graph", "log/slog", "policy imports log/slog: a policy returns"},
		{"internal/unit", "sync/atomic", "policy imports sync/atomic: a policy has one goroutine"},
		{"internal/unit", "context", "policy imports context: a policy neither"},
		{"internal/backoff", "math/rand/v2", "policy imports math/rand/v2: the same input"},
		{"internal/backoff", "golang.org/x/sys/unix", "policy imports golang.org/x/sys/unix: system calls"},
		{"internal/backoff", "example.com/stay/api", "policy imports api: a policy decides"},
		{"internal/unit", "example.com/stay/internal/notify", "policy imports internal/notify: a policy decides"},
		{"internal/graph", "github.com/pelletier/go-toml/v2", "policy imports github.com/pelletier/go-toml/v2: nobody else"},
		{"internal/keeper", "example.com/stay/internal/notify", "mechanism imports internal/notify: a mechanism wraps"},
		{"internal/launch", "example.com/stay/internal/spec", "mechanism imports internal/spec: a mechanism wraps"},
		{"internal/capture", "example.com/stay/api", "mechanism imports api: a mechanism wraps"},
		{"internal/proctree", "net/http", "mechanism imports net/http: HTTP is"},
		{"internal/proctree", "testing", "mechanism imports testing: it belongs"},
		{"internal/engine", "example.com/stay/internal/control", "engine imports internal/control: the engine puts"},
		{"internal/engine", "example.com/stay/client", "engine imports client: the engine puts"},
		{"internal/engine", "net/http", "engine imports net/http: HTTP is"},
		{"internal/control", "example.com/stay/internal/engine", "control imports internal/engine: control translates"},
		{"internal/control", "example.com/stay/internal/spec", "control imports internal/spec: control translates"},
		{"internal/cli", "example.com/stay/internal/spec", "face imports internal/spec: a face sees"},
		{"internal/cli", "example.com/stay/internal/new", "face imports internal/new: a face sees"},
		{"client", "example.com/stay/internal/spec", "client imports internal/spec: other people's"},
		{"client", "golang.org/x/sys/unix", "client imports golang.org/x/sys/unix: system calls"},
		{"api", "example.com/stay/client", "wire types imports client: other people's"},
		{"api", "golang.org/x/sys/unix", "wire types imports golang.org/x/sys/unix: system calls"},
		{"api", "example.com/stay", "wire types imports .: other people's"},
		{"internal/arch", "example.com/stay/api", "rules imports api: the rules depend"},
		{"internal/engine", "unknown.org/library", "imports unknown.org/library, which no rule knows"},
		{"cmd/stayd", "github.com/spf13/cobra", "command imports github.com/spf13/cobra: arguments"},
		{"cmd/stayd", "example.com/stay/internal/cli", "cmd/stayd is made of internal/cli: the daemon is small"},
		{"cmd/stayd", "example.com/stay/client", "cmd/stayd is made of client: the daemon is small"},
		{"internal/control", "example.com/stay/client", "cmd/stayd is made of internal/control → client: the daemon"},
		{"internal/engine", "github.com/spf13/cobra", "cmd/stayd is made of internal/engine → github.com/spf13/cobra: the"},
	}
	for _, tt := range tests {
		t.Run(tt.folder+" "+tt.imports, func(t *testing.T) {
			files := good()
			name := tt.folder[strings.LastIndex(tt.folder, "/")+1:]
			if strings.HasPrefix(tt.folder, "cmd/") {
				name = "main"
			}
			if !slices.ContainsFunc(keys(files), func(f string) bool { return strings.HasPrefix(f, tt.folder+"/") }) {
				files[tt.folder+"/doc.go"] = fmt.Sprintf("// Package %s is new.\npackage %s\n", name, name)
			}
			files[tt.folder+"/bad.go"] = fmt.Sprintf("package %s\n\nimport _ %q\n", name, tt.imports)
			bad := checkFiles(t, files)
			if !slices.ContainsFunc(bad, func(line string) bool { return strings.Contains(line, tt.want) }) {
				t.Errorf("complaints:\n%s\nwant one with\n%s", strings.Join(bad, "\n"), tt.want)
			}
			for _, line := range bad {
				if !strings.HasPrefix(line, tt.folder+"/bad.go:3: ") && !strings.HasPrefix(line, "cmd/stayd is made of ") {
					t.Errorf("a complaint about something else: %s", line)
				}
			}
		})
	}
}

func TestCheckerFindsImpureCode(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"goroutine", "func f() { go f() }", "a goroutine"},
		{"channel type", "var c chan int", "a channel"},
		{"send", "func f() { x() <- 1 }", "a channel"},
		{"receive", "func f() { <-x() }", "a channel"},
		{"select", "func f() { select {} }", "select"},
		{"clock", "import \"time\"\nvar t = time.Now()", "time.Now"},
		{"clock as a value", "import \"time\"\nvar now = time.Now", "time.Now"},
		{"clock under another name", "import clock \"time\"\nvar t = clock.Since", "time.Since"},
		{"sleep", "import \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep"},
		{"after", "import \"time\"\nfunc f() { _ = time.After(1) }", "time.After"},
		{"tick", "import \"time\"\nfunc f() { _ = time.Tick(1) }", "time.Tick"},
		{"timer", "import \"time\"\nfunc f() { _ = time.NewTimer(1) }", "time.NewTimer"},
		{"timer as a type", "import \"time\"\nvar t *time.Timer", "time.Timer"},
		{"no name", "import . \"time\"\nvar t = Now()", "without its name"},
		{"output", "import \"fmt\"\nfunc f() { fmt.Println() }", "fmt.Println"},
		{"files", "import \"path/filepath\"\nvar g = filepath.Glob", "path/filepath.Glob"},
		{"duration is no clock", "import \"time\"\nvar d = time.Second\nvar t time.Time", ""},
		{"a method of that name", "import \"time\"\nvar b = time.Time{}.After(time.Time{})", ""},
		{"a field of that name", "type s struct{ Now int }\nvar n = s{}.Now", ""},
		{"another package's Now", "import time \"strings\"\nvar n = time.Now", ""},
		{"spelling is no output", "import \"fmt\"\nvar s = fmt.Sprintf(\"\")", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := good()
			files["internal/graph/bad.go"] = "package graph\n\n" + tt.src + "\n"
			bad := checkFiles(t, files)
			if tt.want == "" {
				if len(bad) > 0 {
					t.Errorf("complaints:\n%s", strings.Join(bad, "\n"))
				}
				return
			}
			if len(bad) == 0 || !strings.HasPrefix(bad[0], "internal/graph/bad.go:") || !strings.Contains(bad[0], tt.want) {
				t.Errorf("complaints:\n%s\nwant one about %s", strings.Join(bad, "\n"), tt.want)
			}
			files["internal/engine/bad.go"] = strings.Replace(files["internal/graph/bad.go"], "package graph", "package engine", 1)
			delete(files, "internal/graph/bad.go")
			if bad := checkFiles(t, files); len(bad) > 0 {
				t.Errorf("the engine may, but:\n%s", strings.Join(bad, "\n"))
			}
		})
	}
}

func TestCheckerFindsMissingDocs(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", map[string]string{"internal/graph/graph.go": "package graph\n"}, "internal/graph: has 0 package comments"},
		{"two", map[string]string{"internal/graph/more.go": "// Package graph too.\npackage graph\n"}, "internal/graph: has 2 package comments"},
		{"another name", map[string]string{"internal/graph/graph.go": "// Package graphs is.\npackage graph\n"}, `does not begin with "Package graph "`},
		{"no name", map[string]string{"internal/graph/graph.go": "// Orders services.\npackage graph\n"}, `does not begin with "Package graph "`},
		{"apart from its package", map[string]string{"internal/graph/graph.go": "// Package graph is.\n\npackage graph\n"}, "has 0 package comments"},
		{"command", map[string]string{"cmd/stayd/main.go": "// Package main is.\npackage main\n"}, `does not begin with "Command stayd "`},
		{"no layer", map[string]string{"internal/new/new.go": "// Package new is.\npackage new\n"}, "internal/new: belongs to no layer"},
		{"below a layer's folder", map[string]string{"internal/graph/sub/sub.go": "// Package sub is.\npackage sub\n"}, "internal/graph/sub: belongs to no layer"},
		{"in the root", map[string]string{"stay.go": "// Package stay is.\npackage stay\n"}, ".: belongs to no layer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := good()
			for name, src := range tt.files {
				files[name] = src
			}
			bad := checkFiles(t, files)
			if len(bad) != 1 || !strings.Contains(bad[0], tt.want) {
				t.Errorf("complaints:\n%s\nwant one with\n%s", strings.Join(bad, "\n"), tt.want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		fsys fs.FS
		want string
	}{
		{"no module", fstest.MapFS{}, "go.mod"},
		{"no module line", fstest.MapFS{"go.mod": {Data: []byte("go 1.26\n")}}, "no module line"},
		{"no Go", fstest.MapFS{"go.mod": {Data: []byte("module m\n")}, "a/a.go": {Data: []byte("package ;")}}, "a/a.go"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := load(tt.fsys); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func keys(m map[string]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}
