package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"example.com/stay/api"
)

// MaxLine is the length of the longest line, in bytes, its newline included. It is PIPE_BUF of pipe(7): a write of so much
// is atomic.
const MaxLine = 4096

// Cut ends a text that was cut.
const Cut = "… (cut)"

// Append appends the line of a to dst. Texts of a that are too long are cut in the line, not in a.
func Append(dst []byte, a api.Event) []byte {
	begin := len(dst)
	for {
		buf := bytes.NewBuffer(dst[:begin])
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		if enc.Encode(&a) != nil { // plain data with a time beyond the year 9999: the time is what is wrong
			a.Time = time.Time{}
			continue
		}
		line := buf.Bytes()
		if over := len(line) - begin - MaxLine; over <= 0 || !shorten(&a, over) {
			return line
		}
	}
}

// shorten takes at least something, and over bytes if there are as many, off the longest text of a; false if there is
// nothing to take.
func shorten(a *api.Event, over int) bool {
	texts := []*string{&a.Message, &a.Error, &a.Target, &a.Name, &a.Verb, &a.Signal, &a.Boot, &a.Kind}
	longest := slices.MaxFunc(texts, func(x, y *string) int { return len(*x) - len(*y) })
	if len(*longest) <= len(Cut) {
		shorter := a.States != nil
		a.States = nil
		return shorter
	}
	text, cut := *longest, 0
	if len(text) > MaxLine { // over counts what escapes add, which may be five times as much
		cut = MaxLine - len(Cut)
	} else {
		cut = max(0, len(text)-over-len(Cut))
	}
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	*longest = text[:cut] + Cut
	return true
}

// Decode reads one line, with or without its newline.
func Decode(line []byte) (api.Event, error) {
	var a api.Event
	line = bytes.TrimLeft(line, "\x00") // what a file system leaves of blocks that were not written before a power cut
	if len(line) > MaxLine {
		return a, fmt.Errorf("a line of %d bytes", len(line))
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Seq == 0 || a.Kind == "" {
		return a, errors.New("no event")
	}
	return a, nil
}
