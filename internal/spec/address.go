package spec

import (
	"errors"
	"strconv"
	"strings"
)

// The functions here look at addresses without using them: what is accepted can be parsed by those who connect.

// address reads a string that check accepts.
func (v slot) address(check func(string) error) (string, bool) {
	text, ok := v.text()
	if !ok {
		return "", false
	}
	if err := check(text); err != nil {
		v.complain("%q %v", shorten(text), err)
		return "", false
	}
	return text, true
}

// checkURL accepts http and https URLs that name a host.
func checkURL(text string) error {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return errors.New("is not an http:// or https:// URL")
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	switch {
	case strings.Contains(authority, "@"):
		return errors.New("contains a user: it would be shown in the status; use an exec check")
	case strings.Contains(path, "#"):
		return errors.New("contains a #: what follows it is never sent")
	}
	for i := 0; i < len(path); i++ {
		if c := path[i]; c <= ' ' || c == 0x7f {
			return errors.New("contains a blank")
		} else if c == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return errors.New("contains a % that is not followed by two hexadecimal digits")
		}
	}
	return checkHost(authority, "%25", false) // in a URL a percent sign is written like this
}

// checkHostPort accepts "127.0.0.1:80", "[::1]:80" and "localhost:80".
func checkHostPort(text string) error {
	if strings.HasPrefix(text, "tcp://") {
		return errors.New("begins with tcp://, which goes without saying: leave it out")
	}
	return checkHost(text, "%", true)
}

// checkHost accepts a host, with a port, which may be missing unless needed. The zone of an IPv6 address stands behind mark.
func checkHost(text, mark string, needed bool) error {
	host, port, found := text, "", false
	if rest, v6 := strings.CutPrefix(text, "["); v6 {
		var tail string
		if host, tail, found = strings.Cut(rest, "]"); !found || !isIPv6(host, mark) {
			return errors.New("has no right IPv6 address in its brackets")
		}
		if port, found = strings.CutPrefix(tail, ":"); !found && tail != "" {
			return errors.New("has something behind the address that is no port")
		}
	} else {
		host, port, found = strings.Cut(text, ":")
		if strings.Contains(port, ":") {
			return errors.New("has more than one colon; an IPv6 address stands in brackets")
		}
		if host == "" {
			return errors.New("names no host")
		}
		if strings.ContainsFunc(host, func(r rune) bool { return !isHostRune(r) }) {
			return errors.New("names a host that cannot be one")
		}
	}
	if !found {
		if needed {
			return errors.New("has no port")
		}
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("has a wrong port, allowed are 1 to 65535")
	}
	return nil
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// isIPv6 says whether text is an IPv6 address as RFC 4291 writes them, with or without a zone behind mark.
func isIPv6(text, mark string) bool {
	address, zone, scoped := strings.Cut(text, mark)
	if scoped && (zone == "" || strings.ContainsFunc(zone, func(r rune) bool { return !isHostRune(r) })) {
		return false
	}
	head, tail, short := strings.Cut(address, "::")
	n, ok := groups(head, !short)
	m, good := groups(tail, short)
	return ok && good && (short && n+m < 8 || !short && n == 8)
}

// groups counts the groups of 16 bits in a part of an address; the last one of the whole may be two written as in IPv4.
func groups(part string, last bool) (n int, ok bool) {
	if part == "" {
		return 0, true
	}
	list := strings.Split(part, ":")
	for i, g := range list {
		if last && i == len(list)-1 && strings.Contains(g, ".") {
			return n + 2, isIPv4(g)
		}
		if g == "" || len(g) > 4 || strings.ContainsFunc(g, func(r rune) bool { return r > 0x7f || !isHex(byte(r)) }) {
			return 0, false
		}
		n++
	}
	return n, true
}

func isIPv4(text string) bool {
	parts := strings.Split(text, ".")
	for _, p := range parts {
		if n, err := strconv.ParseUint(p, 10, 8); err != nil || p != strconv.FormatUint(n, 10) {
			return false
		}
	}
	return len(parts) == 4
}

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}
