package spec

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	maxName      = 63    // bytes in the name of a service
	maxInstances = 10000 // of one service
	reservedName = "all"
)

// checkName says what is wrong with the name of a service and what would be right, "" if nothing is. A name has no dot,
// so that it can never be mistaken for an instance ("web.2"), and no capital, so that it is the same on every disk.
func checkName(name string) (problem, hint string) {
	switch {
	case name == "":
		return "a name is missing", "names look like web, mail-queue or db_2"
	case name == reservedName:
		return "the name is reserved", `"all" means every service in commands; name it after what it does`
	case len(name) > maxName:
		return fmt.Sprintf("the name has %d characters, %d are allowed", len(name), maxName), "take a shorter name"
	case strings.ContainsFunc(name, notInName) || !isAlnum(rune(name[0])):
		return "names consist of a-z, 0-9, _ and -, and begin with a letter or digit", "for example: " + strconv.Quote(makeName(name))
	}
	return "", ""
}

func isAlnum(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }

func notInName(r rune) bool { return !isAlnum(r) && r != '_' && r != '-' }

// makeName returns a valid name that resembles text, which may be anything.
func makeName(text string) string {
	name := strings.Map(func(r rune) rune {
		if notInName(r) {
			return '-'
		}
		return r
	}, strings.ToLower(text))
	name = strings.TrimLeft(name, "_-")
	name = strings.TrimRight(name[:min(len(name), maxName)], "_-")
	if name == "" || name == reservedName {
		return "run"
	}
	return name
}

// InstanceName returns the name of the n-th instance: "web" for the first, "web.2" for the second.
func InstanceName(service string, n int) string {
	if n == 1 {
		return service
	}
	return service + "." + strconv.Itoa(n)
}

// ParseInstance takes the name of an instance apart. "web" is instance 1, and so is "web.1". It says nothing about
// whether there is such an instance; ok is false for what could never be one.
func ParseInstance(name string) (service string, n int, ok bool) {
	service, number, dotted := strings.Cut(name, ".")
	if problem, _ := checkName(service); problem != "" {
		return "", 0, false
	}
	if !dotted {
		return service, 1, true
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || strconv.Itoa(n) != number {
		return "", 0, false
	}
	return service, n, true
}

// nearest returns the candidate that name was probably meant to be, "" if none resembles it: the one with the fewest
// typing errors, at most one in three characters, else one that name is the beginning of, or the other way round.
func nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	best, least := "", max(2, len(name)/3+1)
	for _, c := range candidates {
		if d := distance(name, strings.ToLower(c)); d < least && d < len(c) {
			best, least = c, d
		}
	}
	if best != "" {
		return best
	}
	for _, c := range candidates {
		if min(len(name), len(c)) >= 3 && (strings.HasPrefix(c, name) || strings.HasPrefix(name, c)) {
			return c
		}
	}
	return ""
}

// didYouMean returns the hint for a name that is not there, "" if nothing is near.
func didYouMean(name string, candidates []string) string {
	if n := nearest(name, candidates); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return ""
}

// distance counts the insertions, deletions, changes and swaps of neighbours between a and b (optimal string
// alignment). Names longer than 128 bytes are infinitely far: nobody mistypes those.
func distance(a, b string) int {
	const longest = 128
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var before, last, row [longest + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
