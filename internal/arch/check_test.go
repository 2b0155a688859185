package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// check returns what in t is against the rules, one line each.
func check(t *tree) []string {
	var bad []string
	for _, folder := range t.folders() {
		p := t.packages[folder]
		bad = append(bad, t.doc(p)...)
		l := layerOf(folder)
		if l == nil {
			bad = append(bad, fmt.Sprintf("%s: belongs to no layer: name it in internal/arch/rules_test.go", folder))
			continue
		}
		for _, i := range p.imports {
			bad = append(bad, t.direction(l, i)...)
			bad = append(bad, t.library(p, l, i)...)
		}
		if l.pure {
			bad = append(bad, t.purity(p)...)
		}
	}
	for _, c := range closures {
		bad = append(bad, t.closure(c)...)
	}
	return bad
}

// layerOf returns the layer of a folder, nil if it has none.
func layerOf(folder string) *layer {
	for i := range layers {
		for _, pattern := range layers[i].packages {
			if ok, _ := path.Match(pattern, folder); ok {
				return &layers[i]
			}
		}
	}
	return nil
}

// direction checks an import of a package of the module.
func (t *tree) direction(from *layer, i imported) []string {
	folder, own := t.folder(i.path)
	if !own {
		return nil
	}
	to := layerOf(folder)
	if to != nil && slices.Contains(from.may, to.name) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s imports %s: %s", t.place(i.at), from.name, folder, from.why)}
}

// library checks an import of a package from outside the module.
func (t *tree) library(p *pkg, l *layer, i imported) []string {
	for _, lib := range libraries {
		if !under(i.path, lib.path) {
			continue
		}
		if slices.Contains(lib.by, l.name) || slices.Contains(lib.by, p.folder) {
			return nil
		}
		return []string{fmt.Sprintf("%s: %s imports %s: %s", t.place(i.at), l.name, i.path, lib.why)}
	}
	if t.foreign(i.path) {
		return []string{fmt.Sprintf("%s: imports %s, which no rule knows: say in internal/arch/rules_test.go who may and why",
			t.place(i.at), i.path)}
	}
	return nil
}

// purity checks what a policy imports and does.
func (t *tree) purity(p *pkg) []string {
	var bad []string
	denied := map[*ast.File]map[string]string{} // per file, the local names of packages with effects
	for _, i := range p.imports {
		if why, found := impurity(i.path); found {
			bad = append(bad, fmt.Sprintf("%s: policy imports %s: %s", t.place(i.at), i.path, why))
		}
		if i.as == "." {
			bad = append(bad, fmt.Sprintf("%s: policy imports %s without its name: clocks could not be told", t.place(i.at), i.path))
		}
		if effects[i.path] != nil {
			if denied[i.file] == nil {
				denied[i.file] = map[string]string{}
			}
			denied[i.file][i.as] = i.path
		}
	}
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			if what := impureNode(n, denied[f]); what != "" {
				bad = append(bad, fmt.Sprintf("%s: policy uses %s: values come in, decisions go out, and nothing else happens",
					t.place(n.Pos()), what))
			}
			return true
		})
	}
	return bad
}

// impurity returns why no policy imports a path.
func impurity(whole string) (why string, found bool) {
	for denied, why := range impure {
		if under(whole, denied) {
			return why, true
		}
	}
	return "", false
}

// impureNode names what a piece of code does that no policy does; "" if nothing. The names are those of one file.
func impureNode(n ast.Node, names map[string]string) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.ChanType:
		return "a channel"
	case *ast.SendStmt:
		return "a channel"
	case *ast.SelectStmt:
		return "select"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel"
		}
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if ok && slices.Contains(effects[names[x.Name]], n.Sel.Name) {
			return names[x.Name] + "." + n.Sel.Name
		}
	}
	return ""
}

// closure checks what a command is made of, and tells the way by which it gets there.
func (t *tree) closure(c closure) []string {
	var bad []string
	from := map[string]string{c.root: ""} // who imported it first
	for queue := []string{c.root}; len(queue) > 0; queue = queue[1:] {
		p := t.packages[queue[0]]
		if p == nil {
			continue
		}
		for _, i := range p.imports {
			name, own := t.folder(i.path)
			if !own {
				name = i.path
			}
			if _, seen := from[name]; seen {
				continue
			}
			from[name] = p.folder
			if own {
				queue = append(queue, name)
			}
			if t.excluded(c.never, name, own) {
				bad = append(bad, fmt.Sprintf("%s is made of %s: %s", c.root, way(from, name), c.why))
			}
		}
	}
	return bad
}

// excluded says whether name is in a list of layers, folders and libraries.
func (t *tree) excluded(never []string, name string, own bool) bool {
	if own {
		if l := layerOf(name); l != nil && slices.Contains(never, l.name) {
			return true
		}
	}
	return slices.ContainsFunc(never, func(n string) bool { return under(name, n) })
}

// way spells the imports from a root to name.
func way(from map[string]string, name string) string {
	var steps []string
	for ; from[name] != ""; name = from[name] {
		steps = append(steps, name)
	}
	slices.Reverse(steps)
	return strings.Join(steps, " → ")
}

// doc checks that a package says what it is, in one file: "Package spec is …", for a main package "Command stayd is …".
func (t *tree) doc(p *pkg) []string {
	var docs []*ast.File
	for _, f := range p.files {
		if f.Doc != nil {
			docs = append(docs, f)
		}
	}
	if len(docs) != 1 {
		return []string{fmt.Sprintf("%s: has %d package comments, want one", p.folder, len(docs))}
	}
	text := docs[0].Doc.Text()
	want := "Package " + p.name + " "
	if p.name == "main" {
		want = "Command " + path.Base(p.folder) + " "
	}
	if !strings.HasPrefix(text, want) {
		return []string{fmt.Sprintf("%s: the package comment does not begin with %q", t.place(docs[0].Doc.Pos()), want)}
	}
	return nil
}

// under says whether a path is dir or below it.
func under(whole, dir string) bool { return whole == dir || strings.HasPrefix(whole, dir+"/") }
