// Package docs holds the pages about stay, and tests that what they point at is there.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are all pages of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../*.md", "*.md", "*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 5 {
		t.Fatalf("found only %v", all)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)

// TestLinks follows every link to a file.
func TestLinks(t *testing.T) {
	count := 0
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			count++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link %q: %v", page, m[1], err)
			}
		}
	}
	if count == 0 {
		t.Error("there is no link: is the pattern right?")
	}
}

var function = regexp.MustCompile("`((?:internal|cmd|client|api)[a-z/]*): ([A-Za-z]+)`")

// TestFunctions looks for every function that a page names as `PACKAGE: NAME`.
func TestFunctions(t *testing.T) {
	count := 0
	for _, page := range pages(t) {
		for _, m := range function.FindAllStringSubmatch(read(t, page), -1) {
			count++
			if !hasFunction(t, filepath.Join("..", m[1]), m[2]) {
				t.Errorf("%s: package %s has no function or method %s", page, m[1], m[2])
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d functions are named: is the pattern right?", count)
	}
}

func hasFunction(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `[(\[]`)
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && declared.MatchString(read(t, file)) {
			return true
		}
	}
	return false
}

// TestHasFunction sees to it that the search says no, too.
func TestHasFunction(t *testing.T) {
	for name, want := range map[string]bool{"Step": true, "step": true, "Stepp": false, "TestMatrix": false} {
		if got := hasFunction(t, "../internal/unit", name); got != want {
			t.Errorf("function %s of internal/unit: %v, want %v", name, got, want)
		}
	}
}
