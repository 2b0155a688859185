package spec

import "strings"

// An envReader reads a file of NAME=VALUE lines.
type envReader struct {
	*problems
	doc  *document
	text string
	at   int
}

// parseEnvFile reads NAME=VALUE lines. Lines that are empty or begin with # are skipped, "export " before a name too. A
// value ends at the end of the line or at " #", without the blanks around it; in single quotes it is literal, in double
// quotes \n \r \t \" \\ \$ and \` are known, and both may go over several lines. Nothing is expanded.
func parseEnvFile(errs *problems, doc *document) []Var {
	r := &envReader{problems: errs, doc: doc, text: string(doc.text)}
	var vars []Var
	for r.at < len(r.text) {
		if v, ok := r.line(); ok {
			vars = append(vars, v)
		}
	}
	return vars
}

// rest returns what is left of the line, and goes to the next one.
func (r *envReader) rest() string {
	line, _, more := strings.Cut(r.text[r.at:], "\n")
	r.at += len(line)
	if more {
		r.at++
	}
	return strings.TrimSuffix(line, "\r")
}

func (r *envReader) skipBlanks() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\t') {
		r.at++
	}
}

// line reads one assignment; ok is false for lines that are none.
func (r *envReader) line() (v Var, ok bool) {
	r.skipBlanks()
	start := r.at
	line := r.rest()
	if line == "" || line[0] == '#' {
		return v, false
	}
	name, _, found := strings.Cut(line, "=")
	afterName := start + len(name) + 1
	if short, ok := strings.CutPrefix(name, "export "); ok {
		name = strings.TrimLeft(short, " \t")
	}
	name = strings.TrimRight(name, " \t")
	if !found || name == "" || strings.ContainsAny(name, " \t\"'\x00") {
		r.add(place{r.doc, start}, "for example: NAME=value", "the line is not an assignment") // and may be half a secret
		return v, false
	}
	r.at = afterName
	r.skipBlanks()
	value, ok := r.value()
	if ok && strings.IndexByte(value, 0) >= 0 {
		r.add(place{r.doc, start}, "", "the value of %q contains a NUL byte", shorten(name))
		ok = false
	}
	return Var{name, value, FromFile}, ok
}

func (r *envReader) value() (string, bool) {
	if r.at < len(r.text) && (r.text[r.at] == '\'' || r.text[r.at] == '"') {
		return r.quoted(r.text[r.at])
	}
	value := r.rest()
	for i := range value {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimRight(value, " \t"), true
}

func (r *envReader) quoted(quote byte) (string, bool) {
	start := r.at
	var b strings.Builder
	for r.at++; r.at < len(r.text); r.at++ {
		c := r.text[r.at]
		switch {
		case c == quote:
			return b.String(), r.end()
		case c == '\\' && quote == '"' && r.at+1 < len(r.text):
			r.at++
			b.WriteString(unescape(r.text[r.at]))
		default:
			b.WriteByte(c)
		}
	}
	r.at = start
	r.rest()
	r.add(place{r.doc, start}, "close it in the same file", "unbalanced quote")
	return "", false
}

// unescape returns what \c means in double quotes.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$', '`':
		return string(c)
	}
	return string([]byte{'\\', c})
}

// end checks that nothing but a comment follows a closing quote.
func (r *envReader) end() bool {
	r.at++
	at := r.at
	rest := strings.TrimLeft(r.rest(), " \t")
	if rest != "" && rest[0] != '#' {
		r.add(place{r.doc, at}, "put the whole value in quotes", "text after the closing quote")
		return false
	}
	return true
}
