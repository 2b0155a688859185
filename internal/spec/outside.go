package spec

import (
	"bytes"
	"errors"
	"io/fs"
	"unicode/utf8"
)

// A fileRef is one mention of a file, or of a pattern of files, by its absolute path.
type fileRef struct {
	path     string
	optional bool // it may be missing
	at       place
}

// outside is a Source that reads each file once and remembers which it read.
type outside struct {
	Source
	read     []string // files that were read, in that order
	envFiles map[string][]Var
}

// document reads a file. Complaints about reading stand at from, or at the file itself if from is the zero place; nil
// is returned after one.
func (o *outside) document(errs *problems, file string, from place) *document {
	text, err := o.ReadFile(file)
	if err != nil {
		if from.doc == nil {
			errs.add(place{&document{file: file}, whole}, "", "read: %v", cause(err))
		} else {
			errs.add(from, "", "read %q: %v", file, cause(err))
		}
		return nil
	}
	return o.take(errs, file, text)
}

// take makes a document of what was read, without the byte order mark that some editors write. It must be UTF-8: all
// that comes of it travels as JSON, which has nothing else.
func (o *outside) take(errs *problems, file string, text []byte) *document {
	o.read = append(o.read, file)
	doc := &document{file: file, text: bytes.TrimPrefix(text, []byte("\ufeff"))}
	if i := invalidUTF8(doc.text); i >= 0 {
		errs.add(place{doc, i}, "save it as UTF-8", "the file is not UTF-8")
		return nil
	}
	return doc
}

// invalidUTF8 returns the offset of the first byte that is none, -1 if all are.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// variables returns what an env_file sets.
func (o *outside) variables(errs *problems, f fileRef) []Var {
	if vars, ok := o.envFiles[f.path]; ok {
		return vars
	}
	var vars []Var
	text, err := o.ReadFile(f.path)
	switch {
	case err == nil:
		if doc := o.take(errs, f.path, text); doc != nil {
			vars = parseEnvFile(errs, doc)
		}
	case errors.Is(err, fs.ErrNotExist) && f.optional:
	default: // not kept: each mention of the file gets its own complaint
		errs.add(f.at, `begin the name with "-" if it may be missing`, "read env_file %q: %v", f.path, cause(err))
		return nil
	}
	if o.envFiles == nil {
		o.envFiles = map[string][]Var{}
	}
	o.envFiles[f.path] = vars
	return vars
}
