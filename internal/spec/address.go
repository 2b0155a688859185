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
	return checkHost(authority, false)
}

// checkHostPort accepts "127.0.0.1:80", "[::1]:80" and "localhost:80".
func checkHostPort(text string) error {
	if strings.HasPrefix(text, "tcp://") {
		return errors.New("begins with tcp://, which goes without saying: leave it out")
	}
	return checkHost(text, true)
}

// checkHost accepts a host, with a port, which may be missing unless needed.
func checkHost(text string, needed bool) error {
	host, port, found := text, "", false
	if rest, v6 := strings.CutPrefix(text, "["); v6 {
		var tail string
		if host, tail, found = strings.Cut(rest, "]"); !found || !isIPv6(host) {
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

// isIPv6 says whether the text has the letters of an IPv6 address and at least two colons; a zone may follow a %25 or %.
func isIPv6(text string) bool {
	address, _, _ := strings.Cut(text, "%")
	odd := func(r rune) bool { return r > 0x7f || !isHex(byte(r)) && r != ':' && r != '.' }
	return strings.Count(address, ":") >= 2 && !strings.ContainsFunc(address, odd) && !strings.ContainsFunc(text, isBlank)
}

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}
