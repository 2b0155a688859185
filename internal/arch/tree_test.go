package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A tree is the code of one module, without its tests.
type tree struct {
	module   string // its path
	fset     *token.FileSet
	packages map[string]*pkg // by folder
}

// A pkg is one package.
type pkg struct {
	folder  string // from the module's root, with slashes
	name    string
	files   []*ast.File
	imports []imported
}

// An imported is one import line.
type imported struct {
	path string
	as   string // the name it has in its file
	file *ast.File
	at   token.Pos
}

// load reads the module at the root of fsys. Folders that the go command leaves out, and modules inside, are left out.
func load(fsys fs.FS) (*tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	t := &tree{fset: token.NewFileSet(), packages: map[string]*pkg{}}
	for line := range strings.Lines(string(mod)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "module" {
			t.module = words[1]
		}
	}
	if t.module == "" {
		return nil, fmt.Errorf("read %q: no module line", "go.mod")
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return t.enter(fsys, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		return t.add(fsys, name)
	})
	return t, err
}

func (t *tree) enter(fsys fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (t *tree) add(fsys fs.FS, name string) error {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	folder := path.Dir(name)
	p := t.packages[folder]
	if p == nil {
		p = &pkg{folder: folder, name: f.Name.Name}
		t.packages[folder] = p
	}
	p.files = append(p.files, f)
	for _, spec := range f.Imports {
		whole, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		i := imported{path: whole, as: lastName(whole), file: f, at: spec.Pos()}
		if spec.Name != nil {
			i.as = spec.Name.Name
		}
		p.imports = append(p.imports, i)
	}
	return nil
}

// lastName is the name under which a package is usually known: the last part of its path that is no version.
func lastName(whole string) string {
	base := path.Base(whole)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(whole))
	}
	return base
}

// folder returns where in the module an import path is; not ok if it is from outside.
func (t *tree) folder(whole string) (string, bool) {
	if whole == t.module {
		return ".", true
	}
	return strings.CutPrefix(whole, t.module+"/")
}

// foreign says whether an import path is neither of the module nor of the standard library, whose paths have no dot in
// their first part.
func (t *tree) foreign(whole string) bool {
	first, _, _ := strings.Cut(whole, "/")
	_, own := t.folder(whole)
	return !own && strings.Contains(first, ".")
}

// folders returns the folders of all packages, sorted.
func (t *tree) folders() []string {
	list := make([]string, 0, len(t.packages))
	for f := range t.packages {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// place spells where something is.
func (t *tree) place(at token.Pos) string {
	p := t.fset.Position(at)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}
