package evidence

import (
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stat is what of proc_pid_stat(5) is needed.
type stat struct {
	pid, parent, session int
	comm                 string
	state                byte
	user, system         int64 // clock ticks
	threads              int
	start                uint64
}

// readStat reads a stat file. The name of a process may hold anything, a closing bracket and spaces too.
func readStat(file string) (stat, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return stat{}, false
	}
	return parseStat(string(data))
}

func parseStat(text string) (stat, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 20 || len(f[0]) != 1 {
		return stat{}, false
	}
	var s stat
	s.pid, _ = strconv.Atoi(strings.TrimSpace(text[:open]))
	s.comm = printable(text[open+1 : end])
	s.state = f[0][0]
	s.parent, _ = strconv.Atoi(f[1])
	s.session, _ = strconv.Atoi(f[3])
	s.user, _ = strconv.ParseInt(f[11], 10, 64)
	s.system, _ = strconv.ParseInt(f[12], 10, 64)
	s.threads, _ = strconv.Atoi(f[17])
	s.start, _ = strconv.ParseUint(f[19], 10, 64)
	return s, s.pid > 0
}

// printable is text in which nothing obeys a terminal: what cannot be printed becomes U+FFFD, white space a space.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, text)
}
