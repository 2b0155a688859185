package spec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.err as they are now")

// TestGolden loads each file of testdata and compares all its errors with the .err file beside it.
func TestGolden(t *testing.T) {
	list, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range list {
		ext := filepath.Ext(name)
		if ext != ".toml" && ext != ".procfile" {
			continue
		}
		seen++
		t.Run(filepath.Base(name), func(t *testing.T) { golden(t, filepath.Base(name)) })
	}
	if seen < 10 {
		t.Errorf("%d files in testdata, there were more", seen)
	}
}

// golden compares the errors of one file of testdata.
func golden(t *testing.T, name string) {
	ext := filepath.Ext(name)
	file := "/conf/stay" + ext
	c, errs := Load(file, files{file: readTestdata(t, name)}.source())
	if (c == nil) != (len(errs) > 0) {
		t.Errorf("a configuration and errors, or neither: %v", errs)
	}
	got := strings.ReplaceAll(errs.Error(), "/conf/", "")
	want := strings.TrimSuffix(name, ext) + ".err"
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", want), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readTestdata(t, want); got != want {
		t.Errorf("errors of %s:\n%s\nwant:\n%s", name, got, want)
	}
}

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
