package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/incident"
)

// TestLongLinesInIncidents: whatever a service wrote last, its incident is stored, and read again.
func TestLongLinesInIncidents(t *testing.T) {
	logs := t.TempDir()
	if err := os.Chmod(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("\x01", 60<<10) + "\n"
	if err := os.WriteFile(filepath.Join(logs, "web.log"), []byte(strings.Repeat(line, lastOutput)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClerk(slog.New(slog.DiscardHandler))
	var err error
	if c.logs, err = capture.Open(capture.Options{Dir: logs}); err != nil {
		t.Fatal(err)
	}
	if c.store, err = incident.Open(filepath.Join(t.TempDir(), "incidents")); err != nil {
		t.Fatal(err)
	}
	a := &api.Incident{Name: "web", Generation: 7, Cause: api.CauseExit, Time: time.Unix(1e9, 0)}
	c.complete(&draft{incident: a})
	if len(a.Log) != lastOutput {
		t.Fatalf("%d lines", len(a.Log))
	}
	if err := c.store.Write(a); err != nil {
		t.Fatal(err)
	}
	if _, err := c.store.Get(a.ID); err != nil {
		t.Error(err)
	}
}

func TestCutLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"12345678", "12345678"},
		{"123456789", "12345…"},
		{"1234é6789", "1234…"},
		{"123456\xff\xff\xff\xff", "12345…"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff", "…"},
	} {
		if got := cutLine(c.in, 8); got != c.want || len(got) > 8 || utf8.ValidString(c.in) && !utf8.ValidString(got) {
			t.Errorf("%q: %q", c.in, got)
		}
	}
}
