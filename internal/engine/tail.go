package engine

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// maxTail is how much of a helper's output is kept, in bytes: its last line is what anybody wants.
const maxTail = 2 << 10

// A tail is the end of a helper's output.
type tail struct {
	ended bool // the pipe is at its end; the loop's
	pipe  *os.File

	mu   sync.Mutex // a leaf: guards what follows
	last []byte
}

// read reads the pipe to its end, closes it, and then calls done.
func (t *tail) read(done func()) {
	defer done()
	defer t.pipe.Close()
	var buf [4 << 10]byte
	for {
		n, err := t.pipe.Read(buf[:])
		t.mu.Lock()
		t.last = append(t.last, buf[:n]...)
		if over := len(t.last) - maxTail; over > 0 {
			t.last = append(t.last[:0], t.last[over:]...)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// giveUp ends the reading soon, also of a pipe that somebody holds for ever.
func (t *tail) giveUp() { _ = t.pipe.SetReadDeadline(time.Now().Add(helperOutput)) }

// lastLine is the last line that is not blank, short and printable.
func (t *tail) lastLine() string {
	t.mu.Lock()
	text := bytes.TrimSpace(t.last)
	line := string(text[bytes.LastIndexByte(text, '\n')+1:])
	t.mu.Unlock()
	const longest = 200
	n := 0
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if n++; n > longest {
			return -1
		}
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line))
}
