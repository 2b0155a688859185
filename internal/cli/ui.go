package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"

	"example.com/stay/api"
)

// How stay talks. Answers go to standard output, all else to standard error. A refusal is one line, "stay: " and what was
// wrong, lower case, without a full stop, names quoted; the next line, indented, is the command that would work. Nobody is
// asked anything, thanked, or apologised to. Colour says the same as the word beside it, and is there on a terminal only,
// unless NO_COLOR is set. What services say is shown without control characters.

// A ui writes to people. It may be used from several goroutines; each call writes whole lines.
type ui struct {
	mu       sync.Mutex
	out, err io.Writer
	colors   bool // on out
}

func newUI(out, err io.Writer) *ui {
	return &ui{out: out, err: err, colors: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// print writes to standard output. An error says that nobody reads it any more.
func (u *ui) print(format string, args ...any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, err := fmt.Fprintf(u.out, format, args...)
	return err
}

// note writes one line beside the answer.
func (u *ui) note(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprintf(u.err, "stay: %s\n", clean(fmt.Sprintf(format, args...)))
}

// refuse says why something was not done, and returns the exit code for it.
func (u *ui) refuse(err error) int {
	r := toRefusal(err)
	if r.message == "" {
		return r.code
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprintf(u.err, "stay: %s\n", clean(r.message))
	for _, l := range r.log {
		fmt.Fprintf(u.err, "  │ %s\n", clean(l))
	}
	for l := range strings.Lines(r.hint) {
		fmt.Fprintf(u.err, "  %s\n", clean(strings.TrimRight(l, "\n")))
	}
	return r.code
}

// A color is the number of an SGR sequence; 0 is none.
type color int

// The colours that are used; they are among the eight that every terminal has.
const (
	plain  color = 0
	bold   color = 1
	dim    color = 2
	red    color = 31
	green  color = 32
	yellow color = 33
)

// nameColors are given to instances in turn.
var nameColors = []color{36, 33, 32, 35, 34, 96, 93, 92, 95, 94}

// paint colours a text, if there are colours.
func (u *ui) paint(c color, text string) string {
	if !u.colors || c == plain || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", int(c), text)
}

// stateColor is the colour of a state.
func stateColor(s api.State) color {
	switch s {
	case api.Running, api.Done:
		return green
	case api.Waiting, api.Starting, api.Stopping:
		return yellow
	case api.Failed:
		return red
	case api.Stopped:
		return dim
	}
	return plain
}

// clean makes control characters visible: what comes from services must not steer a terminal.
func clean(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return '·'
		}
		return r
	}, text)
}

// cleanLine is clean for a line of output: colours stay, if the terminal is to have colours.
func (u *ui) cleanLine(text string) string {
	if !u.colors || !strings.Contains(text, "\x1b") {
		return clean(text)
	}
	var b strings.Builder
	for text != "" {
		i := strings.IndexByte(text, '\x1b')
		if i < 0 {
			break
		}
		b.WriteString(clean(text[:i]))
		n := colorLength(text[i:])
		b.WriteString(text[i : i+n])
		if n == 0 {
			b.WriteRune('·')
			n = 1
		}
		text = text[i+n:]
	}
	b.WriteString(clean(text))
	b.WriteString("\x1b[0m") // a line's colour ends with it
	return b.String()
}

// colorLength returns the length of the SGR sequence (ECMA-48, 8.3.117) that text begins with, 0 if it begins with none.
func colorLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	end := strings.IndexFunc(text[2:], func(r rune) bool { return (r < '0' || r > '9') && r != ';' && r != ':' })
	if end < 0 || text[2+end] != 'm' {
		return 0
	}
	return end + 3
}

// isControl: the C0 and C1 controls but the tabulator, and the characters that reorder text.
func isControl(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069)
}
