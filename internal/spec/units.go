package spec

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A scale is one unit of a quantity.
type scale struct {
	name string
	size int64
}

// The units, each list from the largest to the smallest.
var (
	timeScales = []scale{{"d", 24 * int64(time.Hour)}, {"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)},
		{"ms", int64(time.Millisecond)}, {"us", int64(time.Microsecond)}, {"ns", 1}}
	sizeScales = []scale{{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6},
		{"KiB", 1 << 10}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}}
)

var errTooLarge = errors.New("is too large")

// quantity reads "1.5" as a number of units of size and returns it in the smallest unit.
func quantity(number string, size int64) (int64, error) {
	whole, err := strconv.ParseInt(number, 10, 64)
	if err == nil && whole <= math.MaxInt64/size {
		return whole * size, nil
	}
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return 0, errTooLarge
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("has no number before its unit")
	}
	if f *= float64(size); f >= math.MaxInt64 {
		return 0, errTooLarge
	}
	return int64(math.Round(f)), nil
}

// leading cuts the number off the front of text.
func leading(text string) (number, rest string) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.') {
		i++
	}
	return text[:i], text[i:]
}

func scaleNamed(name string, scales []scale) (int64, bool) {
	for _, s := range scales {
		if s.name == name {
			return s.size, true
		}
	}
	return 0, false
}

// ParseDuration reads "500ms", "30s", "5m", "2h", "1d" and sums of them ("1h30m"). "0" needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	if text == "" {
		return 0, errors.New("is empty")
	}
	var sum int64
	for rest := text; rest != ""; {
		number, tail := leading(rest)
		end := strings.IndexFunc(tail, func(r rune) bool { return r < 'a' || r > 'z' })
		if end < 0 {
			end = len(tail)
		}
		size, ok := scaleNamed(tail[:end], timeScales)
		switch {
		case number == "":
			return 0, errors.New("is not a duration")
		case tail == "":
			return 0, errors.New("has no unit")
		case !ok:
			return 0, fmt.Errorf("has an unknown unit %q", tail)
		}
		n, err := quantity(number, size)
		if err != nil {
			return 0, err
		}
		if sum += n; sum < 0 {
			return 0, errTooLarge
		}
		rest = tail[end:]
	}
	return time.Duration(sum), nil
}

// formatDuration writes d so that ParseDuration reads the same: "1h30m", "0s".
func formatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, s := range timeScales {
		if n := int64(d) / s.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, s.name)
			d -= time.Duration(n * s.size)
		}
	}
	return b.String()
}

// ParseSize reads "64KiB" (1,024 each), "10MB" (1,000 each) or a plain number of bytes.
func ParseSize(text string) (int64, error) {
	number, unit := leading(text)
	if number == "" {
		return 0, errors.New("is not a size")
	}
	if unit == "" {
		unit = "B"
	}
	size, ok := scaleNamed(strings.TrimLeft(unit, " "), sizeScales)
	if !ok {
		return 0, fmt.Errorf("has an unknown unit %q", unit)
	}
	return quantity(number, size)
}

// formatSize writes n in the largest unit in which it is a whole number, so that ParseSize reads the same.
func formatSize(n int64) string {
	if n <= 0 {
		return "0"
	}
	best := scale{"", 1}
	for _, s := range sizeScales {
		if n%s.size == 0 && s.size > best.size {
			best = s
		}
	}
	return strconv.FormatInt(n/best.size, 10) + best.name
}

// parsePerSecond reads "200/s", "50/m" or "5/h" as a number a second. "" is 0: no limit.
func parsePerSecond(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	count, unit, ok := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(count, 64)
	if !ok || err != nil || !(n >= 0 && n <= 1e9) {
		return 0, errors.New("is not a rate")
	}
	size, ok := scaleNamed(unit, timeScales[1:4])
	if !ok {
		return 0, fmt.Errorf("has an unknown unit %q", unit)
	}
	return n / (float64(size) / float64(time.Second)), nil
}
