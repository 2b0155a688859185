package capture

import "bytes"

// A text is where a file stands in its last line. The zero value is the start of a line.
type text struct {
	open  bool // the line has begun: its stamp is written
	width int  // bytes of text in it so far
}

// lay appends as much of src to dst as dst's capacity holds, with a stamp before each line and long lines cut. It returns
// the longer dst and the rest of src, which is shorter than src whenever dst is empty and holds pageSize bytes. An
// empty stamp makes raw lines.
func (t *text) lay(dst, src, stamp []byte) (out, rest []byte) {
	reserve := len(stamp) + len(Mark) + 2 // a cut, and one byte of text
	for len(src) > 0 && cap(dst)-len(dst) >= reserve {
		if !t.open {
			dst = append(dst, stamp...)
			t.open, t.width = true, 0
		}
		room := min(maxLine-t.width, cap(dst)-len(dst)-1)
		part := src[:min(len(src), room+1)]
		if i := bytes.IndexByte(part, '\n'); i >= 0 {
			dst = append(dst, part[:i+1]...)
			src = src[i+1:]
			*t = text{}
			continue
		}
		if room == 0 {
			dst = t.resume(append(dst, '\n'), stamp)
			continue
		}
		part = part[:min(len(part), room)]
		dst = append(dst, part...)
		t.width += len(part)
		src = src[len(part):]
	}
	return dst, src
}

// resume begins a line that continues a cut one.
func (t *text) resume(dst, stamp []byte) []byte {
	t.open, t.width = true, 0
	return append(append(dst, stamp...), Mark...)
}

// fits says whether raw src, of at most maxLine bytes, can be written as it is: no line becomes too long.
func (t *text) fits(src []byte) bool {
	if t.width+len(src) <= maxLine {
		return true
	}
	first := bytes.IndexByte(src, '\n')
	return first >= 0 && t.width+first <= maxLine
}

// pass takes note of raw src, written as it is.
func (t *text) pass(src []byte) {
	if last := bytes.LastIndexByte(src, '\n'); last >= 0 {
		t.width = len(src) - last - 1
	} else {
		t.width += len(src)
	}
	t.open = t.width > 0
}
