package keeper

import "testing"

func TestHowEnded(t *testing.T) {
	for _, c := range []struct {
		exit Exit
		want string
	}{
		{Exit{Status: 9, At: 1}, "killed by signal KILL"},
		{Exit{Status: 0x86, At: 1}, "killed by signal ABRT"}, // with a core
		{Exit{Status: 2 << 8, At: 1}, "exit code 2"},
		{Exit{At: 1}, "exit code 0"},
		{Exit{}, "unknown: an earlier keeper started it"}, // adopted: the status went to somebody else
	} {
		if got := howEnded(c.exit); got != c.want {
			t.Errorf("howEnded(%+v) = %q, want %q", c.exit, got, c.want)
		}
	}
}
