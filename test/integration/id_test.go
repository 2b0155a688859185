package integration

import (
	"crypto/sha256"
	"encoding/hex"
)

// idOf is the same as in cmd/stayd: if it changes there, the tests find nothing left where something is, so
// TestNothingIsLeft checks that it finds a live daemon's directory with it.
func idOf(runtimeDir string) string {
	sum := sha256.Sum256([]byte(runtimeDir))
	return hex.EncodeToString(sum[:6])
}
