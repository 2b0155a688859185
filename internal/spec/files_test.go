package spec

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// files is a file system in memory, absolute path to content.
type files map[string]string

// source returns a Source of the files with a fixed environment.
func (f files) source() Source {
	return Source{
		ReadFile: func(name string) ([]byte, error) {
			text, ok := f[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
		Glob: func(pattern string) ([]string, error) {
			var found []string
			for name := range f {
				ok, err := path.Match(pattern, name)
				if err != nil {
					return nil, err
				}
				if ok {
					found = append(found, name)
				}
			}
			return found, nil
		},
		Environ: []string{"PATH=/bin", "HOME=/root", "LANG=C", "SECRET=x", "NOTIFY_SOCKET=/run/n", "STAY_SERVICE=y", "ODD"},
		CPUs:    3,
	}
}

// load reads /srv/stay.toml of the files and fails the test on any error.
func (f files) load(t *testing.T) *Config {
	t.Helper()
	return f.loadFile(t, "/srv/stay.toml")
}

func (f files) loadFile(t *testing.T, file string) *Config {
	t.Helper()
	c, errs := Load(file, f.source())
	if errs != nil {
		t.Fatalf("Load: %v", errs)
	}
	return c
}

// one returns the service of a configuration text that defines one named x.
func one(t *testing.T, keys string) *Service {
	t.Helper()
	return files{"/srv/stay.toml": "[service.x]\ncommand = \"x\"\n" + keys}.load(t).Service("x")
}

// wantErrors checks messages and hints against substrings, one each.
func wantErrors(t *testing.T, errs Errors, want ...string) {
	t.Helper()
	if len(errs) != len(want) {
		t.Errorf("%d errors, want %d:\n%v", len(errs), len(want), errs)
		return
	}
	for i, w := range want {
		if !strings.Contains(errs[i].Error(), w) {
			t.Errorf("error %d is\n  %v\nwant it to contain\n  %s", i, errs[i], w)
		}
	}
}

// env returns the environment of a service as NAME=VALUE.
func env(s *Service) []string {
	var list []string
	for _, v := range s.Env {
		list = append(list, v.Name+"="+v.Value)
	}
	if !slices.IsSortedFunc(s.Env, byName) {
		list = append(list, "(not sorted)")
	}
	return list
}
