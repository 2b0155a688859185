package pulse

import (
	"runtime"
	"testing"
	"time"
)

// TestClock compares the clock of beats with the kernel's, for as long as a program does this and that. What calibrate may be
// wrong by is taken from a calibration now, and more than generous.
func TestClock(t *testing.T) {
	const slack = int64(100 * time.Microsecond)
	var last int64
	for i := range 2000 {
		before := monotonic()
		at := now()
		after := monotonic()
		if at < before-slack || at > after {
			t.Fatalf("round %d: the kernel says %d and %d, the beat between them %d", i, before, after, at)
		}
		if at < last {
			t.Fatalf("round %d: from %d back to %d", i, last, at)
		}
		last = at
		if i%100 == 0 {
			runtime.GC()
		}
	}
}

// TestCalibrate sees to it that every calibration finds the same difference: the two clocks do not drift apart.
func TestCalibrate(t *testing.T) {
	for range 100 {
		if d := calibrate() - clockOffset; d < -int64(100*time.Microsecond) || d > int64(100*time.Microsecond) {
			t.Fatalf("two calibrations differ by %v", time.Duration(d))
		}
	}
}
