//go:build !amd64

package evidence

// ownCalls are those that this architecture alone has.
var ownCalls = map[int]string{}
