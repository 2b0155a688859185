package capture

import "time"

// stampLayout is RFC 3339 with all six digits, so that every stamp is as long as every other and text sorts like time.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// stampSize is the length of a stamp with the space after it.
const stampSize = len(stampLayout) + 1

// A stamp is the text of a time. It formats a date once per second and allocates nothing. The zero value is ready.
type stamp struct {
	second int64
	valid  bool
	text   [stampSize]byte
}

// at returns the stamp of t and a space; the bytes are good until the next call.
func (s *stamp) at(t time.Time) []byte {
	if second := t.Unix(); !s.valid || second != s.second {
		var room [2 * stampSize]byte // formatting needs more than its result
		text := t.UTC().AppendFormat(room[:0], stampLayout+" ")
		s.second, s.valid = second, len(text) == stampSize
		copy(s.text[:], text) // a year above 9999 is cut, wrong, and not kept
		return s.text[:]
	}
	micros := t.Nanosecond() / 1000
	for i := stampSize - 3; i >= stampSize-8; i-- {
		s.text[i] = byte('0' + micros%10)
		micros /= 10
	}
	return s.text[:]
}

// parseLine takes a line of a file apart. A line without a stamp has the zero Time.
func parseLine(name string, b []byte) Line {
	if len(b) >= stampSize && b[10] == 'T' && b[stampSize-2] == 'Z' && b[stampSize-1] == ' ' {
		if t, err := time.Parse(stampLayout, string(b[:stampSize-1])); err == nil {
			return Line{Name: name, Time: t, Text: string(b[stampSize:])}
		}
	}
	return Line{Name: name, Text: string(b)}
}
