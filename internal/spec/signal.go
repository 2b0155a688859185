package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// signalNames are the names of signal(7) at their Linux numbers (all architectures but alpha, mips, parisc and sparc).
var signalNames = [...]string{1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
	"PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM",
	"PROF", "WINCH", "IO", "PWR", "SYS"}

var signalAliases = map[string]Signal{"IOT": 6, "CLD": 17, "POLL": 29}

// Signals that mean something here.
const (
	sigKILL Signal = 9  // cannot be handled
	sigTERM Signal = 15 // asks a process to end
	sigSTOP Signal = 19 // cannot be handled
)

// The real-time signals as programs see them: glibc and musl keep the first ones for themselves, and differ in how
// many; these are glibc's.
const (
	realTimeMin Signal = 34
	realTimeMax Signal = 64
)

// ParseSignal reads a signal as people write it: "TERM", "SIGTERM", "term", "15", "RTMIN+3", "RTMAX-1".
func ParseSignal(text string) (Signal, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		ok := n >= 1 && n <= int(realTimeMax) && text[0] != '+'
		return Signal(n), ok
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if s, ok := signalAliases[name]; ok {
		return s, true
	}
	for i, n := range signalNames {
		if n == name && n != "" {
			return Signal(i), true
		}
	}
	return parseRealTime(name)
}

func parseRealTime(name string) (Signal, bool) {
	base, rest := realTimeMin, ""
	switch {
	case strings.HasPrefix(name, "RTMIN"):
		rest = name[len("RTMIN"):]
	case strings.HasPrefix(name, "RTMAX"):
		base, rest = realTimeMax, name[len("RTMAX"):]
	default:
		return 0, false
	}
	if rest == "" {
		return base, true
	}
	n, err := strconv.Atoi(rest)
	s := base + Signal(n)
	if err != nil || (rest[0] != '+' && rest[0] != '-') || s < realTimeMin || s > realTimeMax {
		return 0, false
	}
	return s, true
}

// String returns the name as signal(7) has it, without SIG: "TERM", "RTMIN+3". A number without a name is its number.
func (s Signal) String() string {
	switch {
	case s > 0 && int(s) < len(signalNames):
		return signalNames[s]
	case s == realTimeMin:
		return "RTMIN"
	case s > realTimeMin && s <= realTimeMax:
		return fmt.Sprintf("RTMIN+%d", s-realTimeMin)
	}
	return strconv.Itoa(int(s))
}
