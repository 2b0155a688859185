package judge

// A Check counts the answers of one check.
type Check struct {
	Failures int    // in a row
	Message  string // of the last bad answer; "" after a good one
}

// Answer takes one answer. Late says that the asker was late itself: a bad answer then does not count. It returns true when
// limit is reached, and again with each bad answer after it. A limit below 1 is 1.
func (c *Check) Answer(good, late bool, message string, limit int) bool {
	switch {
	case good:
		*c = Check{}
		return false
	case late:
		return false
	}
	c.Failures++
	c.Message = message
	return c.Failures >= max(1, limit)
}
