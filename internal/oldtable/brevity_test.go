package oldtable

import (
	"testing"
	"time"
)

func TestBrevity(t *testing.T) {
	var b brevity
	now := 5 * time.Hour
	for minute := range 3 {
		said, lasts := 0, 0
		for range 1000 {
			may, last := b.more(now)
			if may {
				said++
			}
			if last {
				lasts++
			}
			now += time.Millisecond
		}
		if said != mostMentioned || lasts != 1 {
			t.Errorf("minute %d: %d said, told %d times that it is too much", minute, said, lasts)
		}
		now += time.Minute
	}
}
