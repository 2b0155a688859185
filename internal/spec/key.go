package spec

import (
	"fmt"
	"slices"
	"strings"
)

// A Key is one thing that can be written in the file, for documentation and completion.
type Key struct {
	Path    string // "stay.fork_rate", "service.*.stop.timeout"
	Type    string // what its value is: "duration", "list of strings"
	Default string // as the file writes it; "" if there is none
	Doc     string // one sentence
	Later   bool   // known, and refused in this version
}

// Keys returns every key, in the order of the documentation. The lists it is made of are also what reads the file.
func Keys() []Key {
	var out []Key
	out = appendKeys(out, "stay.", daemonKeys)
	out = insertKeys(out, "stay.", oldTableKeys)
	out = append(out, Key{Path: "defaults", Type: "table",
		Doc: "Any key of a service, for all services that do not set it; tables merge key by key."})
	out = appendKeys(out, "service.*.", serviceKeys)
	out = insertKeys(out, "service.*.", checkKeys)
	return appendKeys(out, "job.*.", jobKeys)
}

// insertKeys puts the keys of the tables of a list after the key of the list.
func insertKeys[D any](out []Key, prefix string, keys []key[D]) []Key {
	list, _, _ := strings.Cut(prefix+keys[0].Path, "[]")
	after := slices.IndexFunc(out, func(k Key) bool { return k.Path == list })
	return slices.Insert(out, after+1, appendKeys(nil, prefix, keys)...)
}

func appendKeys[D any](out []Key, prefix string, keys []key[D]) []Key {
	unset := newService()
	for _, k := range keys {
		if k.Default == "" && k.get != nil {
			k.Default = literal(k.get(unset))
		}
		k.Path = prefix + k.Path
		out = append(out, k.Key)
	}
	return out
}

// A key is the declaration of one key; D is what values are put into. Reading, refusing, suggesting, showing, comparing
// and documenting all come from here.
type key[D any] struct {
	Key                        // Path is relative to the table the list is for
	example string             // a right value as the file writes it
	also    []string           // names that other supervisors and common sense give it, to suggest it
	starts  bool               // a process is started with it: a change needs a new one
	secret  bool               // never shown
	set     func(D, slot)      // checks the value and puts it in; nil: Later
	open    func(D, slot)      // told of a table with the keys below it; may be nil
	get     func(*Service) any // what literal writes; nil: cannot be shown. Not used by daemonKeys
}

// known adds names under which people look for the key.
func (k key[D]) known(as ...string) key[D] { k.also = as; return k }

// A branch is one table of the file as declared: what may stand in it.
type branch[D any] struct {
	path  string // "" for the root
	key   *key[D]
	kids  map[string]*branch[D]
	names []string // of kids, in order
}

// grow arranges a list of keys by their paths. A key that has keys below it ("rate", "rate.burst") can be a value or a
// table.
func grow[D any](keys []key[D]) *branch[D] {
	root := &branch[D]{kids: map[string]*branch[D]{}}
	for i := range keys {
		b := root
		for part := range strings.SplitSeq(keys[i].Path, ".") {
			next := b.kids[part]
			if next == nil {
				next = &branch[D]{path: join(b.path, part), kids: map[string]*branch[D]{}}
				b.kids[part] = next
				b.names = append(b.names, part)
			}
			b = next
		}
		b.key = &keys[i]
	}
	return root
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// read checks every field of table against b and puts the values into to. root is where suggestions come from.
func (b *branch[D]) read(errs *problems, root *branch[D], table *node, to D) {
	for _, f := range table.fields {
		kid := b.kids[f.name]
		switch {
		case kid == nil:
			errs.add(f.at, b.suggest(root, f.name), "unknown key %q", join(b.path, f.name))
		case kid.key != nil && kid.key.Later:
			errs.add(f.at, "", "key %q: not in this version", kid.path)
		case f.value.kind == tableKind && len(kid.kids) > 0:
			if kid.key != nil && kid.key.open != nil {
				kid.key.open(to, slot{errs, f.value, kid.key.Key, kid.key.example})
			}
			kid.read(errs, root, f.value, to)
		case kid.key == nil:
			errs.add(f.value.at, kid.hint(), "key %q: expected a table, found %s", kid.path, f.value.describe())
		default:
			kid.key.set(to, slot{errs, f.value, kid.key.Key, kid.key.example})
		}
	}
}

// hint shows how a table of keys is written.
func (b *branch[D]) hint() string {
	for _, name := range b.names {
		if k := b.kids[name].key; k != nil && !k.Later {
			return fmt.Sprintf("for example: %s = { %s = %s }", b.path, name, k.example)
		}
	}
	return ""
}

// suggest finds the key that was meant by name: one of the same table, one known elsewhere by that name, one that stands
// in another table.
func (b *branch[D]) suggest(root *branch[D], name string) string {
	if full := root.find(func(k *branch[D]) bool { return k.key != nil && slices.Contains(k.key.also, name) }); full != "" {
		return fmt.Sprintf("did you mean %q?", full)
	}
	if b == any(serviceTree) && jobOnly[name] {
		return "it is a key of a job: write [job.NAME] above it"
	}
	if near := nearest(name, b.names); near != "" {
		return fmt.Sprintf("did you mean %q?", join(b.path, near))
	}
	last := func(k *branch[D]) bool { return k.path == name || strings.HasSuffix(k.path, "."+name) }
	if full := root.find(last); full != "" {
		return fmt.Sprintf("did you mean %q?", full)
	}
	if b != root {
		return "known here: " + strings.Join(b.names, ", ")
	}
	return ""
}

// find returns the path of the first branch below b that is wanted, "" if there is none.
func (b *branch[D]) find(wanted func(*branch[D]) bool) string {
	for _, name := range b.names {
		kid := b.kids[name]
		if wanted(kid) {
			return kid.path
		}
		if path := kid.find(wanted); path != "" {
			return path
		}
	}
	return ""
}
