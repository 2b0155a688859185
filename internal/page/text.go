package page

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// printable is what a service wrote, up to the first NUL, made harmless for terminals, logs and JSON: what is no UTF-8, and
// every character that is not for reading (control characters, escapes, line and direction marks), is a question mark. It
// is not longer than raw.
func printable(raw []byte) string {
	if end := bytes.IndexByte(raw, 0); end >= 0 {
		raw = raw[:end]
	}
	clean := make([]byte, 0, noteSize)
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			clean = append(clean, '?')
		} else {
			clean = append(clean, raw[:n]...)
		}
		raw = raw[n:]
	}
	return string(clean)
}
