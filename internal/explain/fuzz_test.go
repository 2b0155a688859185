package explain

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/stay/api"
)

// FuzzExplain: whatever a file of an incident says, something is said of it, and nothing panics.
func FuzzExplain(f *testing.F) {
	for _, c := range cases {
		text, err := json.Marshal(c.a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	text, err := json.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		var a api.Incident
		if json.Unmarshal([]byte(text), &a) != nil {
			t.Skip("no incident")
		}
		list := Sentences(&a, now)
		if len(list) == 0 || !strings.HasPrefix(list[0], strings.TrimSpace(a.Name)) {
			t.Errorf("%q", list)
		}
		for _, s := range list {
			if strings.TrimSpace(s) == "" {
				t.Errorf("an empty sentence in %q", list)
			}
		}
		lines := 0
		for _, s := range Evidence(&a, now) {
			lines += 1 + len(s.Lines)
		}
		if lines > 1000 {
			t.Errorf("%d lines of evidence", lines)
		}
		_, _ = Phrase(&a), Followed(&a)
	})
}
