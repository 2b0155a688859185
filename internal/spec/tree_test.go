package spec

import (
	"fmt"
	"strings"
	"testing"
)

// dump writes a tree on one line.
func dump(n *node) string {
	switch n.kind {
	case tableKind:
		var parts []string
		for _, f := range n.fields {
			parts = append(parts, f.name+":"+dump(f.value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case listKind:
		var parts []string
		for _, item := range n.items {
			parts = append(parts, dump(item))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case stringKind:
		return fmt.Sprintf("%q", n.text)
	}
	return n.text
}

// TestParseTOML holds the tree to the rules of toml.io/en/v1.0.0 about what may be defined where.
func TestParseTOML(t *testing.T) {
	for _, c := range []struct {
		text, want, problem string
	}{
		{"a = 1\nb = [1, \"x\", [true]]\nc = { d = 1.5, e.f = 2 }", `{a:1 b:[1 "x" [true]] c:{d:1.5 e:{f:2}}}`, ""},
		{"[a.b]\nx = 1\n[a]\ny = 2", "{a:{b:{x:1} y:2}}", ""},
		{"[a]\nb.c = 1\nb.d = 2", "{a:{b:{c:1 d:2}}}", ""},
		{"[[a]]\nx = 1\n[a.b]\ny = 1\n[[a]]\nx = 2", "{a:[{x:1 b:{y:1}} {x:2}]}", ""},
		{"\"a b\".'c' = 1979-05-27", "{a b:{c:1979-05-27}}", ""},
		{"a = 1\na = 2\nb = 3", "{a:1 b:3}", `2:1: "a" is already defined in line 1`},
		{"[a]\n[a]\nx = 1\n[b]", "{a:{} b:{}}", `2:2: "a" is already defined in line 1`},
		{"a = 1\n[a]\n", "{a:1}", `2:2: "a" is already defined in line 1`},
		{"a = 1\n[a.b]\n", "{a:1}", `2:2: "a" is already defined in line 1`},
		{"a = {}\n[a.b]\n", "{a:{}}", `2:2: "a" is already defined in line 1`},
		{"a = {}\na.b = 1\n", "{a:{}}", `2:1: "a" is already defined in line 1`},
		{"a = { b.c = 1 }\n[a.b]", "{a:{b:{c:1}}}", `2:2: "a" is already defined in line 1`},
		{"a.b = 1\n[a]", "{a:{b:1}}", `2:2: "a" is already defined in line 1`},
		{"[a.b]\n[a]\nb.c = 1", "{a:{b:{}}}", `3:1: "b" is already defined in line 1`},
		{"a = []\n[[a]]", "{a:[]}", `2:3: "a" is already defined in line 1`},
		{"[a]\n[[a]]", "{a:{}}", `2:3: "a" is already defined in line 1`},
		{"[[a]]\n[a]", "{a:[{}]}", `2:2: "a" is already defined in line 1`},
		{"a = { b = 1, b = 2 }", "{a:{b:1}}", `1:14: "b" is already defined in line 1`},
		{"a = 1\nb = = 2\nc = 3", "{a:1}", "2:5: syntax: unexpected character"},
		{"a = ", "{}", "1:4: syntax: expected value"},
		{"", "{}", ""},
	} {
		var errs problems
		root, whole := parseTOML(&document{file: "/x", text: []byte(c.text)}, &errs)
		if got := dump(root); got != c.want {
			t.Errorf("%q is %s, want %s", c.text, got, c.want)
		}
		if whole == strings.Contains(c.problem, "syntax") {
			t.Errorf("%q is read whole: %v", c.text, whole)
		}
		problem := strings.TrimPrefix(errs.list.Error(), "/x:")
		if c.problem == "" && problem != "" || !strings.Contains(problem, c.problem) {
			t.Errorf("%q: %q, want %q", c.text, problem, c.problem)
		}
	}
}

func TestPlaces(t *testing.T) {
	text := "a = 1\nbc   =   [ 2,\n  \"x\" ]\n[t]\nd = { e = [] }"
	doc := &document{file: "/x", text: []byte(text)}
	var errs problems
	root, _ := parseTOML(doc, &errs)
	list, e := root.field("bc").value, root.field("t").value.field("d").value.field("e")
	for name, c := range map[string]struct {
		at   place
		want string
	}{
		"key": {root.field("bc").at, "/x:2:1"}, "list": {list.at, "/x:2:10"}, "first": {list.items[0].at, "/x:2:12"},
		"second": {list.items[1].at, "/x:3:3"}, "table": {root.field("t").at, "/x:4:2"}, "inner key": {e.at, "/x:5:7"},
		"inner list": {e.value.at, "/x:5:11"}, "file": {place{doc, whole}, "/x"}, "nowhere": {place{}, ""},
		"end": {place{doc, len(text)}, "/x:5:15"},
	} {
		if got := c.at.String(); got != c.want {
			t.Errorf("%s stands at %q, want %q", name, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	var errs problems
	root, _ := parseTOML(&document{file: "/x", text: []byte("a = \"x\"\nb = 1\nc = 1.5\nd = true\ne = 07:32:00\nf = []\ng = {}\nh = '" +
		strings.Repeat("ä", 100) + "'")}, &errs)
	for name, want := range map[string]string{"a": `the string "x"`, "b": "the number 1", "c": "the number 1.5", "d": "true",
		"e": "the date 07:32:00", "f": "a list", "g": "a table", "h": `the string "` + strings.Repeat("ä", 60) + `…"`} {
		if got := root.field(name).value.describe(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
