package spec

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a", []string{"a"}},
		{"  a\tb \n c\r\n", []string{"a", "b", "c"}},
		{`a 'b c' d`, []string{"a", "b c", "d"}},
		{`a'b'"c"d`, []string{"abcd"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`a\ b`, []string{"a b"}},
		{`a \'`, []string{"a", "'"}},
		{`'a\b'`, []string{`a\b`}},
		{`"a\b\"\\\$\` + "`" + `"`, []string{`a\b"\$` + "`"}},
		{"\"a\\\nb\" c\\\nd \\\n e", []string{"ab", "cd", "e"}},
		{"'a\nb'", []string{"a\nb"}},
		{`echo $HOME ~ *.c #x`, []string{"echo", "$HOME", "~", "*.c", "#x"}}, // nothing is expanded
		{`find . -exec x \; ';' "|" a|b http://x/?a&b`, []string{"find", ".", "-exec", "x", ";", ";", "|", "a|b", "http://x/?a&b"}},
		{"ä 'ö ü'", []string{"ä", "ö ü"}},
	} {
		got, err := ParseCommand(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("ParseCommand(%q) = %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

func TestParseCommandErrors(t *testing.T) {
	for _, c := range []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "empty"},
		{" \n\t\\\n", 0, "empty"},
		{"a 'b", 2, "unbalanced"},
		{`a b"c`, 3, "unbalanced"},
		{`"a\"`, 0, "unbalanced"},
		{`a \`, 2, "backslash"},
		{"'' a", 0, "program is empty"},
		{"a && b", 2, `"&&" means nothing`},
		{"a > b", 2, `">" means nothing`},
		{"a ;", 2, `";" means nothing`},
	} {
		got, err := ParseCommand(c.text)
		var ce *CommandError
		if !errors.As(err, &ce) || ce.Offset != c.offset || !strings.Contains(ce.Message, c.message) || got != nil {
			t.Errorf("ParseCommand(%q) = %q, %#v, want %q at %d", c.text, got, err, c.message, c.offset)
		}
	}
}

// FuzzParseCommand: quoting every word and splitting again gives the same words.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"a b", `a 'b c' "d\"e"`, `\`, "'", `""`, "a && b", "\\\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := ParseCommand(text)
		if err != nil {
			var ce *CommandError
			if !errors.As(err, &ce) || ce.Offset < 0 || ce.Offset > len(text) {
				t.Fatalf("ParseCommand(%q): %#v", text, err)
			}
			return
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		again, err := ParseCommand(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Fatalf("ParseCommand(%q) = %q, quoted and split again %q, %v", text, words, again, err)
		}
	})
}
