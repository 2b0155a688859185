package capture

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestScanOfFiles: from which file on lines are read, whatever form the files have.
func TestScanOfFiles(t *testing.T) {
	s, _ := newStore(t)
	for file, text := range map[string]string{
		"web.log.4.gz": gzOf(t, "a 1\na 2\n"), "web.log.3.zst": zstOf(t, "b 1\nb 2\n"), "web.log.2": "c 1\n\nc 3\n", "web.log.1": "", "web.log": "d 1\nd 2",
		"db.log": "not this one\n",
	} {
		if err := os.WriteFile(s.file(file), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for begin, want := range map[string]string{
		"":    "a 1|a 2|b 1|b 2|c 1||c 3|d 1|d 2|",
		"a 1": "a 1|a 2|b 1|b 2|c 1||c 3|d 1|d 2|",
		"b 1": "b 1|b 2|c 1||c 3|d 1|d 2|",
		"c 1": "c 1||c 3|d 1|d 2|",
		"d 1": "d 1|d 2|",
		"b 2": "a 1|a 2|b 1|b 2|c 1||c 3|d 1|d 2|", // a line in the middle of a file says nothing
	} {
		var got strings.Builder
		line := func(b []byte) error { got.Write(append(b[:len(b):len(b)], '|')); return nil }
		var from func([]byte) bool
		if begin != "" {
			from = func(first []byte) bool { return string(first) == begin }
		}
		err := s.Scan("web", from, line)
		if err != nil || got.String() != want {
			t.Errorf("from %q: %q %v, want %q", begin, got.String(), err, want)
		}
		got.Reset()
		if err := Scan(s.dir.path, "web", from, line); err != nil || got.String() != want {
			t.Errorf("without a store, from %q: %q %v, want %q", begin, got.String(), err, want)
		}
	}
	if n := openFiles(t, s); n > 0 {
		t.Errorf("%d files stay open", n)
	}
}

func TestScanOfFilesStops(t *testing.T) {
	s, _ := newStore(t)
	never := func([]byte) error { t.Error("a line"); return nil }
	if err := s.Scan("web", nil, never); err != nil {
		t.Errorf("of no files: %v", err)
	}
	if err := s.Scan("../web", nil, never); err == nil {
		t.Error("of a path")
	}
	if err := Scan(s.file("nix"), "web", nil, never); err == nil {
		t.Error("of no directory")
	}
	if err := os.WriteFile(s.file("web.log"), []byte("a\nb\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	stop, lines := errors.New("stop"), 0
	if err := s.Scan("web", nil, func([]byte) error { lines++; return stop }); err != stop || lines != 1 {
		t.Errorf("%v after %d lines", err, lines)
	}
}
