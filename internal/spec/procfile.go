package spec

import (
	"path"
	"strings"
)

// procfile reads a Procfile: lines "name: command", each a service whose command a shell runs in the directory of the
// file. Empty lines and lines that begin with # are skipped. A .env beside it is an env_file of all, as everywhere where
// Procfiles are used.
func (l *loader) procfile(doc *document) {
	env := fileRef{path: path.Join(path.Dir(doc.file), ".env"), optional: true, at: place{doc, 0}}
	offset := 0
	for line := range strings.Lines(string(doc.text)) {
		at := place{doc, offset}
		offset += len(line)
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, command, ok := strings.Cut(line, ":")
		command = strings.TrimSpace(command)
		if !ok || command == "" || strings.ContainsAny(name, " \t") {
			l.errs.add(at, "for example: web: bin/serve --port 8080", "%q is not a name and a command", shorten(line))
			continue
		}
		d := l.define("service", name, at)
		d.files = []fileRef{env}
		d.shell = true
		d.put(&l.errs, "command", &node{kind: stringKind, at: at, text: command})
	}
}

// put sets one key by its path, for what is not written as TOML.
func (d *draft) put(errs *problems, path string, value *node) { d.set(errs, serviceTree, path, value) }

// set is put for a key of one tree.
func (d *draft) set(errs *problems, b *branch[*draft], path string, value *node) {
	for part := range strings.SplitSeq(path, ".") {
		b = b.kids[part]
	}
	b.key.set(d, slot{errs, value, b.key.Key, b.key.example})
}
