package explain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// moment says when something was, as people say it: the day only if it is another one.
func moment(t, now time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	t = t.In(now.Location())
	clock := t.Format("15:04:05")
	switch {
	case sameDay(t, now):
		return "at " + clock
	case sameDay(t, now.AddDate(0, 0, -1)):
		return "yesterday at " + clock
	}
	return "on " + t.Format(time.DateOnly) + " at " + clock
}

func sameDay(a, b time.Time) bool {
	y1, m1, d1 := a.Date()
	y2, m2, d2 := b.Date()
	return y1 == y2 && m1 == m2 && d1 == d2
}

// span writes a measured span of milliseconds: "1.9 ms", "250 ms", "30.0 s", "4 min 12 s", "2 h 5 min", "3 d 4 h".
func span(ms float64) string {
	switch {
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", max(ms, 0))
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 99_950:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	s := int64(ms/1000 + 0.5)
	switch {
	case s < 3600:
		return pair(s/60, "min", s%60, "s")
	case s < 86400:
		return pair(s/3600, "h", s/60%60, "min")
	}
	return pair(s/86400, "d", s/3600%24, "h")
}

// limit writes a configured span, which is mostly a round one: "30 s", "1.5 s", "200 ms", "2 min".
func limit(ms float64) string {
	number, unit, _ := strings.Cut(span(ms), " ")
	return strings.TrimSuffix(number, ".0") + " " + unit
}

// pair is a span in two units, of which the smaller one may be nothing.
func pair(a int64, unitA string, b int64, unitB string) string {
	text := fmt.Sprintf("%d %s", a, unitA)
	if b != 0 {
		text += fmt.Sprintf(" %d %s", b, unitB)
	}
	return text
}

// ordinals are those that are words in running text.
var ordinals = []string{"", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}

func ordinal(n int) string {
	if n > 0 && n < len(ordinals) {
		return ordinals[n]
	}
	ending := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return strconv.Itoa(n) + ending
}

// many counts things.
func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// size writes bytes in the unit that suits them.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(max(n, 0)), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[i]
}

// tick puts a name into backquotes.
func tick(name string) string { return "`" + name + "`" }
