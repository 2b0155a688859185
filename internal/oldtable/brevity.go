package oldtable

import "time"

// mostMentioned is how much is said in a minute of what can be wrong with entries. A program can store nonsense faster than
// anybody can read; what is done to processes is always said.
const mostMentioned = 100

// A brevity bounds what is said.
type brevity struct {
	since time.Duration // the minute's begin
	said  int           // in it
}

// more says whether one thing more may be said at now, and whether it is the first that may not.
func (b *brevity) more(now time.Duration) (may, last bool) {
	if b.since == 0 || now-b.since >= time.Minute {
		*b = brevity{since: now}
	}
	b.said++
	return b.said <= mostMentioned, b.said == mostMentioned+1
}
