package cli

import (
	"strings"
	"testing"

	"example.com/stay/api"
)

// TestUpgrade: what came of it is said, and the exit code says whether it was done.
func TestUpgrade(t *testing.T) {
	for _, c := range []struct {
		u    api.Upgrade
		code int
		want string
	}{
		{api.Upgrade{ID: "7", From: "1", To: "2", Over: true, GapMS: 12.3, Went: 7}, 0,
			"upgraded from 1 to 2: for 12 ms no engine was there; processes that went on and noticed nothing: 7\n"},
		{api.Upgrade{ID: "7", From: "1", To: "2", Over: true, Error: "exec: permission denied"}, 1,
			"stay: upgrade from 1 to 2: exec: permission denied\n  everything goes on as before"},
	} {
		e := newEngine()
		e.daemon.Upgrade = &c.u
		code, out, err := run(t, "--socket", serve(t, e), "upgrade", "--to", "/new/stayd")
		if code != c.code || !strings.HasPrefix(out+err, c.want) {
			t.Errorf("code %d: %q %q, want %q", code, out, err, c.want)
		}
	}
}
