package capture

import "bytes"

// A text is where a file stands in its last line. The zero value is the start of a line.
type text struct {
	open  bool // the line has begun: its stamp is written
	again bool // the next line to begin continues one that was cut
	width int  // bytes of text in it so far
}

// lay appends as much of src to dst as dst's capacity holds, with a stamp before each line and long lines cut. Lines that
// begin here do not make dst longer than room. It returns the longer dst and the rest of src, which is shorter than src
// whenever dst is empty, holds pageSize bytes, and the first line has room. An empty stamp makes raw lines.
func (t *text) lay(dst, src, stamp []byte, room int) (out, rest []byte) {
	most := min(room, cap(dst))
	for len(src) > 0 {
		i := bytes.IndexByte(src, '\n')
		if i >= 0 && i <= maxLine && !t.open && !t.again {
			if len(dst)+len(stamp)+i+1 > most {
				return dst, src
			}
			dst = append(append(dst, stamp...), src[:i+1]...)
			src = src[i+1:]
			continue
		}
		if i < 0 {
			i = len(src) - 1
		}
		if !t.open && len(dst)+len(stamp)+len(Mark)+i+1 > room || cap(dst)-len(dst) < len(stamp)+len(Mark)+2 {
			return dst, src
		}
		var n int
		if dst, n = t.piece(dst, src[:i+1], stamp); n < i+1 && cap(dst)-len(dst) < len(stamp)+len(Mark)+2 {
			return dst, src[n:]
		}
		src = src[n:]
	}
	return dst, src
}

// piece appends some of src, which holds no newline but at its end, and says how much of it.
func (t *text) piece(dst, src, stamp []byte) (out []byte, n int) {
	if !t.open {
		dst = append(dst, stamp...)
		if t.again {
			dst = append(dst, Mark...)
		}
		*t = text{open: true}
	}
	end := len(src) - 1
	if src[end] != '\n' {
		end++
	}
	n = min(end, maxLine-t.width, cap(dst)-len(dst)-1)
	dst = append(dst, src[:n]...)
	t.width += n
	switch {
	case n == end && end < len(src):
		dst = append(dst, '\n')
		*t = text{}
		n++
	case n < end && t.width == maxLine:
		dst = append(dst, '\n')
		*t = text{again: true}
	}
	return dst, n
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
