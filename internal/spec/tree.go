package spec

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A kind is a kind of value in a file.
type kind uint8

const (
	stringKind kind = iota
	integerKind
	floatKind
	boolKind
	dateKind
	listKind
	tableKind
)

// A node is one value of a file with its place. The tree of nodes is what all checks work on, whatever was parsed.
type node struct {
	kind kind
	at   place  // of the value; of its name for tables made by a header or a dotted key
	text string // string: its content; other scalars: as written
	raw  bool   // string: text stands in the file byte for byte, right after its opening quote

	items []*node // list

	fields []field // table, in the order of the file
	index  map[string]int
	made   making
}

// A field is one key of a table.
type field struct {
	name  string
	at    place // of the key
	value *node
}

// A making says how a table came to be, which decides what may be added to it.
type making uint8

const (
	byPath   making = iota // as a step to another table: a header may still define it
	byHeader               // [name]
	byDots                 // name.key = …: only more of these
	closed                 // { … }
)

// newTable returns a table without fields.
func newTable(at place, made making) *node {
	return &node{kind: tableKind, at: at, made: made, index: map[string]int{}}
}

// field returns the field of that name, nil if there is none.
func (n *node) field(name string) *field {
	if i, ok := n.index[name]; ok {
		return &n.fields[i]
	}
	return nil
}

func (n *node) put(name string, at place, value *node) {
	n.index[name] = len(n.fields)
	n.fields = append(n.fields, field{name, at, value})
}

// A builder makes a tree of the expressions of one TOML document.
type builder struct {
	*problems
	doc   *document
	root  *node
	table *node // the one whose header was read last; nil: its header was wrong, its keys are left out
}

// parseTOML returns what stands in doc, as far as it could be read; whole is false after a syntax error.
func parseTOML(doc *document, errs *problems) (root *node, whole bool) {
	b := &builder{problems: errs, doc: doc, root: newTable(place{doc, 0}, byHeader)}
	b.table = b.root
	var p unstable.Parser
	p.Reset(doc.text)
	for p.NextExpression() {
		b.expression(p.Expression())
	}
	err := p.Error()
	if err == nil {
		return b.root, true
	}
	at := place{doc, len(doc.text)}
	if pe, ok := errors.AsType[*unstable.ParserError](err); ok {
		at.offset = int(p.Range(pe.Highlight).Offset)
	}
	b.add(at, "", "syntax: %v", err)
	return b.root, false
}

func (b *builder) at(n *unstable.Node) place { return place{b.doc, int(n.Raw.Offset)} }

func (b *builder) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.KeyValue:
		if b.table != nil {
			b.keyValue(b.table, e)
		}
	case unstable.Table:
		b.table = b.header(e)
	case unstable.ArrayTable:
		b.table = b.listHeader(e)
	}
}

// header opens [a.b.c] and returns c, nil if it cannot be one.
func (b *builder) header(e *unstable.Node) *node {
	in, last := b.walk(b.root, e.Key(), byPath)
	if in == nil {
		return nil
	}
	name, at := string(last.Data), b.at(last)
	f := in.field(name)
	if f == nil {
		t := newTable(at, byHeader)
		in.put(name, at, t)
		return t
	}
	if f.value.kind == tableKind && f.value.made == byPath {
		f.value.made, f.value.at, f.at = byHeader, at, at
		return f.value
	}
	b.twice(at, f)
	return nil
}

// listHeader opens [[a.b.c]] and returns the new element.
func (b *builder) listHeader(e *unstable.Node) *node {
	in, last := b.walk(b.root, e.Key(), byPath)
	if in == nil {
		return nil
	}
	name, at := string(last.Data), b.at(last)
	f := in.field(name)
	if f == nil {
		in.put(name, at, &node{kind: listKind, at: at, made: byHeader})
		f = in.field(name)
	}
	if f.value.kind != listKind || f.value.made != byHeader {
		b.twice(at, f)
		return nil
	}
	t := newTable(at, byHeader)
	f.value.items = append(f.value.items, t)
	return t
}

// walk goes along all parts of a key but the last, making tables that are not there, and returns the table it came to
// and the last part. The table is nil if something else is in the way.
func (b *builder) walk(in *node, key unstable.Iterator, made making) (*node, *unstable.Node) {
	key.Next()
	for part := key.Node(); ; part = key.Node() {
		if !key.Next() {
			return in, part
		}
		name, at := string(part.Data), b.at(part)
		f := in.field(name)
		if f == nil {
			t := newTable(at, made)
			in.put(name, at, t)
			in = t
			continue
		}
		next := f.value
		if next.kind == listKind && next.made == byHeader && made == byPath {
			next = next.items[len(next.items)-1]
		}
		if next.kind != tableKind || next.made == closed || made == byDots && next.made != byDots {
			b.twice(at, f)
			return nil, nil
		}
		in = next
	}
}

func (b *builder) twice(at place, first *field) {
	_, line, _ := first.at.locate()
	b.add(at, "", "%q is already defined in line %d", first.name, line)
}

func (b *builder) keyValue(in *node, e *unstable.Node) {
	in, last := b.walk(in, e.Key(), byDots)
	if in == nil {
		return
	}
	name, at := string(last.Data), b.at(last)
	if f := in.field(name); f != nil {
		b.twice(at, f)
		return
	}
	in.put(name, at, b.value(e.Value(), b.afterKey(last)))
}

// afterKey returns the place of the value behind "key =". Lists carry no place of their own.
func (b *builder) afterKey(key *unstable.Node) place {
	i := int(key.Raw.Offset + key.Raw.Length)
	for i < len(b.doc.text)-1 && bytes.IndexByte([]byte(" \t="), b.doc.text[i]) >= 0 {
		i++
	}
	return place{b.doc, i}
}

// value turns a parsed value into a node; at is its place if it carries none.
func (b *builder) value(v *unstable.Node, at place) *node {
	if v.Raw.Length > 0 {
		at = b.at(v)
	}
	switch v.Kind {
	case unstable.Array:
		n := &node{kind: listKind, at: at, made: closed}
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, b.value(it.Node(), at))
		}
		return n
	case unstable.InlineTable:
		t := newTable(at, byDots)
		for it := v.Children(); it.Next(); {
			b.keyValue(t, it.Node())
		}
		closeTables(t)
		return t
	}
	n := &node{kind: scalars[v.Kind], at: at, text: string(v.Data)}
	if v.Kind == unstable.String {
		n.raw = int(v.Raw.Length) == len(v.Data)+2
	}
	return n
}

// closeTables forbids additions to an inline table and to those made by dots inside it.
func closeTables(t *node) {
	t.made = closed
	for _, f := range t.fields {
		if f.value.kind == tableKind && f.value.made == byDots {
			closeTables(f.value)
		}
	}
}

var scalars = map[unstable.Kind]kind{
	unstable.String: stringKind, unstable.Integer: integerKind, unstable.Float: floatKind, unstable.Bool: boolKind,
	unstable.LocalDate: dateKind, unstable.LocalTime: dateKind, unstable.LocalDateTime: dateKind, unstable.DateTime: dateKind,
}

// describe says what n is, as an error tells it: `the string "x"`, "a list".
func (n *node) describe() string {
	switch n.kind {
	case stringKind:
		return fmt.Sprintf("the string %q", shorten(n.text))
	case integerKind, floatKind:
		return "the number " + shorten(n.text)
	case boolKind:
		return n.text
	case dateKind:
		return "the date " + shorten(n.text)
	case listKind:
		return "a list"
	}
	return "a table"
}

// shorten keeps messages on one line of a terminal.
func shorten(text string) string {
	const longest = 60
	if r := []rune(text); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return text
}
