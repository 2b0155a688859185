package capture

import "golang.org/x/sys/unix"

// This file: a larger pipe for a stream while its service floods it. Reader and writer then wait less often for each other,
// which is worth a third of the throughput; an idle service keeps the pipe that it was given.

// floodPipe is the size of the pipe then, in bytes: what a user without privileges may have for 256 of them at once
// (pipe-user-pages-soft, pipe(7)).
const floodPipe = 256 << 10

// floodAfter is how many chunks in a row make a flood, of at least half the room that there is for one.
const floodAfter = 4

// flooded takes note of a chunk of n bytes.
func (st *Stream) flooded(n int) {
	if n < chunkSize/2 {
		st.flood = 0
		return
	}
	if st.flood++; st.flood != floodAfter || st.usual > 0 {
		return
	}
	size, err := unix.FcntlInt(uintptr(st.fd), unix.F_GETPIPE_SZ, 0)
	if err != nil || size >= floodPipe {
		return
	}
	if _, err := unix.FcntlInt(uintptr(st.fd), unix.F_SETPIPE_SZ, floodPipe); err == nil { // else the user has no more
		st.usual = size
	}
}

// ebbed gives the pipe its usual size again. The pipe is empty, or nearly.
func (st *Stream) ebbed() {
	if st.flood = 0; st.usual == 0 {
		return
	}
	if _, err := unix.FcntlInt(uintptr(st.fd), unix.F_SETPIPE_SZ, st.usual); err == nil {
		st.usual = 0
	}
}
