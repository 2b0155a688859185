package cli

import (
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/stay/api"
)

// maxName is how wide the column of names gets at most; longer names stand out of it.
const maxName = 24

// A printer prints lines of many instances, each with its coloured name before it. It may be used from several goroutines.
type printer struct {
	ui *ui

	mu     sync.Mutex
	width  int
	colors map[string]color
	err    error // the first that printing had: nobody reads it any more
}

// newPrinter returns a printer with a column wide enough for the names of list.
func newPrinter(u *ui, list []api.Instance) *printer {
	p := &printer{ui: u, colors: map[string]color{}}
	for _, in := range list {
		p.prefix(in.Name)
	}
	return p
}

// prefix is the name of an instance, padded and in its colour. The lock is held, or nobody else knows p yet.
func (p *printer) prefix(name string) string {
	c, known := p.colors[name]
	if !known {
		c = nameColors[len(p.colors)%len(nameColors)]
		p.colors[name] = c
		p.width = min(max(p.width, utf8.RuneCountInString(name)), maxName)
	}
	pad := strings.Repeat(" ", max(0, p.width-utf8.RuneCountInString(name)))
	return p.ui.paint(c, clean(name)+pad)
}

// line prints one line that an instance wrote.
func (p *printer) line(name, text string) error {
	return p.write(name, " │ ", p.ui.cleanLine(text))
}

// event prints what happened to an instance.
func (p *printer) event(e api.Event) error {
	return p.write(e.Name, " • ", p.ui.change(e))
}

func (p *printer) write(name, between, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = p.ui.print("%s%s%s\n", p.prefix(name), between, text)
	}
	return p.err
}

// lost says that nobody reads what is printed.
func (p *printer) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}

// oneLine is a value as one line of JSON.
func oneLine(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null" // no type of package api can come here
	}
	return string(text)
}
