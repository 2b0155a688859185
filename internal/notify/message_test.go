package notify

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, data string
		want       Message
	}{
		{"nothing", "", Message{}},
		{"ready", "READY=1", Message{Ready: true}},
		{"with a newline", "READY=1\n", Message{Ready: true}},
		{"with the NUL of a C string", "READY=1\x00", Message{Ready: true}},
		{"ready 0 does not exist", "READY=0", Message{}},
		{"nor takes it anything back", "READY=1\nREADY=0", Message{Ready: true}},
		{"ready of another value", "READY=yes", Message{}},
		{"ready without a value", "READY", Message{}},
		{"longer value", "READY=11", Message{}},
		{"NUL inside", "READY=1\x00\nSTOPPING=1", Message{Stopping: true}},
		{"lower case", "ready=1", Message{}},
		{"space before", " READY=1", Message{}},
		{"carriage return", "READY=1\r\n", Message{}},
		{"stopping", "STOPPING=1", Message{Stopping: true}},
		{"reloading", "RELOADING=1\nMONOTONIC_USEC=123", Message{Reloading: true, Monotonic: 123 * time.Microsecond}},
		{"reloading 0", "RELOADING=0", Message{}},
		{"beat", "WATCHDOG=1", Message{Beat: true}},
		{"trigger", "WATCHDOG=trigger", Message{Trigger: true}},
		{"beat and trigger", "WATCHDOG=1\nWATCHDOG=trigger", Message{Beat: true, Trigger: true}},
		{"neither", "WATCHDOG=0\nWATCHDOG=TRIGGER", Message{}},
		{"watchdog limit", "WATCHDOG_USEC=1500000", Message{Watchdog: 1500 * time.Millisecond}},
		{"watchdog limit 0", "WATCHDOG_USEC=0", Message{}},
		{"longest watchdog limit", "WATCHDOG_USEC=9223372036854775", Message{Watchdog: 9223372036854775 * time.Microsecond}},
		{"longer", "WATCHDOG_USEC=9223372036854776", Message{}},
		{"no limit", "WATCHDOG_USEC=18446744073709551615", Message{}},
		{"negative limit", "WATCHDOG_USEC=-5", Message{}},
		{"the last limit counts", "WATCHDOG_USEC=5\nWATCHDOG_USEC=6\nWATCHDOG_USEC=x", Message{Watchdog: 6 * time.Microsecond}},
		{"extend", "EXTEND_TIMEOUT_USEC=2000", Message{Extend: 2 * time.Millisecond}},
		{"extend by nothing", "EXTEND_TIMEOUT_USEC=0\nEXTEND_TIMEOUT_USEC=", Message{}},
		{"errno", "ERRNO=2", Message{Errno: 2}},
		{"errno 0", "ERRNO=0", Message{}},
		{"highest errno", "ERRNO=4095", Message{Errno: 4095}},
		{"no errno", "ERRNO=4096\nERRNO=-2\nERRNO=ENOENT", Message{}},
		{"restart reset", "RESTART_RESET=1", Message{RestartReset: true}},
		{"restart reset 0", "RESTART_RESET=0", Message{}},
		{"store", "FDSTORE=1", Message{Store: true}},
		{"store with all", "FDSTORE=1\nFDNAME=a b/c\nFDPOLL=0", Message{Store: true, Name: "a b/c", NoPoll: true}},
		{"store 0", "FDSTORE=0\nFDPOLL=1", Message{}},
		{"remove", "FDSTOREREMOVE=1\nFDNAME=x", Message{Remove: true, Name: "x"}},
		{"name with a colon", "FDSTORE=1\nFDNAME=a:b", Message{Store: true}},
		{"name with a control character", "FDSTORE=1\nFDNAME=a\tb", Message{Store: true}},
		{"name that is not ASCII", "FDSTORE=1\nFDNAME=ä", Message{Store: true}},
		{"empty name", "FDSTORE=1\nFDNAME=", Message{Store: true}},
		{"longest name", "FDNAME=" + strings.Repeat("x", 255), Message{Name: strings.Repeat("x", 255)}},
		{"longer name", "FDNAME=" + strings.Repeat("x", 256), Message{}},
		{"main pidfd", "MAINPIDFD=1", Message{mainFD: true}},
		{"main pidfd 0", "MAINPIDFD=0", Message{}},
		{"main pid with its pidfd's inode", "MAINPID=7\nMAINPIDFDID=4711", Message{MainPID: 7, mainID: 4711}},
		{"inode 0", "MAINPID=7\nMAINPIDFDID=0", Message{MainPID: 7}},
		{"barrier with more", "READY=1\nBARRIER=1\nFDSTORE=1", Message{}},
		{"barrier 0", "READY=1\nBARRIER=0", Message{Ready: true}},
		{"main pid", "MAINPID=4711", Message{MainPID: 4711}},
		{"main pid 0", "MAINPID=0", Message{}},
		{"negative main pid", "MAINPID=-1", Message{}},
		{"signed main pid", "MAINPID=+12", Message{}},
		{"main pid and more", "MAINPID=12 ", Message{}},
		{"main pid in hex", "MAINPID=0x12", Message{}},
		{"largest main pid", "MAINPID=2147483647", Message{MainPID: 2147483647}},
		{"main pid beyond an int32", "MAINPID=2147483648", Message{}},
		{"main pid beyond an int64", "MAINPID=99999999999999999999", Message{}},
		{"the last main pid counts", "MAINPID=1\nMAINPID=2\nMAINPID=x", Message{MainPID: 2}},
		{"status", "STATUS=loading 3/7", Message{Status: "loading 3/7", HasStatus: true}},
		{"status with =", "STATUS=a=b", Message{Status: "a=b", HasStatus: true}},
		{"empty status", "STATUS=", Message{HasStatus: true}},
		{"the last status counts", "STATUS=a\nSTATUS=b", Message{Status: "b", HasStatus: true}},
		{"all", "READY=1\nSTATUS=up\nMAINPID=7\nX_OURS=1", Message{Ready: true, Status: "up", HasStatus: true, MainPID: 7}},
		{"unknown", "X_FOO=1\nNOTIFYACCESS=all\nEXIT_STATUS=3", Message{}},
		{"barrier", "BARRIER=1", Message{}},
		{"empty lines", "\n\n\nREADY=1\n\n", Message{Ready: true}},
		{"rubbish", "\x00\xff\xfe=\n=\n==\nREADY", Message{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.UID = -1
			got := Parse([]byte(tt.data))
			if got != tt.want {
				t.Errorf("Parse(%q) = %+v, want %+v", tt.data, got, tt.want)
			}
			alone := tt.want
			alone.Name, alone.NoPoll, alone.Monotonic, alone.mainID = "", false, 0, 0
			if nothing := alone == (Message{UID: -1}); got.saysNothing() != nothing {
				t.Errorf("says nothing: %v, want %v", got.saysNothing(), nothing)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	long := strings.Repeat("x", maxStatus)
	tests := []struct{ name, in, want string }{
		{"plain", "3 of 7 (43 %)", "3 of 7 (43 %)"},
		{"letters of the world", "готово – 完成 ✓", "готово – 完成 ✓"},
		{"white space", "a\tb\rc\u00a0d\u2028e", "a b c d e"},
		{"escape", "\x1b[2J\x1b]0;x\a", "\ufffd[2J\ufffd]0;x\ufffd"},
		{"NUL, delete, C1", "a\x00b\x7fc\u009bd", "a\ufffdb\ufffdc\ufffdd"},
		{"direction override", "a\u202eb\u2066", "a\ufffdb\ufffd"},
		{"invalid UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"a surrogate is invalid", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"as long as may be", long, long},
		{"longer", long + "y", long},
		{"cut between characters", long[1:] + "é!", long[1:]},
		{"a replacement that no longer fits", long[2:] + "\xff", long[2:]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable(tt.in); got != tt.want {
				t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=\x1b[31mred\nMAINPID=12"))
	f.Add([]byte("STATUS=" + strings.Repeat("\xff", 300)))
	f.Add([]byte("MAINPID=99999999999999999999\nSTATUS\n=\n\x00"))
	f.Add([]byte("WATCHDOG_USEC=99999999999999999999\nEXTEND_TIMEOUT_USEC=9223372036854775807\nERRNO=4096\nFDNAME=a:b\nFDSTORE=1"))
	f.Add([]byte("BARRIER=1\nREADY=1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := Parse(data)
		if m.Pid != 0 || m.UID != -1 {
			t.Errorf("a sender out of nothing: %+v", m)
		}
		if m.Watchdog < 0 || m.Extend < 0 || m.Monotonic < 0 {
			t.Errorf("negative spans: %v %v %v", m.Watchdog, m.Extend, m.Monotonic)
		}
		if m.Errno < 0 || m.Errno > maxErrno || m.Name != "" && !validName(m.Name) || strings.ContainsRune(m.Name, ':') {
			t.Errorf("errno %d, name %q", m.Errno, m.Name)
		}
		if m.MainPID < 0 || m.MainPID > 1<<31-1 {
			t.Errorf("main pid %d", m.MainPID)
		}
		if len(m.Status) > maxStatus || !utf8.ValidString(m.Status) {
			t.Errorf("status %q of %d bytes", m.Status, len(m.Status))
		}
		if strings.ContainsFunc(m.Status, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
			t.Errorf("status %q would act on a terminal", m.Status)
		}
		if m.Status != "" && !m.HasStatus {
			t.Errorf("a status that was not named: %q", m.Status)
		}
		if again := Parse([]byte("STATUS=" + m.Status)); again.Status != m.Status {
			t.Errorf("status %q read again is %q", m.Status, again.Status)
		}
	})
}
