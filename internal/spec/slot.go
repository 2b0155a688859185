package spec

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A slot is one value of a file on its way to its field: the node, the key it stands under, and where to complain. Its
// methods return the value and true, or complain and return false.
type slot struct {
	*problems
	node    *node
	Key     // Path is relative to the service or [stay]; Type and example are what complaints are made of
	example string
}

// complain notes an error about the value; the hint is the example of the key.
func (v slot) complain(format string, args ...any) {
	v.complainHint(v.hint(), format, args...)
}

func (v slot) complainHint(hint, format string, args ...any) {
	v.add(v.node.at, hint, "key %q: %s", v.Path, fmt.Sprintf(format, args...))
}

// hint returns an example of how the key is used.
func (v slot) hint() string {
	if v.example == "" {
		return ""
	}
	name := v.Path
	if i := strings.LastIndex(name, "[]."); i >= 0 {
		name = name[i+len("[]."):] // it stands in a table of a list
	}
	return "for example: " + name + " = " + v.example
}

// wrong complains about a value of the wrong kind.
func (v slot) wrong() { v.complain("expected %s, found %s", withArticle(v.Type), v.node.describe()) }

// later refuses a value that another version will take.
func (v slot) later(value string) {
	v.complainHint("", "%q: not in this version", value)
}

// withArticle puts "a" or "an" before the name of a type; a choice of values ("a" or "b") has none.
func withArticle(typ string) string {
	if typ == "" || typ[0] == '"' {
		return typ
	}
	if strings.IndexByte("aeiou", typ[0]) >= 0 {
		return "an " + typ
	}
	return "a " + typ
}

// text reads a string.
func (v slot) text() (string, bool) {
	if v.node.kind != stringKind {
		v.wrong()
		return "", false
	}
	return v.node.text, v.clean(v.node.text)
}

// clean refuses NUL bytes, which neither paths, arguments nor variables can hold, and what is not UTF-8.
func (v slot) clean(text string) bool {
	if !utf8.ValidString(text) {
		v.complainHint("", "the string is not UTF-8")
		return false
	}
	if strings.IndexByte(text, 0) >= 0 {
		v.complainHint("remove the \\u0000", "the string contains a NUL byte")
		return false
	}
	return true
}

// account reads the name or number of a user or group.
func (v slot) account() (string, bool) {
	if v.node.kind == integerKind {
		n, ok := v.integer(0, math.MaxUint32-1) // the last uid means "leave it" to chown(2)
		return strconv.Itoa(n), ok
	}
	return v.text()
}

// list reads a list whose elements read reads.
func (v slot) list(read func(slot) (string, bool)) ([]string, bool) {
	if v.node.kind != listKind {
		v.wrong()
		return nil, false
	}
	out, ok := make([]string, 0, len(v.node.items)), true
	for _, item := range v.node.items {
		e := v
		e.node = item
		text, good := read(e)
		ok = ok && good
		out = append(out, text)
	}
	return out, ok
}

func (v slot) texts() ([]string, bool) { return v.list(slot.text) }

func (v slot) accounts() ([]string, bool) { return v.list(slot.account) }

// path reads a path and makes it absolute: a relative one is relative to the file it stands in.
func (v slot) path() (string, bool) {
	text, ok := v.text()
	switch {
	case !ok:
		return "", false
	case text == "":
		v.complain("the path is empty")
		return "", false
	case path.IsAbs(text):
		return path.Clean(text), true
	case v.node.at.doc == nil:
		v.complainHint("write it from / on", "%q is not an absolute path", shorten(text))
		return "", false
	}
	return path.Join(path.Dir(v.node.at.doc.file), text), true
}

// boolean reads true or false.
func (v slot) boolean() (bool, bool) {
	if v.node.kind != boolKind {
		v.wrong()
		return false, false
	}
	return v.node.text == "true", true
}

// integer reads a whole number from lo to hi.
func (v slot) integer(lo, hi int) (int, bool) {
	if v.node.kind != integerKind {
		v.wrong()
		return 0, false
	}
	n, err := strconv.ParseInt(v.node.text, 0, 64)
	if err != nil || n < int64(lo) || n > int64(hi) {
		v.complain("%s is out of range, allowed are %d to %d", shorten(v.node.text), lo, hi)
		return 0, false
	}
	return int(n), true
}

// number reads a number from lo to hi, with or without a fraction.
func (v slot) number(lo, hi float64) (float64, bool) {
	if v.node.kind != integerKind && v.node.kind != floatKind {
		v.wrong()
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(v.node.text, "_", ""), 64)
	if v.node.kind == integerKind {
		var n int64
		n, err = strconv.ParseInt(v.node.text, 0, 64)
		f = float64(n)
	}
	if err != nil || !(f >= lo && f <= hi) {
		v.complain("%s is out of range, allowed are %g to %g", shorten(v.node.text), lo, hi)
		return 0, false
	}
	return f, true
}

// duration reads a span of time.
func (v slot) duration() (time.Duration, bool) {
	if v.node.kind != stringKind {
		v.wrong()
		return 0, false
	}
	d, err := ParseDuration(v.node.text)
	if err != nil {
		v.complain("%q %v", shorten(v.node.text), err)
	}
	return d, err == nil
}

// span reads a duration of at least least, and at most longestSpan.
func (v slot) span(least time.Duration) (time.Duration, bool) {
	d, ok := v.duration()
	if ok && (d < least || d > longestSpan) {
		v.complain("%q is out of range, allowed are %s to %s", shorten(v.node.text), formatDuration(least), formatDuration(longestSpan))
		return 0, false
	}
	return d, ok
}

// optionalSpan reads a span of leastSpan or more; "" and zero are 0: none.
func (v slot) optionalSpan() (time.Duration, bool) {
	if v.node.kind == stringKind && v.node.text == "" {
		return 0, true
	}
	if d, err := ParseDuration(v.node.text); v.node.kind == stringKind && err == nil && d == 0 {
		return 0, true
	}
	return v.span(leastSpan)
}

// size reads a number of bytes.
func (v slot) size() (int64, bool) {
	if v.node.kind == integerKind {
		n, ok := v.integer(0, math.MaxInt64)
		return int64(n), ok
	}
	if v.node.kind != stringKind {
		v.wrong()
		return 0, false
	}
	n, err := ParseSize(v.node.text)
	if err != nil {
		v.complain("%q %v", shorten(v.node.text), err)
	}
	return n, err == nil
}

// perSecond reads a rate.
func (v slot) perSecond() (float64, bool) {
	if v.node.kind != stringKind {
		v.wrong()
		return 0, false
	}
	r, err := parsePerSecond(v.node.text)
	if err != nil {
		v.complain("%q %v", shorten(v.node.text), err)
	}
	return r, err == nil
}

// signal reads the name or number of a signal.
func (v slot) signal() (Signal, bool) {
	if v.node.kind != stringKind && v.node.kind != integerKind {
		v.wrong()
		return 0, false
	}
	s, ok := ParseSignal(v.node.text)
	if !ok {
		hint := v.hint()
		if near := nearest(v.node.text, signalNames[1:]); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		v.complainHint(hint, "%q is not a signal", shorten(v.node.text))
	}
	return s, ok
}

// choice reads one of a few words, which are v.Type.
func choice[T ~string](v slot, words ...T) (T, bool) {
	if v.node.kind == stringKind {
		for _, w := range words {
			if v.node.text == string(w) {
				return w, true
			}
		}
	}
	v.wrong()
	return "", false
}

// limit reads the value of an rlimit; typ says of what kind.
func (v slot) limit(typ string) (uint64, bool) {
	if v.node.kind == stringKind && v.node.text == "unlimited" {
		return Unlimited, true
	}
	switch typ {
	case "duration":
		d, ok := v.duration()
		return uint64((d + time.Second - 1) / time.Second), ok
	case "size":
		n, ok := v.size()
		return uint64(n), ok
	}
	n, ok := v.integer(0, math.MaxInt64)
	return uint64(n), ok
}
