package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// goodTable is a table as this version writes it.
func goodTable(t testing.TB) table {
	t.Helper()
	frozen, err := spec.Encode(&spec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return table{Format: handoverFormat, Config: mustJSON(string(frozen)), Daemon: daemonRecord{Mode: running},
		Units: map[string]json.RawMessage{"web.2": mustJSON(record{Service: "web", Number: 2, Unit: unit.Unit{Phase: unit.Ready, Gen: 3}})}}
}

// TestCheckTable: what another version has added is ignored, what this one cannot do without is missed.
func TestCheckTable(t *testing.T) {
	good := string(mustJSON(goodTable(t)))
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{`"service":"web"`, `"service":"web","added":{"later":[1]}`, ""},
		{`{"format":`, `{"added":1,"format":`, ""},
		{`"format":1`, `"format":2`, "format 2, this program knows 1"},
		{`"service":"web"`, `"service":""`, `record of "web.2"`},
		{`"service":"web"`, `"service":7`, `record of "web.2"`},
		{`"units"`, `"others"`, ""},
		{`"config":`, `"config":7,"was":`, "applied configuration"},
		{`"config":`, `"config":"{","was":`, "applied configuration"},
		{`{`, ``, "table"},
	} {
		text := good
		if c.old != "" {
			if !strings.Contains(good, c.old) {
				t.Errorf("%s is not in %s", c.old, good)
			}
			text = strings.Replace(good, c.old, c.new, 1)
		}
		err := CheckTable([]byte(text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s for %s: %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

// FuzzCheckTable: a table may be anything, and is refused or taken, never more.
func FuzzCheckTable(f *testing.F) {
	f.Add([]byte(mustJSON(goodTable(f))))
	f.Add([]byte(`{"format":1,"config":"{}","units":{"a":{"service":"a"}}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := CheckTable(data); err != nil && err.Error() == "" {
			t.Error("refused without a word")
		}
	})
}

// TestOpenProgram: who else could write it could be anybody.
func TestOpenProgram(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		mode os.FileMode
		want string
	}{{0o700, ""}, {0o755, ""}, {0o775, ""}, {0o600, "not executable"}, {0o777, "everybody can write"}} {
		path := filepath.Join(dir, c.mode.String())
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		f, err := openProgram(path)
		if f != nil {
			f.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.mode, err, c.want)
		}
	}
	if _, err := openProgram("stayd"); err == nil {
		t.Error("a relative path was opened")
	}
}
