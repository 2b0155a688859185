package spec

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "500ms": 500 * time.Millisecond, "30s": 30 * time.Second, "5m": 5 * time.Minute, "2h": 2 * time.Hour,
		"1d": 24 * time.Hour, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "250us": 250 * time.Microsecond,
		"7ns": 7, "106751d": 106751 * 24 * time.Hour,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseDuration(formatDuration(got)); err != nil || again != got {
			t.Errorf("%v is written %q and read %v, %v", got, formatDuration(got), again, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "5": "no unit", "s": "not a duration", "-5s": "not a duration", "5 s": "unknown unit", "5x": "unknown unit",
		"5S": "unknown unit", "106752d": "too large", "106751d106751d": "too large", "1e3s": "unknown unit", "..s": "no number",
		"99999999999999999999s": "too large", "9999999999999.5d": "too large", "5sx": "unknown unit",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 5 * time.Second: "5s", 90 * time.Minute: "1h30m", 25 * time.Hour: "1d1h", 1500 * time.Millisecond: "1s500ms",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "10": 10, "10B": 10, "10KB": 10_000, "10kB": 10_000, "64KiB": 65536, "10MB": 10_000_000, "1.5MiB": 3 << 19, "2GiB": 2 << 30,
		"3GB": 3e9, "1TB": 1e12, "1TiB": 1 << 40, "10 MB": 10_000_000, "9223372036854775807": math.MaxInt64,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
		if again, err := ParseSize(formatSize(got)); err != nil || again != got {
			t.Errorf("%d is written %q and read %d, %v", got, formatSize(got), again, err)
		}
	}
	for text, want := range map[string]string{
		"": "not a size", "MB": "not a size", "-1": "not a size", "10M": "unknown unit", "10mb": "unknown unit", "1e6": "unknown unit",
		"9223372036854775808": "too large", "9999999TiB": "too large", "1.2.3MB": "no number",
	} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSize(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "1", 1000: "1KB", 1024: "1KiB", 10_000_000: "10MB", 65536: "64KiB", 1001: "1001", 1 << 30: "1GiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("formatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestParsePerSecond(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "0/s": 0, "200/s": 200, "0.5/s": 0.5, "60/m": 1, "3600/h": 1} {
		if got, err := parsePerSecond(text); err != nil || got != want {
			t.Errorf("parsePerSecond(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"5", "/s", "-1/s", "inf/s", "nan/s", "5/d", "5/", "x/s", "1e99/s"} {
		if got, err := parsePerSecond(text); err == nil {
			t.Errorf("parsePerSecond(%q) = %v, want an error", text, got)
		}
	}
}
