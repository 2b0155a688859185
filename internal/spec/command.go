package spec

import "strings"

// A CommandError says where a command string could not be split.
type CommandError struct {
	Offset   int    // bytes from the start of the string
	Message  string // "unbalanced quote"
	Hint     string
	Operator bool // a shell would understand it
}

// Error returns the message.
func (e *CommandError) Error() string { return e.Message }

// operators are the words that mean something to a shell and nothing here. Who writes one expects a shell.
var operators = []string{"|", "||", "|&", "&", "&&", ";", "<", ">", ">>", "2>", "2>>", "2>&1", ">&2", "&>"}

// ParseCommand splits text into words as sh(1) does: blanks and newlines separate, single quotes take everything
// literally, double quotes all but \" \\ \$ \` and an escaped newline, a backslash outside takes the next character
// literally. Nothing is expanded. A word that is a shell operator is refused unless quoted. An error is a
// *CommandError.
func ParseCommand(text string) ([]string, error) {
	s := splitter{text: text}
	for s.skipBlanks(); s.at < len(text); s.skipBlanks() {
		if err := s.word(); err != nil {
			return nil, err
		}
	}
	if len(s.words) == 0 {
		return nil, &CommandError{Message: "the command is empty"}
	}
	if s.words[0] == "" {
		return nil, &CommandError{Message: "the name of the program is empty"}
	}
	return s.words, nil
}

// A splitter is the state of ParseCommand.
type splitter struct {
	text  string
	at    int
	words []string
}

func (s *splitter) skipBlanks() {
	for s.at < len(s.text) {
		switch {
		case strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0:
			s.at++
		case strings.HasPrefix(s.text[s.at:], "\\\n"):
			s.at += 2
		default:
			return
		}
	}
}

// word reads one word, of which there is at least one byte.
func (s *splitter) word() error {
	var b strings.Builder
	start, plain := s.at, true
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch c {
		case ' ', '\t', '\r', '\n':
			return s.end(b.String(), start, plain)
		case '\'', '"', '\\':
			plain = false
			if err := s.quoted(&b, c); err != nil {
				return err
			}
		default:
			b.WriteByte(c)
			s.at++
		}
	}
	return s.end(b.String(), start, plain)
}

func (s *splitter) end(word string, start int, plain bool) error {
	if plain {
		for _, op := range operators {
			if word == op {
				return &CommandError{Offset: start, Message: `"` + op + `" means nothing without a shell`, Operator: true}
			}
		}
	}
	s.words = append(s.words, word)
	return nil
}

// quoted reads from a quote to its end, or a backslash and what it protects.
func (s *splitter) quoted(b *strings.Builder, quote byte) error {
	start := s.at
	s.at++
	if quote == '\\' {
		return s.escaped(b)
	}
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == quote:
			return nil
		case c == '\\' && quote == '"' && s.at < len(s.text) && strings.IndexByte("\"\\$`\n", s.text[s.at]) >= 0:
			if s.text[s.at] != '\n' {
				b.WriteByte(s.text[s.at])
			}
			s.at++
		default:
			b.WriteByte(c)
		}
	}
	return &CommandError{Offset: start, Message: "unbalanced quote", Hint: "close it, or write \\" + string(quote) + " for the character itself"}
}

func (s *splitter) escaped(b *strings.Builder) error {
	if s.at == len(s.text) {
		return &CommandError{Offset: s.at - 1, Message: "a backslash ends the command", Hint: `write \\ for the character itself`}
	}
	if s.text[s.at] != '\n' {
		b.WriteByte(s.text[s.at])
	}
	s.at++
	return nil
}
