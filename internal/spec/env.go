package spec

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// inheritedByDefault is what a process can hardly do without.
var inheritedByDefault = []string{"PATH", "HOME", "LANG", "TZ"}

// ours are variables by which a supervisor talks to one process: inherited from whoever supervises the daemon they would
// mislead every service, so env_inherit = true leaves them out.
var ours = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}

// environment is what the three env keys say.
type environment struct {
	all   bool     // inherit everything
	names []string // else these
	files []fileRef
	vars  map[string]string
}

func (d *draft) setEnv(v slot) {
	if v.node.kind != tableKind {
		v.wrong()
		return
	}
	if d.vars == nil {
		d.vars = map[string]string{}
	}
	for _, f := range v.node.fields {
		e := v
		e.node, e.Path = f.value, v.Path+"."+f.name
		if f.name == "" || strings.ContainsAny(f.name, "=\x00") || !utf8.ValidString(f.name) {
			e.add(f.at, "", "key %q: %q cannot be the name of a variable", v.Path, f.name)
			continue
		}
		if f.value.kind != stringKind { // the value may be a secret: not shown
			e.complainHint("put the value in quotes", "expected a string")
			continue
		}
		if text, ok := e.text(); ok {
			d.vars[f.name] = text
		}
	}
}

func (d *draft) setEnvFile(v slot) {
	if v.node.kind != listKind {
		v.wrong()
		return
	}
	d.files = nil
	for _, item := range v.node.items {
		e := v
		e.node, e.Type = item, "string"
		name, ok := e.text()
		if !ok {
			continue
		}
		name, optional := strings.CutPrefix(name, "-")
		bare := *item
		bare.text, e.node = name, &bare
		if p, ok := e.path(); ok {
			d.files = append(d.files, fileRef{p, optional, item.at})
		}
	}
}

func (d *draft) setInherit(v slot) {
	switch v.node.kind {
	case boolKind:
		d.all, d.names = v.node.text == "true", nil
	case listKind:
		if names, ok := v.texts(); ok {
			d.all, d.names = false, names
		}
	default:
		v.wrong()
	}
}

// join returns the environment: inherited, over it the files in their order, over them env. A Config is UTF-8, so
// inherited variables that are not are left out.
func (e *environment) join(errs *problems, out *outside) []Var {
	set := map[string]Var{}
	for _, entry := range out.Environ {
		name, value, ok := strings.Cut(entry, "=")
		if ok && name != "" && e.inherits(name) && utf8.ValidString(entry) {
			set[name] = Var{name, value, Inherited}
		}
	}
	for _, f := range e.files {
		for _, v := range out.variables(errs, f) {
			set[v.Name] = v
		}
	}
	for name, value := range e.vars {
		set[name] = Var{name, value, FromKey}
	}
	return slices.SortedFunc(maps.Values(set), byName)
}

func byName(a, b Var) int { return strings.Compare(a.Name, b.Name) }

func (e *environment) inherits(name string) bool {
	if e.all {
		return !slices.Contains(ours, name) && !strings.HasPrefix(name, "STAY_")
	}
	return slices.Contains(e.names, name)
}
