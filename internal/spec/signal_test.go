package spec

import "testing"

func TestParseSignal(t *testing.T) {
	for _, c := range []struct {
		text string
		want Signal
		name string
	}{
		{"TERM", 15, "TERM"}, {"SIGTERM", 15, "TERM"}, {"sigterm", 15, "TERM"}, {"term", 15, "TERM"}, {"15", 15, "TERM"},
		{"HUP", 1, "HUP"}, {"KILL", 9, "KILL"}, {"USR1", 10, "USR1"}, {"SYS", 31, "SYS"}, {"CLD", 17, "CHLD"},
		{"POLL", 29, "IO"}, {"IOT", 6, "ABRT"}, {"32", 32, "32"}, {"RTMIN", 34, "RTMIN"}, {"SIGRTMIN+3", 37, "RTMIN+3"},
		{"RTMAX", 64, "RTMIN+30"}, {"RTMAX-1", 63, "RTMIN+29"}, {"64", 64, "RTMIN+30"},
	} {
		got, ok := ParseSignal(c.text)
		if !ok || got != c.want || got.String() != c.name {
			t.Errorf("ParseSignal(%q) = %d %q, %v, want %d %q", c.text, got, got, ok, c.want, c.name)
		}
	}
	for _, text := range []string{"", "SIG", "0", "-1", "65", "+15", "TERMS", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN3", "RTMIN+x", "1.5"} {
		if got, ok := ParseSignal(text); ok {
			t.Errorf("ParseSignal(%q) = %v, want none", text, got)
		}
	}
}

func TestSignalRoundTrip(t *testing.T) {
	for s := Signal(1); s <= realTimeMax; s++ {
		if got, ok := ParseSignal(s.String()); !ok || got != s {
			t.Errorf("ParseSignal(%q) = %v, %v, want %d", s.String(), got, ok, int(s))
		}
	}
	if got := Signal(0).String(); got != "0" {
		t.Errorf("Signal(0) is %q", got)
	}
}
