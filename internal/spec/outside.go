package spec

import (
	"errors"
	"io/fs"
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

// document reads a file. Complaints stand at from, or at the file itself if from is the zero place.
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
	o.read = append(o.read, file)
	return &document{file: file, text: text}
}

// variables returns what an env_file sets.
func (o *outside) variables(errs *problems, f fileRef) []Var {
	if vars, ok := o.envFiles[f.path]; ok {
		return vars
	}
	text, err := o.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) && f.optional {
		return nil
	}
	if err != nil {
		errs.add(f.at, `begin the name with "-" if it may be missing`, "read env_file %q: %v", f.path, cause(err))
		return nil
	}
	o.read = append(o.read, f.path)
	vars := parseEnvFile(errs, &document{file: f.path, text: text})
	if o.envFiles == nil {
		o.envFiles = map[string][]Var{}
	}
	o.envFiles[f.path] = vars
	return vars
}
