package capture

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// BenchmarkPast merges the logs of 100 names of 1 MB each, and reports how much the heap grew beyond what was there before.
func BenchmarkPast(b *testing.B) {
	const names, lines = 100, 10_000
	s, _ := newStore(b)
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var list []string
	var size int64
	for i := range names {
		var text strings.Builder
		for j := range lines {
			at := begin.Add(time.Duration(j*names+i*7%names) * time.Microsecond)
			fmt.Fprintf(&text, "%s %070d\n", at.Format(stampLayout), j)
		}
		list = append(list, fmt.Sprintf("web.%d", i+2))
		put(b, s, list[i]+".log", text.String())
		size += int64(text.Len())
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	b.SetBytes(size)
	for b.Loop() {
		n, last := 0, time.Time{}
		err := s.Past(b.Context(), list, Query{N: -1}, func(l Line) error {
			if l.Time.Before(last) {
				b.Fatalf("%v after %v", l.Time, last)
			}
			last = l.Time
			if n++; n%200_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse)
			}
			return nil
		})
		if err != nil || n != names*lines {
			b.Fatalf("%d lines: %v", n, err)
		}
	}
	b.ReportMetric((float64(most)-float64(before.HeapInuse))/(1<<20), "MiB-held")
}
