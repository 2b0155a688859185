// Package reference holds the pages that are made from the code, and the tests that make them and compare them with it.
package reference

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/stay/internal/spec"
)

var update = flag.Bool("update", false, "write the pages anew")

// chapters are the tables of the page, each for the keys below its prefix.
var chapters = []struct{ title, prefix, text string }{
	{"`[stay]`: the daemon", "stay.", "All of it is optional."},
	{"`[defaults]`: for all services", "defaults", ""},
	{"`[service.NAME]`: a service", "service.*.", "Only `command` is needed."},
	{"`[job.NAME]`: a job", "job.*.", "A job has the keys of a service and these."},
}

const head = `# The file

Made from the declarations that also read the file, by ` + "`go test ./docs/reference -update`" + `, and compared with them in
every test run.

The file is TOML. It is named with ` + "`-f FILE`" + `, else it is ` + "`./stay.toml`, `./Procfile` or `/etc/stay/stay.toml`" + `, the
first that is there. A key that is not in these tables is an error, told with its place and the nearest known key.

- **Names** of services are 1 to 63 characters of ` + "`a-z 0-9 _ -`" + `, begin with a letter or digit, and are not ` + "`all`" + `.
  Instance 1 of ` + "`web` is called `web`, the others `web.2`, `web.3`…" + `
- **Durations** are strings: ` + "`\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"1d\"`" + `, and sums such as ` + "`\"1h30m\"`" + `.
- **Sizes** are strings or numbers of bytes: ` + "`\"64KiB\"` is 65,536 bytes, `\"10MB\"` is 10,000,000" + `.
- **Rates** are strings: ` + "`\"200/s\"`, `\"100/m\"`" + `.
- **Signals** are named as in signal(7), with or without SIG: ` + "`\"TERM\"`, `\"SIGHUP\"`" + `, or numbered.
- A key with a dot can also be written as a table: ` + "`stop.timeout = \"20s\"` is `stop = { timeout = \"20s\" }`" + `.

A key under "not in this version" is known and refused, so that no file seems to do what it does not.
`

// page is docs/reference/configuration.md as it should be.
func page(keys []spec.Key) string {
	var b strings.Builder
	b.WriteString(head)
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n", c.title)
		if c.text != "" {
			b.WriteString(c.text + "\n\n")
		}
		known, later := below(keys, c.prefix)
		if len(known) > 0 {
			b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
		}
		for _, k := range known {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Path, cell(k.Type), code(k.Default), cell(k.Doc))
		}
		if len(later) > 0 {
			fmt.Fprintf(&b, "\nNot in this version:\n\n| key | meaning |\n|---|---|\n")
		}
		for _, k := range later {
			fmt.Fprintf(&b, "| `%s` | %s |\n", k.Path, cell(k.Doc))
		}
	}
	return strings.ReplaceAll(b.String(), "\n\n\n", "\n\n")
}

// below returns the keys of one table of the file by their names in it: those that this version reads, and those that it
// refuses.
func below(keys []spec.Key, prefix string) (known, later []spec.Key) {
	for _, k := range keys {
		name, ok := strings.CutPrefix(k.Path, prefix)
		if !ok {
			continue
		}
		if name != "" {
			k.Path = name
		}
		if k.Later {
			later = append(later, k)
		} else {
			known = append(known, k)
		}
	}
	return known, later
}

// cell is text as a table shows it.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(text) }

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

// TestConfiguration compares configuration.md with the declarations of the keys, or writes it (-update).
func TestConfiguration(t *testing.T) {
	const file = "configuration.md"
	got := page(spec.Keys())
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	t.Errorf("%s is not what the code reads: go test ./docs/reference -update", file)
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("line %d\n  page %s\n  code %s", i+1, w[i], g[i])
		}
	}
	if len(g) != len(w) {
		t.Errorf("the page has %d lines, the code makes %d", len(w), len(g))
	}
}

// TestEveryKeyIsOnThePage finds a key that no chapter shows.
func TestEveryKeyIsOnThePage(t *testing.T) {
	shown := map[string]bool{}
	for _, c := range chapters {
		for _, k := range spec.Keys() {
			if strings.HasPrefix(k.Path, c.prefix) {
				if shown[k.Path] {
					t.Errorf("key %q is in two chapters", k.Path)
				}
				shown[k.Path] = true
			}
		}
	}
	for _, k := range spec.Keys() {
		if !shown[k.Path] {
			t.Errorf("key %q is in no chapter", k.Path)
		}
		if k.Doc == "" || !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("key %q: its description is no sentence: %q", k.Path, k.Doc)
		}
	}
}
