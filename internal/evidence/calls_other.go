//go:build !amd64 && !arm64

package evidence

// callNames are the system calls of other machines: they are shown by number.
var callNames = map[int]string{}
