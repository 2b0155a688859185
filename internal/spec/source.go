package spec

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A Source is the only way from here to the outside: Load reads what it names and nothing else, so that it can be run
// on any text. The caller fills it with functions of os and filepath.
type Source struct {
	// ReadFile returns the content of a file. Its error says "not there" by wrapping fs.ErrNotExist.
	ReadFile func(path string) ([]byte, error)
	// Glob returns the existing files that match the absolute pattern, in any order.
	Glob func(pattern string) ([]string, error)
	// Zone returns a time zone by its name in the tz database; "" is the machine's own. Nil: times are not checked.
	Zone func(name string) (*time.Location, error)
	// Environ is the daemon's own environment as NAME=VALUE, what env_inherit takes from.
	Environ []string
	// CPUs is what instances = "cpu" means; below 1 it counts as 1.
	CPUs int
}

// An Error is one thing that is wrong with the configuration.
type Error struct {
	File    string // absolute; "" for what came from no file
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1, in bytes; 0: the file as a whole
	Message string // one line
	Hint    string // one line: what would be right; may be ""
}

// Error returns "file:line:column: message" and, on a line of its own, the hint.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("\n  ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Errors is everything that is wrong, sorted by file, line and column. Nil means that nothing is.
type Errors []Error

// Error returns all errors, one after the other.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A document is the text of one file and where its lines begin.
type document struct {
	file  string
	text  []byte
	lines []int // offset of the first byte of each line; built when first asked for
}

// A place is a byte of a document. The zero place is nowhere: what came from no file.
type place struct {
	doc    *document
	offset int
}

// whole is the place of errors about a file as such.
const whole = -1

// locate returns file, line and column of p.
func (p place) locate() (file string, line, column int) {
	if p.doc == nil {
		return "", 0, 0
	}
	if p.offset == whole {
		return p.doc.file, 0, 0
	}
	if p.doc.lines == nil {
		p.doc.lines = []int{0}
		for i, c := range p.doc.text {
			if c == '\n' {
				p.doc.lines = append(p.doc.lines, i+1)
			}
		}
	}
	i, found := slices.BinarySearch(p.doc.lines, p.offset)
	if !found {
		i--
	}
	return p.doc.file, i + 1, p.offset - p.doc.lines[i] + 1
}

// String returns "file:line:column".
func (p place) String() string {
	file, line, column := p.locate()
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}

// problems collects errors. A nil *problems drops them: for what was checked before.
type problems struct {
	list Errors
	seen map[Error]bool
}

// add notes an error once; the same one again (a wrong [defaults] used by many services) is dropped.
func (p *problems) add(at place, hint, format string, args ...any) {
	if p == nil {
		return
	}
	e := Error{Message: fmt.Sprintf(format, args...), Hint: hint}
	e.File, e.Line, e.Column = at.locate()
	if p.seen[e] {
		return
	}
	if p.seen == nil {
		p.seen = map[Error]bool{}
	}
	p.seen[e] = true
	p.list = append(p.list, e)
}

// sorted returns the errors in the order in which people read files.
func (p *problems) sorted() Errors {
	slices.SortStableFunc(p.list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p.list
}

// cause returns what stands behind an error of a Source without the path, which the message names already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
